# SPDX-License-Identifier: Apache-2.0
"""Ranking: interest, and the lists that are made of it; numpy alone.

Here stand the weights of the simplest score, popularity and likeness to the recent history, which
needs no model; `shared.ranking.interest` is the score that was learnt.
"""

import numpy as np

from shared.schema import Floats

RECENCY = 0.9
"""Weight of an event against the next newer one; an EMA of the history."""
POPULARITY, TEXT, CATEGORY, AGE = 1.0, 2.0, 1.0, 1.0
"""Weights of the terms of that score, chosen on validation items, never on test items."""


def recency_weights(count: int, recency: float = RECENCY) -> Floats:
    """Weights of events, oldest first, summing to 1: the newest counts most.

    Example:
        >>> recency_weights(2, 0.5).round(3).tolist()
        [0.333, 0.667]
    """
    weights = recency ** np.arange(count - 1, -1, -1, dtype=np.float64)
    return np.asarray(weights / weights.sum()) if count else weights
