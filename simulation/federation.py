# SPDX-License-Identifier: Apache-2.0
"""The federation on one machine: the server's page of the algorithm meets simulated devices.

    for each question of the plan            server.training.train
        send the public view                 shared.model.view
        each device answers                  client.training.Cohort  (solve, gradient; private)
        clip, round, noise, sum              cohort_sum              (the door; engines differ here)
        step                                 server.training, server.optimiser

User vectors are solved inside the answers and inside `SharedModel.rate`, on the device, and never
leave it.
"""

from collections.abc import Callable, Iterable, Sequence

from client.training import Answer, Cohort
from server.plan import Plan, Release, Summed
from server.training import train
from shared.catalogue import Catalogue
from shared.model.history import History
from shared.model.released import SharedModel
from shared.model.view import View
from shared.schema import Floats

CohortSum = Callable[[Release, int, Iterable[Answer]], Floats]
"""An engine: the only way from devices to the server."""


def federate(
    devices: Sequence[History], catalogue: Catalogue, plan: Plan, cohort_sum: CohortSum
) -> SharedModel:
    """Improve one shared model with many simulated devices.

    Args:
        devices: What each device knows. Private.
        catalogue: The public catalogue, I items.
        plan: Which queries, how often, with which mechanism.
        cohort_sum: The engine.

    Returns:
        The shared model; public under the plan's ρ.
    """
    cohort = Cohort(devices)

    def ask(release: Release, server_round: int, view: View) -> Summed:
        return release.summed(cohort_sum(release, server_round, cohort.answers(view)))

    return train(catalogue, plan, ask)
