# SPDX-License-Identifier: Apache-2.0
"""The deployment's two apps over a table instead of Ray: the same integers as the other engines."""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from client.training import Cohort
from server.folder import OperatorFolder
from server.measuring import released_figures
from server.operate import covered_plan
from server.plan import Release, Summed
from server.rounds import RoundShelf
from server.training import train
from shared.config import RunConfig
from shared.features import build_catalogue
from shared.ledger.replay import replay
from shared.logs import ALWAYS, FIELDS, VARIABLE
from shared.model.file import load_model, save_model
from shared.model.view import MetricsView, View
from shared.privacy.encode import encode
from shared.privacy.noise import discrete_gaussian
from shared.privacy.query import SparseVector
from shared.schema import Ints
from simulation.devices import devices_of
from simulation.flower import OverFlower, deployment, found, serve
from simulation.noise import SimulationRng
from simulation.splits import split
from simulation.vectorised import Vectorised
from simulation.village import village
from simulation.virtual import HELD, PARTITION, Household, chance_of, read_people

USERS, SEED = 6, 5


@dataclass
class Node:
    node_id: int
    public_key: bytes


class TableGrid:
    """Flower's Grid without Flower: every message is answered at once, in this process."""

    def __init__(self, place: Path, count: int) -> None:
        self._place = place
        self.nodes = [Node(1000 + i, secrets.token_bytes(32)) for i in range(count)]
        self.household: Household | None = None
        self.replies: dict[str, Message] = {}

    def get_nodes(self) -> list[Node]:
        return self.nodes

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        self.household = self.household or Household(self._place)
        names = []
        for message in messages:
            name = secrets.token_hex(8)
            message.metadata.__dict__["_message_id"] = name
            node = message.metadata.dst_node_id
            self.replies[name] = self.household.answer(message, context(node, node - 1000))
            names.append(name)
        return names

    def pull_messages(self, names: Iterable[str]) -> list[Message]:
        return [self.replies.pop(name) for name in list(names) if name in self.replies]


