# SPDX-License-Identifier: Apache-2.0
"""A federation of devices gives what the simulator gives: the same integers, the same accuracy."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from server.plan import Plan, make_plan
from server.rounds import RoundShelf
from server.training import train
from shared.catalogue import Catalogue
from shared.config import RunConfig
from shared.ledger.replay import replay
from shared.model.history import History
from shared.model.released import SharedModel
from shared.privacy.accountant import epsilon
from shared.privacy.encode import from_residues
from shared.privacy.noise import OsRandom
from simulation.dataset import Dataset
from simulation.devices import histories
from simulation.federation import federate
from simulation.splits import Split, split
from simulation.vectorised import Vectorised
from tests.federation.made import Files, Village, asking, open_ledger, policy_for, settle

USERS, DRAWS = 30, 40
CONFIG = RunConfig(
    rounds=1,
    dropout=0.1,
    target_epsilon=8,
    budget={"item_sums": 0.6, "population_prior": 0.1, "trunk_items": 0.3},
)


@dataclass
class Lived:
    """A federation that ran, and what went into it."""

    folder: Path
    model: SharedModel
    village: Village
    plan: Plan
    owners: list[History]


@pytest.fixture(scope="module")
def parts(hamlet: Dataset) -> Split:
    return split(hamlet, "random", 0.2, 3)


@pytest.fixture(scope="module")
def lived(
    hamlet: Dataset,
    catalogue: Catalogue,
    parts: Split,
    tmp_path_factory: pytest.TempPathFactory,
) -> Lived:
    folder = tmp_path_factory.mktemp("lived")
    owners = histories(parts.known, len(hamlet.users), hamlet.scale)[:USERS]
    plan = make_plan(CONFIG, USERS, catalogue)
    policy = policy_for(plan, USERS)
    village = settle(owners, policy, Files(folder / "files").fetch)
    with open_ledger(folder) as writer:
        server = asking(folder, village, policy, writer)
        model = train(catalogue, plan, server.ask)
        server.finish(b"model")
    return Lived(folder, model, village, plan, owners)


def test_an_opened_sum_is_exactly_the_sum_of_what_passed_the_doors(lived: Lived) -> None:
    for folder in RoundShelf(lived.folder / "rounds"):
        opened = folder.opened
        assert opened is not None
        passed = [door.released[folder.number] for door in lived.village.doors.values()]
        total = np.sum(passed, axis=0, dtype=np.uint32)
        np.testing.assert_array_equal(opened.total, from_residues(total))


def test_the_ledger_replays_to_the_epsilon_of_the_plan(lived: Lived) -> None:
    book = replay(lived.folder / "ledger").book
    assert epsilon(book.rho, lived.plan.delta) == pytest.approx(
        epsilon(lived.plan.rho, lived.plan.delta), abs=1e-9
    )


def rmse(model: SharedModel, owners: list[History], parts: Split, hamlet: Dataset) -> float:
    errors = []
    for user, own in enumerate(owners):
        rows = parts.test.users == user
        stars = hamlet.scale.from_unit(model.rate(own, parts.test.items[rows]))
        errors.append(stars - parts.test.ratings[rows])
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


@pytest.mark.statistical
def test_the_model_is_as_good_as_the_simulators(
    lived: Lived, catalogue: Catalogue, parts: Split, hamlet: Dataset
) -> None:
    """Within 3 standard deviations over 40 draws of the noise.

    One further draw passes by chance: Student's t with 39 degrees at 3 / √(1 + 1/40): false alarm
    0.5 %.
    """
    simulated = []
    for draw in range(DRAWS):
        engine = Vectorised(np.random.default_rng(draw), OsRandom())
        model = federate(lived.owners, catalogue, lived.plan, engine.cohort_sum)
        simulated.append(rmse(model, lived.owners, parts, hamlet))
    mean, spread = np.mean(simulated), np.std(simulated, ddof=1)
    found = rmse(lived.model, lived.owners, parts, hamlet)
    print(f"federation {found:.4f}, simulator {mean:.4f}, sd {spread:.4f} over {DRAWS} draws")
    assert abs(found - mean) < 3 * spread
