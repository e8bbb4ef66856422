# SPDX-License-Identifier: Apache-2.0
"""The metric release over the wire: one more round after training, on ratings that stayed out."""

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import privet
from server.asking import Asking
from server.measuring import measure, released_figures
from server.plan import Plan, make_plan
from server.rounds import RoundShelf
from server.training import train
from shared import wire
from shared.catalogue import Catalogue
from shared.config import RunConfig
from shared.features import build_catalogue, item_text
from shared.ledger.replay import replay
from shared.model.file import load_model, save_model
from shared.model.history import History
from shared.model.queries import METRICS
from shared.model.view import MetricsView
from shared.privacy.encode import decode, from_residues
from shared.privacy.policy import Policy
from shared.text.encoder import load_encoder
from simulation.dataset import Dataset
from tests.federation.made import Died, Files, Village, asking, open_ledger, policy_for, settle
from tests.federation.operated import settle as settle_sealed

USERS = 7
SHARES = {"item_sums": 0.4, "population_prior": 0.1, "metrics": 0.5}
CONFIG = RunConfig(rounds=1, budget=SHARES, dropout=0.3, target_epsilon=60)


@dataclass
class Town:
    folder: Path
    plan: Plan
    policy: Policy
    village: Village
    catalogue: Catalogue

    def live(self) -> dict[str, float] | None:
        """One life of the server, to the release; return the figures."""
        with open_ledger(self.folder) as ledger:
            server = asking(self.folder, self.village, self.policy, ledger)
            return released(self, server)

    @property
    def shelf(self) -> RoundShelf:
        return RoundShelf(self.folder / "rounds")


def released(town: Town, server: Asking) -> dict[str, float] | None:
    model = train(town.catalogue, town.plan, server.ask)
    figures = measure(model, town.plan, server.ask, 1.0)
    server.finish(save_model(model), figures)
    return figures


def made(folder: Path, catalogue: Catalogue, policy: Policy | None = None) -> Town:
    rng = np.random.default_rng(5)
    owners = [
        History(rng.permutation(len(catalogue))[:count], rng.choice([-1.0, 0.0, 1.0, 1.5], count))
        for count in (*[20] * (USERS - 1), 0)
    ]
    plan = make_plan(CONFIG, USERS, catalogue)
    agreed = policy or policy_for(plan, USERS)
    village = settle(owners, agreed, Files(folder / "files").fetch)
    for door in village.doors.values():
        door.known = catalogue
    return Town(folder, plan, agreed, village, catalogue)


@pytest.fixture
def town(tmp_path: Path, catalogue: Catalogue) -> Town:
    return made(tmp_path, catalogue)


def rows(town: Town, kind: str) -> list[dict[str, object]]:
    lines = (town.folder / "ledger" / "records.jsonl").read_text().splitlines()
    return [found["body"] for line in lines if (found := json.loads(line))["kind"] == kind]


def measured(town: Town) -> np.ndarray:
    """What each device says of the released file, before its door."""
    book = replay(town.folder / "ledger").book
    file = (town.folder / "files" / book.releases[0]["file"]).read_bytes()
    view = MetricsView(load_model(file, town.catalogue))
    doors = town.village.doors.values()
    return np.stack([next(iter(door.cohort().answers(view))) for door in doors])


def test_metrics_are_asked_once_after_training_and_booked(town: Town) -> None:
    figures = town.live()
    assert figures is not None
    book = replay(town.folder / "ledger").book
    (booked,) = book.metrics
    assert {name: float(value) for name, value in booked["figures"].items()} == figures
    assert booked["round"] == book.last_round
    assert [body["query"] for body in rows(town, "round_close")][-1] == "metrics"
    assert book.rho == town.plan.rho


def test_the_metric_round_measures_the_released_file_and_leaves_it_alone(town: Town) -> None:
    town.live()
    opened, closed = rows(town, "round_open")[-1], rows(town, "round_close")[-1]
    (release,) = rows(town, "release")
    assert opened["model"] == closed["model"] == release["model"] == release["file"]


