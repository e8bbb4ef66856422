# SPDX-License-Identifier: Apache-2.0
"""Diverse lists: maximal marginal relevance over the best candidates of one owner.

A list of the ten best scores tends to say one thing ten times. Each place of a diverse list goes
to the candidate that is good and unlike what stands above it already:

    argmax (1 − λ) · relevance − λ · (largest likeness to a chosen one)

with the relevance scaled to [0, 1] over the candidates and λ the flag `--diversity`: 0 is the plain
list, 1 ignores relevance after the first place. Items and comments share this one function. The
figure that judges lists, `shared.metrics.intra_list_diversity`, looks at categories.

Source: Carbonell and Goldstein (1998), "The use of MMR, diversity-based reranking".
"""

import numpy as np

from shared.catalogue import Catalogue
from shared.errors import UsageError
from shared.schema import Floats, Ints

POOL = 100
"""Candidates that compete for the places of a list: nothing worse is shown for being different."""


def diversify(candidates: Ints, scores: Floats, vectors: Floats, k: int, diversity: float) -> Ints:
    """Choose k of some candidates so that the list is good and not all alike.

    Args:
        candidates: Rows of `vectors`, best first, shape (n,); equal ones fall in this order.
        scores: Their scores, shape (n,), finite, higher is better, in any unit. Private.
        vectors: Unit or zero rows whose inner products are likenesses, shape (I, D). Public.
        k: Length of the list, > 0.
        diversity: λ in [0, 1].

    Returns:
        Chosen candidates, first place first, shape (min(k, n),). With λ = 0 the first k.

    Raises:
        UsageError: λ lies outside [0, 1].

    Example:
        >>> two_kinds = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> diversify(np.array([0, 1, 2]), np.array([3.0, 2.9, 2.0]), two_kinds, 2, 0.5)
        array([0, 2])
    """
    if not 0.0 <= diversity <= 1.0:
        raise UsageError(f"--diversity must lie in [0, 1], got {diversity:g}.", hint="try 0.3.")
    if diversity == 0.0 or len(candidates) == 0:
        return candidates[:k]
    relevance = (1.0 - diversity) * _scaled(np.asarray(scores, dtype=np.float64))
    rows = vectors[candidates]
    likest = np.full(len(candidates), -np.inf)  # to any chosen one
    left = np.ones(len(candidates), dtype=np.bool_)
    chosen: list[int] = []
    for _ in range(min(k, len(candidates))):
        penalty = diversity * likest if chosen else 0.0
        best = int(np.argmax(np.where(left, relevance - penalty, -np.inf)))
        chosen.append(best)
        left[best] = False
        likest = np.maximum(likest, rows @ rows[best])
    return candidates[chosen]


def diverse_top(scores: Floats, vectors: Floats, k: int, diversity: float) -> Ints:
    """Rank all items of one owner and diversify the list.

    Args:
        scores: Shape (I,); −inf or NaN leaves an item out. Private.
        vectors: As for `diversify`, shape (I, D).
        k: Length of the list, > 0.
        diversity: λ in [0, 1].

    Returns:
        Items, first place first, at most k; ties go to the lower row. Private.
    """
    usable = np.where(np.isnan(scores), -np.inf, scores)
    size = min(max(POOL, k), len(usable))
    pool = np.sort(np.argpartition(-usable, size - 1)[:size]) if size else np.zeros(0, np.int64)
    pool = pool[np.argsort(-usable[pool], kind="stable")]
    pool = pool[np.isfinite(usable[pool])].astype(np.int64)
    return diversify(pool, usable[pool], vectors, k, diversity)


def item_vectors(catalogue: Catalogue) -> Floats:
    """Return what likeness of items in a list means, unit or zero rows, shape (I, D). Public.

    Text and categories side by side with equal say, so that an inner product is the mean of both
    cosines; where a catalogue has one of them, that one.
    """
    parts = [part for part in (catalogue.text, catalogue.categories) if part.shape[1]]
    if not parts:
        return np.zeros((len(catalogue), 0))
    return np.asarray(np.hstack(parts) / np.sqrt(len(parts)))


def _scaled(scores: Floats) -> Floats:
    """Bring scores to [0, 1]; equal ones become 0."""
    span = float(scores.max() - scores.min())
    return np.asarray((scores - scores.min()) / span) if span > 0 else np.zeros(len(scores))
