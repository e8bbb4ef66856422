# SPDX-License-Identifier: Apache-2.0
"""The whole algorithm on one page: broadcast, solve, answer, door, sum, step.

All that the server learns is what `cohort_sum` returns. User vectors are solved inside
`predict`, on the device, and never leave it. Engines differ in `cohort_sum` alone.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from client.training import History, item_sums_vector
from shared.catalogue import Catalogue
from shared.model.local import predict
from shared.model.prior import Prior
from shared.model.statistics import ItemStatistics, denoise
from shared.model.tower import Tower, build_tower
from shared.schema import Floats, Ints
from simulation.plan import Plan, Release
from simulation.vectorised import Answer

CohortSum = Callable[[Release, int, Iterable[Answer]], Floats]


@dataclass(frozen=True)
class SharedModel:
    """What the server publishes and every device computes with."""

    catalogue: Catalogue
    statistics: ItemStatistics
    tower: Tower
    prior: Prior

    def rate(self, history: History, targets: Ints, *, kernel: bool = True) -> Floats:
        """Predict one owner's ratings in r', shape (t,), on their device."""
        return predict(
            self.tower,
            self.prior,
            self.catalogue,
            history.items,
            history.ratings,
            targets,
            kernel=kernel,
        )


def federate(
    devices: Sequence[History], catalogue: Catalogue, plan: Plan, cohort_sum: CohortSum
) -> SharedModel:
    """Improve one shared model with many devices.

    Args:
        devices: What each device knows. Private.
        catalogue: The public catalogue, I items.
        plan: Which queries, how often, with which mechanism.
        cohort_sum: The engine: the only way from devices to the server.

    Returns:
        The shared model; public under the plan's ρ.
    """
    items = len(catalogue)
    statistics = ItemStatistics.empty(items)
    if "item_sums" in plan:
        release = plan["item_sums"]
        sums = cohort_sum(release, 1, (item_sums_vector(device, items) for device in devices))
        statistics = denoise(sums.reshape(items, 2), release.noise_std, catalogue)
    tower = build_tower(catalogue, statistics)
    return SharedModel(catalogue, statistics, tower, Prior.standard(tower.features.shape[1]))
