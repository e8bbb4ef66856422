# SPDX-License-Identifier: Apache-2.0
"""The server's steps about interest: what they learn of made-up people, what noise leaves."""

from dataclasses import replace

import numpy as np
import pytest

from client.training import answers
from server.interest import (
    Terms,
    above_edge,
    terms_step,
    train_interest,
    widened,
    with_directions,
)
from server.plan import Plan, Release, Summed, make_plan
from shared.catalogue import Catalogue
from shared.config import RunConfig
from shared.model.history import History
from shared.model.interest import InterestModel
from shared.model.statistics import ItemStatistics
from shared.model.view import InterestView
from shared.privacy.clip import clip
from shared.privacy.query import SparseVector
from shared.ranking.interest import Interest
from shared.schema import Floats


def summed(release: Release, view: InterestView, devices: list[History]) -> Floats:
    """Sum the clipped answers: the control without noise."""
    total = np.zeros(release.query.dimension)
    for answer in answers(view, devices):
        clipped = clip(answer, release.query)
        if isinstance(clipped, SparseVector):
            total[clipped.indices] += clipped.values
        else:
            total += clipped
    return total


@pytest.fixture(scope="module")
def devices(catalogue: Catalogue) -> list[History]:
    """People who choose within a half of the catalogue, one of two that no feature tells."""
    rng = np.random.default_rng(3)
    half = rng.permutation(len(catalogue)) % 2
    sides = [np.flatnonzero(half == side) for side in (0, 1)]
    return [History(rng.permutation(sides[u % 2])[:12], np.zeros(12)) for u in range(80)]


def trained(catalogue: Catalogue, devices: list[History], plan: Plan) -> InterestModel:
    weight = np.bincount(np.concatenate([d.items for d in devices]), minlength=len(catalogue)) / 5
    statistics = ItemStatistics(np.zeros(len(weight)), weight, np.zeros(len(weight)))
    start = InterestModel.untrained(catalogue, np.zeros(len(weight)), np.zeros(len(weight)))

    def ask(release: Release, server_round: int, view: InterestView) -> Summed:
        return release.summed(summed(release, view, devices))

    return train_interest(catalogue, statistics, start, plan, ask)


def test_training_makes_what_people_choose_likelier(
    catalogue: Catalogue, devices: list[History]
) -> None:
    plan = make_plan(RunConfig(no_privacy=True), len(devices), catalogue)
    model = trained(catalogue, devices, plan)
    untrained = trained(catalogue, devices, replace(plan, releases=()))

    def place(model: InterestModel) -> float:
        ready, places = Interest.of(catalogue, model), []
        for device in devices:
            known, held = device.items[:-1], device.items[-1]
            places.append(list(ready.rank(known, len(catalogue))).index(held))
        return float(np.mean(places))

    assert place(model) < place(untrained) - 3


def test_nothing_is_asked_when_the_plan_has_no_ranking(
    catalogue: Catalogue, devices: list[History]
) -> None:
    plan = make_plan(RunConfig(local_only=True), len(devices), catalogue)
    assert not trained(catalogue, devices, plan).bilinear.size


def test_above_edge_leaves_nothing_of_pure_noise_and_most_of_a_signal() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(30, 30))
    assert np.linalg.norm(above_edge(noise, 1.0)) < 0.4 * np.linalg.norm(noise)
    signal = 40.0 * np.outer(np.eye(30)[0], np.eye(30)[0])
    kept = above_edge(signal + noise, 1.0)
    assert kept[0, 0] == pytest.approx(40.0, rel=0.25)
    assert np.abs(kept - kept.T).max() < 2.0, "what is not symmetric is noise here"
    np.testing.assert_allclose(above_edge(signal + noise, 0.0), signal + noise, atol=1e-9)


def test_terms_step_shrinks_by_the_known_variance() -> None:
    zeros = np.zeros((3, 2))
    total, curvature = np.full((3, 2), 2.0), np.array([[0.0], [1.0], [10.0]])
    free = terms_step(Terms(zeros, zeros, 0.0, 0.0, 0), total, 0.0, curvature)
    noisy = terms_step(Terms(zeros, zeros, 0.0, 0.0, 0), total, 5.0, curvature)
    assert not free.items[0].any(), "an item of no weight has no term"
    assert (noisy.items[1:] < 0.5 * free.items[1:]).all()
    assert (free.items[1:, 0] > free.items[1:, 1]).all(), "factors have the narrower prior"


def test_widened_vectors_are_white_and_directions_have_unit_spread(catalogue: Catalogue) -> None:
    rng = np.random.default_rng(1)
    items = len(catalogue)
    start = InterestModel.untrained(catalogue, rng.normal(size=items), rng.normal(size=items))
    model = widened(start, catalogue, 6)
    vectors = model.vectors(catalogue)
    np.testing.assert_allclose(vectors.T @ vectors / items, np.eye(6), atol=1e-8)
    drawn = replace(model, bilinear=np.diag([3.0, 2.0, 0, 0, 0, 0]))
    tilted = with_directions(drawn, catalogue, np.full(items, 1 / items), 3)
    assert tilted.directions.any(axis=0).tolist() == [True, True, False]
    assert tilted.items.shape == (items, 4)
