# SPDX-License-Identifier: Apache-2.0
"""What a recommender must beat: means, and popularity. They see all ratings in the clear.

A weak baseline flatters, so both means are damped: a person with few ratings is believed less. The
dampings were chosen on rows held out of training parts (u1..u5 of ML-100K, ml-latest-small, Amazon
musical instruments), never on test rows; docs/log.md has the table.
"""

import numpy as np

from shared.schema import Floats, Interactions, Ints, Scale

USER_MEAN_DAMPING = 5.0
"""Pseudo-ratings at the mean of all ratings behind each user mean."""
ITEM_DAMPING, USER_DAMPING = 4.0, 3.0
"""Pseudo-ratings of offset 0 behind each item offset and each user offset."""


class Popularity:
    """The ranking of every baseline: how many devices know an item. Private without noise."""

    def __init__(self, known: Interactions, items: int) -> None:
        self._raters = np.bincount(known.items, minlength=items).astype(np.float64)

    def score(self, user: int) -> Floats:
        """Score all items by their raters, (I,), the same for every user."""
        return self._raters.copy()


class UserMean(Popularity):
    """Every item gets the damped mean of the user's ratings.

    Without damping this is what a device knows alone. The mean of all ratings, one number, is
    given to it for nothing: towards the scale's centre it would be a straw man wherever stars pile
    up at the top (Amazon: 1.064 for .928). Users without a rating get that mean; without any
    rating at all, the scale's centre.
    """

    def __init__(self, known: Interactions, scale: Scale, users: int, items: int) -> None:
        super().__init__(known, items)
        mean = _mean(known, scale)
        self._mean = mean + _damped(known.users, known.ratings - mean, users, USER_MEAN_DAMPING)

    def rate(self, user: int, items: Ints) -> Floats:
        """Predict the user's mean for each item, stars, (n,)."""
        return np.full(len(items), self._mean[user])


class ItemUserMean(Popularity):
    """Mean, plus damped item offsets, plus damped user offsets on what they leave.

    Source:
        Koren (2010), "Factor in the neighbors", 2.1, baseline estimates, the decoupled form.
    """

    def __init__(self, known: Interactions, scale: Scale, users: int, items: int) -> None:
        super().__init__(known, items)
        self._scale, self._mean = scale, _mean(known, scale)
        left = known.ratings - self._mean
        self._item = _damped(known.items, left, items, ITEM_DAMPING)
        self._user = _damped(known.users, left - self._item[known.items], users, USER_DAMPING)

    def rate(self, user: int, items: Ints) -> Floats:
        """Predict mean + item offset + user offset, stars within the scale, (n,)."""
        stars = self._mean + self._item[items] + self._user[user]
        clipped: Floats = np.clip(stars, self._scale.low, self._scale.high)
        return clipped


def _mean(known: Interactions, scale: Scale) -> float:
    """Mean of all ratings, or the scale's centre where there is none."""
    return float(known.ratings.mean()) if len(known) else scale.centre


def _damped(rows: Ints, values: Floats, size: int, damping: float) -> Floats:
    """Return Σ values / (count + damping) of each row, (size,)."""
    total, count = np.bincount(rows, values, size), np.bincount(rows, minlength=size)
    return np.asarray(total / (count + damping), dtype=np.float64)
