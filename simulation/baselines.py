# SPDX-License-Identifier: Apache-2.0
"""What a recommender must beat: means, and popularity. They see all ratings in the clear."""

import numpy as np

from shared.schema import Floats, Interactions, Ints, Scale

ITEM_DAMPING = 5.0
USER_DAMPING = 2.0
"""Pseudo-ratings at the mean, chosen on ml-latest-small training parts."""


class UserMean:
    """Every item gets the mean of the owner's ratings; local and free."""

    def __init__(self, known: Interactions, scale: Scale, users: int, items: int) -> None:
        total = np.bincount(known.users, known.ratings, users)
        count = np.bincount(known.users, minlength=users)
        self._mean = np.where(count > 0, total / np.maximum(count, 1), scale.centre)
        self._popularity = np.bincount(known.items, minlength=items).astype(np.float64)

    def rate(self, user: int, items: Ints) -> Floats:
        """Predict the owner's mean for each item."""
        return np.full(len(items), self._mean[user])

    def score(self, user: int) -> Floats:
        """Score items by popularity."""
        return self._popularity.copy()


class ItemUserMean:
    """Damped item offsets, then damped user offsets on what they leave; no privacy.

    Source: Koren (2010), "Factor in the neighbors", baseline estimates.
    """

    def __init__(self, known: Interactions, scale: Scale, users: int, items: int) -> None:
        self._scale = scale
        self._mean = float(known.ratings.mean()) if len(known) else scale.centre
        left = known.ratings - self._mean
        self._item = _damped(known.items, left, items, ITEM_DAMPING)
        self._user = _damped(known.users, left - self._item[known.items], users, USER_DAMPING)
        self._popularity = np.bincount(known.items, minlength=items).astype(np.float64)

    def rate(self, user: int, items: Ints) -> Floats:
        """Predict mean + item offset + user offset, within the scale."""
        stars = self._mean + self._item[items] + self._user[user]
        clipped: Floats = np.clip(stars, self._scale.low, self._scale.high)
        return clipped

    def score(self, user: int) -> Floats:
        """Score items by popularity."""
        return self._popularity.copy()


def _damped(rows: Ints, values: Floats, size: int, damping: float) -> Floats:
    """Return Σ values / (count + damping) of each row."""
    total, count = np.bincount(rows, values, size), np.bincount(rows, minlength=size)
    damped: Floats = total / (count + damping)
    return damped
