# SPDX-License-Identifier: Apache-2.0
"""A device and the simulator compute the same of the same owner: answers, integers, predictions."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from client.device import Device
from client.training import Cohort
from server.plan import make_plan
from server.training import train
from shared.catalogue import load_catalogue
from shared.config import RunConfig
from shared.model.file import save_model
from shared.model.history import History
from shared.privacy import encode as encoder
from shared.privacy.canonical import digest, sign
from shared.privacy.clip import clip
from shared.privacy.door import Contribution
from shared.privacy.plan import mechanism_for
from shared.privacy.policy import RoundConfig
from shared.privacy.query import SumQuery
from simulation.dataset import Dataset
from simulation.devices import devices_of
from tests.client.made_store import COHORT, POLICY, SERVER, joined

NAMES = set(POLICY.queries)


@pytest.fixture(scope="module")
def cohort(hamlet: Dataset) -> list[History]:
    return devices_of(hamlet, hamlet.interactions)


@pytest.fixture(scope="module")
def questions(public: Path, cohort: list[History]) -> tuple[list, object]:
    """Every kind of question that a whole run without noise asks, and the model it ends with."""
    catalogue, _, _ = load_catalogue(public / "catalogue.safetensors")
    config = RunConfig(no_privacy=True, rounds=2, blocks=("items", "network"))
    plan = make_plan(config, len(cohort), catalogue, comments=True)
    devices, asked = Cohort(cohort), []

    def ask(release, server_round, view):
        query = clipped(release.query)
        if sum(query.name == earlier.name for earlier, _ in asked) < 2:
            asked.append((query, view))
        total = np.zeros(query.dimension)
        for answer in devices.answers(view):
            total += dense(clip(answer, query), query.dimension)
        return release.summed(total)

    return asked, train(catalogue, plan, ask)


def clipped(query: SumQuery) -> SumQuery:
    """Return a question with norms that people reach: a run without noise does not clip all."""
    blocks = tuple(replace(b, clipping_norm=min(b.clipping_norm, 10.0)) for b in query.blocks)
    return replace(query, blocks=blocks)


def dense(vector, size: int) -> np.ndarray:
    if isinstance(vector, np.ndarray):
        return vector
    full = np.zeros(size)
    full[vector.indices] = vector.values
    return full


@pytest.fixture
def lived(device: Device, cohort: list[History], hamlet: Dataset) -> Device:
    """A device on which the first owner of the hamlet entered what the simulator knows of them."""
    events = hamlet.interactions
    mine = events.take(events.users == 0)
    for item, stars, at, text in zip(
        mine.items, mine.ratings, mine.timestamps, mine.comments, strict=True
    ):
        device.rate(int(item), float(stars), str(text), now=int(at))
    for item, act in zip(cohort[0].items, cohort[0].comment_acts, strict=True):
        if not np.isnan(act):
            device.note(int(item), "opened" if act else "seen")
    assert device.history.items.tolist() == cohort[0].items.tolist()
    assert np.array_equal(device.history.comment_acts, cohort[0].comment_acts, equal_nan=True)
    assert device.history.ratings.tolist() == cohort[0].ratings.tolist()
    assert device.history.comment_lengths.tolist() == cohort[0].comment_lengths.tolist()
    return joined(device)


def test_every_question_gets_the_simulators_answer_within_one_unit(
    lived: Device, cohort: list[History], questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the real door, its noise taken off: the same integers but for rounding's coin."""
    asked, _ = questions
    assert {query.name for query, _ in asked} >= NAMES
    monkeypatch.setattr("shared.privacy.door.discrete_gaussian", _no_noise)
    simulator = Cohort(cohort[:4])
    for round_, (query, view) in enumerate(asked, start=1):
        mechanism = mechanism_for(query, Fraction(1, 100), COHORT)
        config = RoundConfig(digest(POLICY), "0", "autumn", round_, query, mechanism)
        given = lived.answer(sign(config, SERVER), view, f"s{round_}", now=2000 + round_)
        assert isinstance(given, Contribution)
        expected = next(iter(simulator.answers(view)))
        scaled = clip(expected, query)
        exact = dense(scaled, query.dimension) * mechanism.scaled_norm / query.clipping_norm
        integers = encoder.from_residues(given.residues)
        assert np.abs(integers - exact).max() <= 1, query.name
        assert integers.any()


def _no_noise(variance: int, size: int, source: object) -> np.ndarray:
    return np.zeros(size, dtype=np.int64)


def test_released_model_predicts_and_lists_the_same_on_both_sides(lived: Device, questions) -> None:
    from client.recommending import recommend

    model = questions[1]
    lived.take_model(save_model(model))
    items = np.arange(len(lived.catalogue))
    here, there = lived.model.rate(lived.history, items), model.rate(lived.history, items)
    assert np.array_equal(here, there)
    ours, theirs = recommend(lived.model, lived.history, 10), recommend(model, lived.history, 10)
    assert [one.item for one in ours] == [one.item for one in theirs]
