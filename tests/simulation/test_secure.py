# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from client.training import item_sums_vector
from server.plan import Release
from shared.errors import UsageError
from shared.model.history import History
from shared.model.queries import item_sums_query
from shared.model.view import ItemSumsView
from shared.privacy.accountant import rho_for
from shared.privacy.encode import decode
from shared.privacy.plan import Cohort
from simulation import simulate
from simulation.dataset import Dataset
from simulation.generic_writer import write
from simulation.noise import SimulationRng
from simulation.secure import Secure

ITEMS, USERS = 12, 18
VIEW = ItemSumsView(ITEMS)


def release(sessions: int = 1) -> Release:
    asked = Release(item_sums_query(ITEMS), 1, Fraction(1), None, sessions, USERS)
    return asked.under(rho_for(8.0, 1e-5), Cohort("distributed", USERS // sessions))


def answers() -> list[object]:
    rng = np.random.default_rng(2)
    return [
        item_sums_vector(
            History(rng.permutation(ITEMS)[:4], rng.uniform(-2, 1, 4)), ItemSumsView(ITEMS)
        )
        for _ in range(USERS)
    ]


def engine() -> Secure:
    return Secure(np.random.default_rng(0), SimulationRng(7))


@pytest.mark.parametrize("sessions", [1, 3])
def test_secure_engine_gives_the_integers_of_the_plain_sum(sessions: int) -> None:
    asked = release(sessions)
    assert asked.mechanism is not None
    plain_engine = engine()
    shares = [plain_engine.share(a, asked, asked.mechanism) for a in answers()]  # type: ignore[arg-type]
    plain = decode(np.sum(shares, axis=0), asked.query, asked.mechanism)
    opened = engine().cohort_sum(asked, 1, answers())  # type: ignore[arg-type]
    np.testing.assert_array_equal(opened, plain)


def test_secure_engine_refuses_a_sum_without_noise() -> None:
    asked = Release(item_sums_query(ITEMS), 1, Fraction(1), None, 1, USERS)
    with pytest.raises(UsageError):
        engine().cohort_sum(asked, 1, [])


def test_simulate_runs_the_real_protocol(hamlet: Dataset, tmp_path: Path) -> None:
    write(tmp_path / "data", hamlet)
    figures = simulate(
        data=str(tmp_path / "data"),
        encoder="characters",
        protocol="real",
        cohort=40,
        target_epsilon=1,
        out=str(tmp_path / "run"),
    )
    assert figures["secure_aggregation"] == "real"
    assert figures["sessions"] == 3