def context(node: int = 0, partition: int = 0) -> Context:
    return Context(
        run_id=1,
        node_id=node,
        node_config={PARTITION: partition},
        state=RecordDict(),
        run_config={},
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A federation of the village that has run to its release."""
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1
    place = tmp_path_factory.mktemp("virtual") / "place"
    dataset = village(USERS, 20, seed=3)
    catalogue, basis = build_catalogue(dataset.items, None)
    config = RunConfig(rounds=1, dropout=0.2, budget={"item_sums": 0.6, "trunk_items": 0.4})
    choices = deployment(config, USERS, comments=dataset.comments_declared)
    devices = devices_of(dataset, dataset.interactions)
    found(place, choices, catalogue, basis, devices, SEED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "json")
        serve(TableGrid(place, USERS), context(), place)
    return place


def test_server_log_has_one_object_a_line_with_agreed_keys(place: Path) -> None:
    text = (place / "operator" / "server.log").read_text()
    lines = [json.loads(line) for line in text.splitlines()]

    assert all(set(line) <= {*ALWAYS, *FIELDS} for line in lines)
    rounds = [line for line in lines if "survivors" in line]
    assert [line["query"] for line in rounds] == ["item_sums", "trunk_items"]
    assert {line["survivors"] for line in rounds} == {USERS}


def test_both_apps_release_a_model_whose_ledger_replays(place: Path) -> None:
    book = replay(place / "operator" / "ledger").book

    assert (book.released, book.discarded, len(book.releases)) == (2, 0, 1)
    assert book.survivors_min == USERS


def test_seeded_noise_gives_the_integers_of_the_vectorised_engine(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = OperatorFolder(place / "operator")
    devices, seed = read_people(place)
    assert seed == SEED
    chances = [chance_of(SEED, index) for index in range(USERS)]
    plan = covered_plan(folder, folder.catalogue, folder.draft)
    over_flower = OverFlower(place, lambda: pytest.fail("the federation has run"))

    def ask(release: Release, server_round: int, view: View) -> Summed:
        mechanism, size = release.mechanism, release.query.dimension
        assert mechanism is not None
        encoded = [
            dense(encode(next(Cohort([own]).answers(view)), release.query, mechanism, rng))
            for own, (rng, _) in zip(devices, chances, strict=True)
        ]
        noise = [discrete_gaussian(mechanism.sigma2, size, source) for _, source in chances]
        opened = RoundShelf(folder.path / "rounds").of(release.query.name, server_round)[-1].opened
        assert opened is not None
        np.testing.assert_array_equal(opened.total, np.sum(encoded, 0) + np.sum(noise, 0))

        monkeypatch.setattr("simulation.vectorised.encode", lambda integers, *_: integers)
        one_draw = discrete_gaussian(release.variance, size, SimulationRng(9))
        plain = Vectorised(np.random.default_rng(0), SimulationRng(9)).cohort_sum(
            release, server_round, encoded
        )
        unit = release.query.clipping_norm / mechanism.scaled_norm
        np.testing.assert_array_equal(
            np.rint(plain / unit).astype(int) - one_draw, opened.total - np.sum(noise, 0)
        )
        return release.summed(over_flower.cohort_sum(release, server_round, []), USERS)

    model = train(folder.catalogue, plan, ask)
    assert save_model(model) == (folder.path / "model.safetensors").read_bytes()


def dense(encoded: Ints | SparseVector) -> Ints:
    if not isinstance(encoded, SparseVector):
        return encoded
    whole = np.zeros(encoded.dimension, dtype=np.int64)
    whole[encoded.indices] = encoded.values
    return whole


def test_household_gives_every_node_a_device_and_a_key_of_its_own(place: Path) -> None:
    seats = [file.read_text() for file in (place / "operator" / "devices").glob("*/enrolled.json")]

    assert len(seats) == USERS == len(set(seats))


def test_people_come_back_as_they_were_written(place: Path) -> None:
    dataset = village(USERS, 20, seed=3)
    written = devices_of(dataset, dataset.interactions)
    read, _ = read_people(place)

    for one, other in zip(written, read, strict=True):
        np.testing.assert_array_equal(one.items, other.items)
        np.testing.assert_array_equal(one.ratings, other.ratings)
        assert (one.comment_lengths is None) == (other.comment_lengths is None)


def test_virtual_devices_measure_the_model_on_what_they_hold_out(tmp_path: Path) -> None:
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1
    place, dataset = tmp_path / "place", village(USERS, 20, seed=3)
    parts = split(dataset, "random", 0.3, 1)
    catalogue, basis = build_catalogue(dataset.items, None)
    config = RunConfig(dropout=0.2, budget={"item_sums": 0.5, "metrics": 0.5}, target_epsilon=60)
    choices = deployment(config, USERS, comments=dataset.comments_declared)
    devices, held = devices_of(dataset, parts.known), devices_of(dataset, parts.test)
    found(place, choices, catalogue, basis, devices, SEED, held)
    assert [len(own) for own in read_people(place, HELD)[0]] == [len(own) for own in held]
    serve(TableGrid(place, USERS), context(), place)
    folder = OperatorFolder(place / "operator")
    plan = covered_plan(folder, catalogue, folder.draft)
    (booked,) = replay(folder.path / "ledger").book.metrics
    over_flower = OverFlower(place, lambda: pytest.fail("the federation has run"))
    noisy = over_flower.cohort_sum(plan["metrics"], 1, [])
    model = load_model((folder.path / "model.safetensors").read_bytes(), folder.catalogue)
    exact = np.sum(list(Cohort(devices, held).answers(MetricsView(model))), axis=0)
    # The noise is seeded; six standard deviations, and what rounding adds.
    assert np.abs(noisy - exact).max() < 6 * plan["metrics"].noise_std + 0.01
    assert exact[-1] == sum(len(own) > 0 for own in held)
    figures = released_figures(noisy, plan["metrics"].noise_std, 1 / dataset.scale.unit)
    assert {name: float(value) for name, value in booked["figures"].items()} == figures
