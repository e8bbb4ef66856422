# SPDX-License-Identifier: Apache-2.0
"""What a device computes for each query: one vector about its owner, still to pass the door.

The simulator calls the same functions for every simulated device.
"""

from dataclasses import dataclass

import numpy as np

from shared.model.prior import CLIPPING_NORM
from shared.model.statistics import item_sums_rows
from shared.model.trunk_items import trunk_rows
from shared.model.view import TrunkView
from shared.privacy.query import Block, SparseVector, SumQuery
from shared.schema import Floats, Ints


@dataclass(frozen=True)
class History:
    """One owner's ratings, oldest first; private."""

    items: Ints
    """Rows of the catalogue, (n,), each at most once."""
    ratings: Floats
    """Ratings in r', (n,)."""

    def __len__(self) -> int:
        return len(self.items)


def item_sums_query(items: int) -> SumQuery:
    """Return the one-shot query about all items: how well liked, how often rated.

    Args:
        items: Length of the catalogue.
    """
    return SumQuery(
        name="item_sums",
        blocks=(Block("items", 2 * items, 1.0),),
        clipping="scale",
        purpose="Learn how well each item is liked, and how often it is rated.",
    )


def population_prior_query(size: int) -> SumQuery:
    """Return the query about how tastes differ between people.

    Args:
        size: First and second moments asked for, see `shared.model.prior.prior_size`.
    """
    return SumQuery(
        name="population_prior",
        blocks=(Block("moments", size, CLIPPING_NORM),),
        clipping="clip",
        purpose="Learn in which ways tastes differ between people, and how much.",
    )


def trunk_items_query(rows: int, factors: int) -> SumQuery:
    """Return the query of one round of the trunk's item block.

    Args:
        rows: Items M that have factors.
        factors: k, factors of an item.
    """
    return SumQuery(
        name="trunk_items",
        blocks=(Block("items", rows * (1 + factors), 1.0),),
        clipping="scale",
        purpose="Improve each item's place in the shared model.",
    )


def item_sums_vector(history: History, items: int) -> SparseVector:
    """Answer `item_sums`: a row (deviation, count) at every rated item, zero elsewhere.

    Args:
        history: The owner's ratings. Private.
        items: Length of the catalogue.

    Returns:
        A vector of dimension 2·items, not yet scaled to its norm. Private.
    """
    return _at_rows(history.items, item_sums_rows(history.ratings), items)


def trunk_items_vector(history: History, view: TrunkView) -> SparseVector:
    """Answer one round of `trunk_items`: residual times (b, factors) at the rated rows.

    It is minus the gradient of half the squared leave-one-out error with respect to the items'
    offsets and factors, clamped, the offset weighted by b.

    Args:
        history: The owner's ratings. Private.
        view: What the server sent for this round. Public.

    Returns:
        A vector of dimension rows·(1 + k), not yet scaled to its norm. Private.
    """
    rows = trunk_rows(
        view.tower,
        view.prior,
        view.directions,
        history.items,
        history.ratings,
        preference=view.preference,
    )
    places = view.place[history.items]
    kept = places >= 0
    return _at_rows(places[kept], rows[kept], view.rows)


def _at_rows(places: Ints, rows: Floats, count: int) -> SparseVector:
    """Lay rows (n, q) at their places in a vector of dimension count·q."""
    width = rows.shape[1]
    indices = places[:, None] * width + np.arange(width)
    return SparseVector(count * width, indices.ravel(), rows.ravel())
