# SPDX-License-Identifier: Apache-2.0
"""Interest: the score that ranks items for an owner, from popularity and likeness to their history.

A predicted rating ranks badly: it asks how well people would like what they chose to see, not what
they will choose. Interest adds how popular an item is (released) and how much it resembles what
the owner rated lately (local and free).
"""

import numpy as np

from shared.catalogue import Catalogue
from shared.schema import Floats, Ints

RECENCY = 0.9
"""Weight of an event against the next newer one; an EMA of the history."""
POPULARITY, TEXT, CATEGORY, AGE = 1.0, 2.0, 1.0, 1.0
"""Weights of the terms of `interest`, chosen on validation items, never on test items."""


def recency_weights(count: int, recency: float = RECENCY) -> Floats:
    """Weights of events, oldest first, summing to 1: the newest counts most.

    Example:
        >>> recency_weights(2, 0.5).round(3).tolist()
        [0.333, 0.667]
    """
    weights = recency ** np.arange(count - 1, -1, -1, dtype=np.float64)
    return np.asarray(weights / weights.sum()) if count else weights


def interest(catalogue: Catalogue, log_weight: Floats, history: Ints) -> Floats:
    """Score every item for one owner; higher is more interesting.

    Args:
        catalogue: Public text, categories and ages.
        log_weight: Standardised popularity, (I,); zeros without federation.
        history: Items the owner rated, oldest first, (n,). Private.

    Returns:
        Scores, (I,), comparable within one owner only. Private.
    """
    score = POPULARITY * log_weight
    if len(history) == 0:
        return score
    weights = recency_weights(len(history))
    for weight, vectors in ((TEXT, catalogue.text), (CATEGORY, catalogue.categories)):
        if vectors.shape[1]:
            profile = weights @ vectors[history]  # (D,)
            score = score + weight * (vectors @ profile)
    gaps = np.abs(catalogue.log_age[:, None] - catalogue.log_age[history][None, -60:])  # (I, n)
    return np.asarray(score + AGE * np.exp(-gaps) @ recency_weights(gaps.shape[1]))
