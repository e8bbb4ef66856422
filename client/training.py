# SPDX-License-Identifier: Apache-2.0
"""What a device computes for each query: one vector about its owner, still to pass the door.

The simulator calls the same functions for every simulated device.
"""

from dataclasses import dataclass

import numpy as np

from shared.model.statistics import item_sums_rows
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


def item_sums_vector(history: History, items: int) -> SparseVector:
    """Answer `item_sums`: a row (deviation, count) at every rated item, zero elsewhere.

    Args:
        history: The owner's ratings. Private.
        items: Length of the catalogue.

    Returns:
        A vector of dimension 2·items, not yet scaled to its norm. Private.
    """
    rows = item_sums_rows(history.ratings)  # (n, 2)
    places = np.stack([2 * history.items, 2 * history.items + 1], axis=1)
    return SparseVector(2 * items, places.ravel(), rows.ravel())
