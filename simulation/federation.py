# SPDX-License-Identifier: Apache-2.0
"""The whole algorithm on one page: broadcast, solve, answer, door, sum, step.

All that the server learns is what `cohort_sum` returns. User vectors are solved inside `predict`
and inside the answers, on the device, and never leave it. Engines differ in `cohort_sum` alone.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from client.training import History, item_sums_vector, trunk_items_vector
from shared.catalogue import Catalogue
from shared.model.local import predict
from shared.model.prior import Prior, prior_basis, prior_step, prior_vector
from shared.model.statistics import ItemStatistics, denoise
from shared.model.tower import Tower, build_tower
from shared.model.trunk_items import ItemBlock, directions, item_step, moved
from shared.model.view import TrunkView, heaviest
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
        asked = plan["item_sums"]
        sums = cohort_sum(asked, 1, (item_sums_vector(device, items) for device in devices))
        statistics = denoise(sums.reshape(items, 2), asked.noise_std, catalogue)
    tower = build_tower(catalogue, statistics)
    prior = Prior.standard(tower.features.shape[1])
    if "population_prior" in plan:
        asked, start = plan["population_prior"], tower
        basis = prior_basis(start, statistics)
        answers = (prior_vector(start, basis, d.items, d.ratings) for d in devices)
        prior = prior_step(cohort_sum(asked, 1, answers), asked.noise_std, len(devices), basis)
        tower = tower.shifted(prior.mean)
    if "trunk_items" in plan:
        tower = train_items(devices, plan, cohort_sum, statistics, tower, prior)
    return SharedModel(catalogue, statistics, tower, prior)


def train_items(
    devices: Sequence[History],
    plan: Plan,
    cohort_sum: CohortSum,
    statistics: ItemStatistics,
    tower: Tower,
    prior: Prior,
) -> Tower:
    """Learn offsets and factors of the heaviest items, round by round; return the moved tower."""
    asked, factors, preference = plan["trunk_items"], plan.factors, plan.preference
    rows = heaviest(statistics.weight, asked.query.dimension // (1 + factors))
    place = np.full(len(statistics.weight), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    axes = directions(tower, statistics, prior, factors)
    block = ItemBlock.zeros(len(rows), factors)
    current = tower
    for server_round in range(1, asked.rounds + 1):
        view = TrunkView(current, prior, axes, preference, place)
        total = cohort_sum(asked, server_round, (trunk_items_vector(d, view) for d in devices))
        block = item_step(
            block,
            total.reshape(len(rows), 1 + factors),
            asked.noise_std,
            statistics.take(rows),
            preference=preference,
        )
        deltas = np.zeros((len(place), 1 + factors))
        deltas[rows] = block.deltas
        current = moved(tower, replace(block, deltas=deltas), axes)
    return current
