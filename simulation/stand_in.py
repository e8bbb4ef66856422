# SPDX-License-Identifier: Apache-2.0
"""Where a catalogue has no text, what people published about its items stands in for it.

The mean vector of an item's public comments becomes its text; how long they are and how many found
them helpful become two public numbers of it. Only published comments are used: the operator's, and
those that `--public-comments` draws among the training comments.

Source: ARCHITECTURE, "Public features"; RECIPE, "COMMENTS".
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from shared.catalogue import Catalogue, FeatureBasis
from shared.features import build_catalogue
from shared.schema import Floats, Items
from simulation.dataset import PublicComments

Encode = Callable[[Sequence[str]], Floats]


def with_public_comments(
    items: Items, public: PublicComments, encode: Encode, encoder: str
) -> tuple[Catalogue, FeatureBasis]:
    """Build the catalogue of items that have no text of their own.

    Args:
        items: The items.
        public: Published comments, at least one.
        encode: Turns texts into vectors, (n, D).
        encoder: Its name, kept in the basis.

    Returns:
        Catalogue and basis, both public.
    """
    count = np.bincount(public.items, minlength=len(items)).astype(np.float64)
    vectors = np.asarray(encode(public.texts), dtype=np.float64)
    mean = np.zeros((len(items), vectors.shape[1]))
    np.add.at(mean, public.items, vectors)
    mean /= np.maximum(count, 1.0)[:, None]
    lengths = np.log1p([len(text) for text in public.texts])
    helpful = np.log1p(np.nan_to_num(public.helpful, nan=0.0))
    numbers = {
        "public comments: log length": _mean(lengths, public, count),
        "public comments: log helpful": _mean(helpful, public, count),
    }
    told = replace(items, numbers={**items.numbers, **numbers})
    return build_catalogue(told, None, comment_vectors=mean, encoder=encoder)


def _mean(values: Floats, public: PublicComments, count: Floats) -> Floats:
    """Average over each item's comments, NaN where there are none, (I,)."""
    total = np.bincount(public.items, values, minlength=len(count))
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
