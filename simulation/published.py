# SPDX-License-Identifier: Apache-2.0
"""Public comments of a run: the operator's, and those that their authors publish.

Publishing is an act of the author, outside ε; `--public-comments F` plays it for a seeded share of
the training comments. Where a catalogue has no text, what is publicly said of an item stands in
for its description: the mean vector of its public comments, their usual length and votes.
"""

from dataclasses import replace

import numpy as np

from shared.schema import Floats, Items
from simulation.dataset import Dataset, PublicComments
from simulation.splits import Split


def published(dataset: Dataset, split: Split, share: float, seed: int) -> PublicComments:
    """Return the operator's comments, then a seeded share of the training comments.

    Args:
        dataset: The data set.
        split: Its split: comments on test rows and in held-out histories stay private.
        share: Share of the training comments that their authors publish, in [0, 1].
        seed: Seed of the choice.

    Returns:
        Public comments; rows of the operator's keep their number, so that `opened` stays right.
    """
    given = dataset.public_comments or PublicComments(
        np.zeros(0, np.int64), np.zeros(0, np.int64), (), np.zeros(0)
    )
    train = split.train
    wrote = np.flatnonzero([bool(text) for text in train.comments])
    chosen = np.random.default_rng(seed).permutation(len(wrote))[: round(share * len(wrote))]
    rows = np.sort(wrote[chosen])
    return PublicComments(
        items=np.concatenate([given.items, train.items[rows]]),
        authors=np.concatenate([given.authors, train.users[rows]]),
        texts=(*given.texts, *train.comments[rows].tolist()),
        helpful=np.concatenate([given.helpful, train.helpful[rows]]),
    )


def spoken_items(items: Items, public: PublicComments) -> Items:
    """Add what public comments tell in numbers: usual length and helpful votes of an item's.

    Args:
        items: The catalogue.
        public: Its public comments.

    Returns:
        The catalogue with the columns `comment length` and `comment votes`, logarithms, NaN where
        nobody spoke.
    """
    lengths = np.log1p([len(text) for text in public.texts])
    votes = np.log1p(public.helpful)
    return replace(
        items,
        numbers=items.numbers
        | {
            "comment length": item_means(lengths[:, None], public, len(items))[:, 0],
            "comment votes": item_means(votes[:, None], public, len(items))[:, 0],
        },
    )


def item_means(values: Floats, public: PublicComments, items: int) -> Floats:
    """Average a table (M, D) over each item's public comments, (I, D); NaN where there is none."""
    known = np.isfinite(values).all(axis=1)
    sums = np.zeros((items, values.shape[1]))
    np.add.at(sums, public.items[known], values[known])
    counts = np.bincount(public.items[known], minlength=items)[:, None]
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))
