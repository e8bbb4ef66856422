# SPDX-License-Identifier: Apache-2.0
"""A catalogue that lives: texts change, items come; the basis stays what it was.

A changed text moves its item towards what the new text says, x_j ← α x_j + (1 − α) LLM(new): one
editing does not overturn what users and factors have learnt about the item, ten do. α is public,
part of the configuration. For α = 1 nothing changes; two updates with a, then b, weigh the first
text by α². What texts do not tell (category, year, price) is a fact and is replaced where it is
wrong, by building the row anew.

A new item is projected on the frozen basis and stands behind the others, so that every row keeps
its number. Everything here is public; no rating enters.

Source: the exponential moving average of the design's fourth part; `shared.features.ema`.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from shared.catalogue import Catalogue, FeatureBasis
from shared.errors import DataError
from shared.features import ema, project
from shared.schema import Floats, Ints, Items

TEXT_ALPHA = 0.7
"""Share of the old text that stays when a text changes."""


def renew_texts(
    catalogue: Catalogue,
    basis: FeatureBasis,
    rows: Ints,
    vectors: npt.NDArray[np.floating],
    alpha: float = TEXT_ALPHA,
) -> Catalogue:
    """Move some items towards their changed texts.

    Args:
        catalogue: The catalogue as it is.
        basis: Its frozen basis.
        rows: Items whose text changed, distinct, (n,).
        vectors: What the encoder of the basis makes of their new texts, (n, D).
        alpha: Public α in [0, 1], the share of the old that stays.

    Returns:
        The catalogue with moved text features and likeness vectors; all else as it was.

    Raises:
        DataError: The basis has no text, α is no weight, or vectors do not fit.
    """
    text = basis.projection("text")
    block = next((block for block in catalogue.blocks if block.kind == "text"), None)
    if text is None or block is None or vectors.shape != (len(rows), len(text.mean)):
        raise DataError(
            "changed texts must come as one vector each in the dimensions of the basis, "
            f"got {vectors.shape} for {len(rows)} items.",
            hint="encode them with the encoder of the basis; a basis without text has none.",
        )
    centred = np.asarray(vectors, dtype=np.float64) - text.mean
    features, likeness = catalogue.features.copy(), catalogue.text.copy()
    columns = slice(block.start, block.stop)
    features[rows, columns] = ema(features[rows, columns], centred @ text.weights, alpha)
    likeness[rows] = _unit(ema(likeness[rows], _unit(centred), alpha), likeness[rows])
    return replace(catalogue, features=features, text=likeness)


def extend(
    catalogue: Catalogue,
    basis: FeatureBasis,
    items: Items,
    vectors: npt.NDArray[np.floating] | None,
) -> Catalogue:
    """Add new items behind the known ones; the basis is not refitted.

    Args:
        catalogue: The catalogue as it is.
        basis: Its frozen basis.
        items: The new items, with ids that the catalogue does not have.
        vectors: What the encoder makes of their texts, (n, D), or None without text.

    Raises:
        DataError: An id is known already, or vectors do not fit the basis.
    """
    known = set(catalogue.item_ids) & set(items.ids)
    if known:
        raise DataError(
            f"new items must have new ids, got {len(known)} that the catalogue has.",
            hint="change the text of a known item with renew_texts.",
        )
    new = project(basis, items, vectors)

    def joined(name: str) -> Floats:
        return np.concatenate([getattr(catalogue, name), getattr(new, name)])

    return replace(
        catalogue,
        item_ids=catalogue.item_ids + new.item_ids,
        titles=catalogue.titles + new.titles,
        features=joined("features"),
        text=joined("text"),
        categories=joined("categories"),
        log_age=joined("log_age"),
    )


def drift(before: Floats, after: Floats) -> float:
    """Say how far vectors moved: mean of 1 − cosine over the rows that are known both times.

    Args:
        before: Vectors, (n, D).
        after: The same ones later, (n, D).

    Returns:
        0 where nothing moved, 1 for unrelated ones; NaN where no row is known both times. As
        private as the vectors.

    Example:
        >>> drift(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[2.0, 0.0], [1.0, 0.0]]))
        0.5
    """
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    known = norms > 0
    if not known.any():
        return float("nan")
    cosine = np.einsum("nd,nd->n", before[known], after[known]) / norms[known]
    return float(1.0 - cosine.mean())


def _unit(rows: Floats, otherwise: Floats | None = None) -> Floats:
    """Divide rows by their norm; what has none stays, or is what it was."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    plain = rows if otherwise is None else otherwise
    return np.asarray(np.where(norms > 1e-12, rows / np.maximum(norms, 1e-12), plain))
