# SPDX-License-Identifier: Apache-2.0
"""What a device computes for each question: one vector about its owner, still to pass the door.

A device calls `answers` with its owner alone; the simulator, with all simulated devices.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from shared.model.history import History as History
from shared.model.prior import prior_vector
from shared.model.statistics import item_sums_rows
from shared.model.trunk_items import trunk_rows
from shared.model.view import ItemSumsView, PriorView, TrunkView, View
from shared.privacy.query import SparseVector
from shared.schema import Floats, Ints

Answer = Floats | SparseVector
"""One device's vector before the door; private."""


def answers(view: View, devices: Sequence[History]) -> Iterator[Answer]:
    """Compute each device's answer to one question.

    Args:
        view: What the server sent. Public.
        devices: What each device knows; a device passes its owner alone. Private.

    Yields:
        One vector a device, in their order, neither clipped nor scaled. Private.
    """
    match view:
        case ItemSumsView():
            yield from (item_sums_vector(device, view) for device in devices)
        case PriorView():
            for device in devices:
                yield prior_vector(view.tower, view.basis, device.items, device.ratings)
        case TrunkView():
            yield from (trunk_items_vector(device, view) for device in devices)


def item_sums_vector(history: History, view: ItemSumsView) -> SparseVector:
    """Answer `item_sums`: a row (deviation, count) at every rated item, zero elsewhere.

    Args:
        history: The owner's ratings. Private.
        view: What the server sent. Public.

    Returns:
        A vector of dimension 2·items, not yet scaled to its norm. Private.
    """
    return _at_rows(history.items, item_sums_rows(history.ratings), view.items)


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
