# SPDX-License-Identifier: Apache-2.0
"""What a device computes for each question: one vector about its owner, still to pass the door.

A device calls `answers` with its owner alone; the simulator, with all simulated devices. What does
not change between the rounds of the network is solved once and kept in memory, never on disk.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from client.interest import interest_answers
from client.measuring import metrics_answers
from shared.model.comment_task import comment_rows, interest_of
from shared.model.history import History as History
from shared.model.prior import prior_vector
from shared.model.solving import item_tasks, network_tasks
from shared.model.statistics import item_sums_rows
from shared.model.trunk_items import trunk_rows
from shared.model.view import (
    InterestView,
    ItemSumsView,
    MetricsView,
    NetworkView,
    PriorView,
    TrunkView,
    View,
)
from shared.privacy.query import SparseVector
from shared.schema import Floats, Ints

BLOCK_USERS = 1024
"""Devices whose network gradients exist at once: (1024, d) in float64."""
KEPT_EVENTS = 2_000_000
"""Events above which a simulated cohort is solved anew in each round: about 1 GB."""
Answer = Floats | SparseVector
"""One device's vector before the door; private."""


class Cohort:
    """Devices that answer together: one on a device, all in the simulator. Private.

    Args:
        devices: What answers are computed from, one a device.
        held: What each device held out of that, for the metrics; nothing where left out.
    """

    def __init__(self, devices: Sequence[History], held: Sequence[History] | None = None) -> None:
        self.devices, self.held = devices, held
        self._solved: tuple[NetworkView, list[Any]] | None = None

    def answers(self, view: View) -> Iterator[Answer]:
        """Compute each device's answer to one question.

        Args:
            view: What the server sent. Public.

        Yields:
            One vector a device, in their order, neither clipped nor scaled. Private.
        """
        match view:
            case ItemSumsView():
                yield from (item_sums_vector(device, view) for device in self.devices)
            case PriorView():
                for device in self.devices:
                    yield prior_vector(
                        view.tower, view.basis, view.pairs, device.items, device.ratings
                    )
            case TrunkView():
                yield from (trunk_items_vector(device, view) for device in self.devices)
            case NetworkView():
                yield from self._network(view)
            case InterestView():
                yield from interest_answers(view, self.devices)
            case MetricsView():
                yield from metrics_answers(view, self.devices, self.held)

    def _network(self, view: NetworkView) -> Iterator[Floats]:
        """Differentiate the network: Opacus, the cohort as the batch, a person as the sample."""
        # Only this question needs torch, so a device that is not asked never imports it.
        from shared.gradients import NetworkTrunk, user_gradients

        trunk = NetworkTrunk(view.shape, view.parameters)
        for block in self._blocks(view):
            yield from user_gradients(
                trunk, block, local_steps=view.local_steps, local_rate=view.local_rate
            )

    def _blocks(self, view: NetworkView) -> Iterator[Any]:
        """Solve and stack the devices, once for all rounds where they fit in memory."""
        from shared.gradients import stack_users

        if self._solved is not None and _same_tasks(self._solved[0], view):
            yield from self._solved[1]
            return
        kept, events = [], 0
        for start in range(0, len(self.devices), BLOCK_USERS):
            tasks = [network_tasks(view, d) for d in self.devices[start : start + BLOCK_USERS]]
            events += sum(map(len, tasks))
            block = stack_users(tasks)
            if events <= KEPT_EVENTS:
                kept.append(block)
            yield block
        self._solved = (view, kept) if events <= KEPT_EVENTS else None


def answers(view: View, devices: Sequence[History]) -> Iterator[Answer]:
    """Compute each device's answer to one question, see `Cohort.answers`."""
    return Cohort(devices).answers(view)


def _same_tasks(left: NetworkView, right: NetworkView) -> bool:
    """Say whether two rounds differ in the network's parameters alone."""
    fixed = ("tower", "prior", "directions", "texts", "comment_mean")
    return all(getattr(left, name) is getattr(right, name) for name in fixed)


def item_sums_vector(history: History, view: ItemSumsView) -> SparseVector:
    """Answer `item_sums`: a row (deviation, count) at every rated item, zero elsewhere.

    Args:
        history: The owner's ratings. Private.
        view: What the server sent. Public.

    Returns:
        A vector of dimension 2·items, or 4·items with the comment columns, not yet scaled to its
        norm. Private.
    """
    rows = item_sums_rows(history.ratings, count_scale=view.count_scale)
    if view.comments:
        rows = np.hstack([rows, comment_rows(interest_of(history))])
    return _at_rows(history.items, rows, view.items)


def trunk_items_vector(history: History, view: TrunkView) -> SparseVector:
    """Answer one round of `trunk_items`: the gradient at the rated rows.

    It is the gradient of half the squared leave-one-out errors of both tasks with respect to the
    items' offsets and factors, clamped, the offset weighted by b.

    Args:
        history: The owner's ratings. Private.
        view: What the server sent for this round. Public.

    Returns:
        A vector of dimension rows·(1 + k), not yet scaled to its norm. Private.
    """
    tasks = item_tasks(view, history)
    rows = trunk_rows(tasks, preference=view.preference)
    kept = tasks.items >= 0
    return _at_rows(tasks.items[kept], rows[kept], view.rows)


def _at_rows(places: Ints, rows: Floats, count: int) -> SparseVector:
    """Lay rows (n, q) at their places in a vector of dimension count·q."""
    width = rows.shape[1]
    indices = places[:, None] * width + np.arange(width)
    return SparseVector(count * width, indices.ravel(), rows.ravel())
