# SPDX-License-Identifier: Apache-2.0
"""What the server sends with each question: all that a device needs beside its owner; public."""

from dataclasses import dataclass

import numpy as np

from shared.model.prior import Prior
from shared.model.tower import Tower
from shared.schema import Floats, Ints

MAX_COORDINATES = 2**15
"""Coordinates of a round under privacy: items with little weight get no factors."""


@dataclass(frozen=True)
class ItemSumsView:
    """What goes with `item_sums`: nothing but how many items there are."""

    items: int


@dataclass(frozen=True)
class PriorView:
    """What goes with `population_prior`."""

    tower: Tower
    """Before any trunk round."""
    basis: Floats
    """B, (K, p): the directions asked about."""


@dataclass(frozen=True)
class TrunkView:
    """The trunk as devices see it in one round of `trunk_items`."""

    tower: Tower
    """As moved by earlier rounds."""
    prior: Prior
    directions: Floats
    """U, (K, k): computed once by the server, because eigenvectors differ between machines."""
    preference: float
    """b, weight of the offset beside the factors."""
    place: Ints
    """Row of each item in the round's vector, (I,); -1 where the item has no factors."""

    @property
    def rows(self) -> int:
        """Items M that have factors."""
        return int(self.place.max(initial=-1)) + 1


View = ItemSumsView | PriorView | TrunkView


def row_count(items: int, factors: int) -> int:
    """Return M, the number of items that get factors."""
    return min(items, MAX_COORDINATES // (1 + factors))


def heaviest(weight: Floats, rows: int) -> Ints:
    """Return the `rows` items of the largest weight, in catalogue order.

    Example:
        >>> heaviest(np.array([1.0, 5.0, 2.0]), 2)
        array([1, 2])
    """
    return np.sort(np.argsort(-weight, kind="stable")[:rows])