def test_the_sum_is_that_of_the_devices_vectors_in_the_noise(town: Town) -> None:
    figures = town.live()
    last = list(town.shelf)[-1]
    assert last.opened is not None
    passed = [door.released[last.number] for door in town.village.doors.values()]
    total = from_residues(np.sum(passed, axis=0, dtype=np.uint32))
    np.testing.assert_array_equal(last.opened.total, total)
    asked = town.plan["metrics"]
    assert asked.mechanism is not None
    noisy = decode(total, asked.query, asked.mechanism)
    exact = measured(town).sum(axis=0)
    # Six standard deviations in each of seven coordinates: a false alarm in 70 million runs.
    assert np.abs(noisy - exact).max() < 6 * asked.noise_std + 0.01
    assert figures == released_figures(noisy, asked.noise_std, 1.0)


def test_a_device_without_held_out_ratings_sends_noise_alone(town: Town) -> None:
    town.live()
    said = measured(town)
    assert sorted(said[:, -1]) == [0.0, *[1.0] * (USERS - 1)]
    assert not said[said[:, -1] == 0].any()
    empty = next(door for door in town.village.doors.values() if len(door.own) == 0)
    last = list(town.shelf)[-1].number
    assert from_residues(empty.released[last]).any()
    assert said.shape == (USERS, len(METRICS) + 1)


def test_held_out_ratings_are_in_no_training_answer(town: Town) -> None:
    for door in town.village.doors.values():
        cohort = door.cohort()
        assert cohort.held is not None
        kept, held = cohort.devices[0].items, cohort.held[0].items
        assert sorted([*kept, *held]) == sorted(door.own.items)
        assert (len(held) > 0) == (len(door.own) > 0)


@pytest.mark.parametrize("stage", wire.STAGES)
def test_a_restart_before_or_in_the_metric_round_asks_it_once(town: Town, stage: str) -> None:
    last = sum(release.rounds for release in town.plan.releases)
    town.village.crash = lambda at, of: (at, of) == (stage, last)
    with pytest.raises(Died):
        town.live()
    town.village.crash = lambda at, of: False
    figures = town.live()
    assert town.live() == figures, "a life after the release finds everything done"
    assert len(rows(town, "metric_release")) == 1
    asked = Counter(folder.decided.query for folder in town.shelf)
    assert asked["metrics"] == 1
    assert all(len(door.charges) == last for door in town.village.doors.values())


def test_a_server_killed_between_training_and_metrics_asks_them_once(town: Town) -> None:
    with open_ledger(town.folder) as ledger:
        server = asking(town.folder, town.village, town.policy, ledger)
        train(town.catalogue, town.plan, server.ask)
    assert town.live() is not None
    assert len(rows(town, "metric_release")) == 1
    assert Counter(folder.decided.query for folder in town.shelf)["metrics"] == 1


def test_devices_whose_policy_has_no_metrics_refuse_and_the_model_goes_unmeasured(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    plan = make_plan(CONFIG, USERS, catalogue)
    full = policy_for(plan, USERS)
    town = made(tmp_path, catalogue, replace(full, queries=full.queries[:-1]))
    assert "metrics" not in town.policy.queries
    assert town.live() is None
    training = sum(release.rounds for release in plan.releases) - 1
    assert all(len(door.charges) == training for door in town.village.doors.values())
    assert all(door.cohort().held is None for door in town.village.doors.values())
    found = replay(town.folder / "ledger").book
    assert not found.metrics
    assert len(found.releases) == 1
    refused = [m for _, _, m in town.village.said if isinstance(m, wire.Refused)]
    assert {m.round for m in refused} == {training + 1, training + 2}


def test_sealed_devices_measure_and_the_operator_sees_the_figures(
    tmp_path: Path, hamlet: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = np.asarray(load_encoder("characters").encode(item_text(hamlet.items)))
    listed, basis = build_catalogue(hamlet.items, vectors, encoder="characters-2048")
    shares = {"item_sums": 0.5, "metrics": 0.5}
    town = settle_sealed(tmp_path / "made", listed, basis, budget=shares)
    town.live()
    book = replay(town.folder.path / "ledger").book
    (booked,) = book.metrics
    with town.device(0) as device:
        kinds = [receipt.kind for receipt in device.receipts()]
        assert kinds == ["update-upload", "metric-upload"]
        assert len(device.history) == 6
    place = str(town.folder.path)
    assert privet.main(["server", "status", place, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == booked["figures"]
    assert privet.main(["server", "status", place]) == 0
    rmse = float(booked["figures"]["rmse_user"])
    assert f"rmse_user {rmse:.4g} ± " in capsys.readouterr().out
    assert privet.main(["server", "release", place]) == 0
    assert f"rmse_user {rmse:.4g} ± " in capsys.readouterr().out
