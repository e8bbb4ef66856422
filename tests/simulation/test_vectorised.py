# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import numpy as np
import pytest

from client.training import item_sums_vector
from server.plan import Release
from shared.config import RunConfig
from shared.model.history import History
from shared.model.queries import item_sums_query
from shared.model.view import ItemSumsView
from shared.privacy.accountant import rho_for
from shared.privacy.noise import OsRandom
from shared.privacy.plan import Cohort
from simulation.noise import SimulationRng
from simulation.vectorised import Answer, Vectorised

ITEMS = 40
VIEW = ItemSumsView(ITEMS)


def release(**options: object) -> Release:
    config = RunConfig.model_validate(options)
    asked = Release(item_sums_query(ITEMS), 1, Fraction(1), None, 1, 100)
    if not config.private:
        return asked
    rho = rho_for(config.target_epsilon or 8.0, 1e-5)
    return asked.under(rho, Cohort("distributed", 100))


def answers(users: int = 100) -> list[Answer]:
    rng = np.random.default_rng(5)
    return [
        item_sums_vector(
            History(np.sort(rng.permutation(ITEMS)[:8]), rng.uniform(-2.5, 1.5, 8)), VIEW
        )
        for _ in range(users)
    ]


def engine(seed: int | None = None) -> Vectorised:
    source = OsRandom() if seed is None else SimulationRng(seed)
    return Vectorised(np.random.default_rng(0), source)


@pytest.mark.statistical
def test_cohort_sum_adds_noise_of_the_stated_size() -> None:
    # 80 coordinates of known variance: a chi-square outside [.5, 1.8] of its mean has p < 1e-4.
    asked = release(target_epsilon=1)
    free = engine().cohort_sum(release(no_privacy=True), 1, answers())
    noise = engine().cohort_sum(asked, 1, answers()) - free
    assert 0.5 < float(np.mean(noise**2)) / asked.noise_std**2 < 1.8


def test_cohort_sum_of_nobody_still_draws_noise() -> None:
    assert engine().cohort_sum(release(), 1, []).any()


def test_cohort_sum_draws_afresh_unless_seeded() -> None:
    first, second = (engine().cohort_sum(release(), 1, []) for _ in range(2))
    assert (first != second).any()
    repeated = [engine(3).cohort_sum(release(), 1, []) for _ in range(2)]
    assert (repeated[0] == repeated[1]).all()


def test_one_broken_device_moves_the_sum_by_no_more_than_its_norm() -> None:
    asked = release(no_privacy=True)
    good = answers()
    bad = item_sums_vector(
        History(np.arange(3), np.array([np.nan, 1e30, np.inf])), ItemSumsView(ITEMS)
    )
    moved = engine().cohort_sum(asked, 1, [*good, bad]) - engine().cohort_sum(asked, 1, good)
    assert float(np.linalg.norm(moved)) <= asked.query.clipping_norm
