# SPDX-License-Identifier: Apache-2.0
"""The algorithm on a small village, without noise unless said: what federation must bring."""

import numpy as np
import pytest

from client.training import trunk_items_vector
from server.plan import make_plan
from shared.catalogue import Catalogue
from shared.config import RunConfig
from shared.model.history import History
from shared.model.prior import Prior
from shared.model.released import SharedModel
from shared.model.tower import build_tower
from shared.model.trunk_items import directions
from shared.model.view import TrunkView
from shared.privacy.noise import OsRandom
from simulation.dataset import Dataset
from simulation.devices import histories
from simulation.federation import federate
from simulation.splits import Split, split
from simulation.vectorised import Vectorised


@pytest.fixture(scope="module")
def parts(hamlet: Dataset) -> Split:
    return split(hamlet, "random", 0.2, 3)


@pytest.fixture(scope="module")
def devices(hamlet: Dataset, parts: Split) -> list[History]:
    return histories(parts.known, len(hamlet.users), hamlet.scale)


def trained(devices: list[History], catalogue: Catalogue, **options: object) -> SharedModel:
    plan = make_plan(RunConfig.model_validate(options), len(devices), catalogue)
    engine = Vectorised(np.random.default_rng(0), OsRandom())
    return federate(devices, catalogue, plan, engine.cohort_sum)


def rmse(model: SharedModel, devices: list[History], parts: Split, hamlet: Dataset) -> float:
    errors = []
    for user, device in enumerate(devices):
        rows = parts.test.users == user
        stars = hamlet.scale.from_unit(model.rate(device, parts.test.items[rows]))
        errors.append(stars - parts.test.ratings[rows])
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


def test_federation_beats_a_device_alone(
    hamlet: Dataset, catalogue: Catalogue, parts: Split, devices: list[History]
) -> None:
    alone = rmse(trained(devices, catalogue, local_only=True), devices, parts, hamlet)
    together = rmse(trained(devices, catalogue, no_privacy=True), devices, parts, hamlet)
    assert together < alone - 0.01


def test_noise_costs_more_the_smaller_epsilon(
    hamlet: Dataset, catalogue: Catalogue, parts: Split, devices: list[History]
) -> None:
    # One user's weight against noise of sd 1/mu: at epsilon 0.01 nothing is left of the sums.
    free = rmse(trained(devices, catalogue, no_privacy=True), devices, parts, hamlet)
    drowned = rmse(trained(devices, catalogue, target_epsilon=0.01), devices, parts, hamlet)
    assert free < drowned


def test_empty_devices_and_one_rating_are_served(catalogue: Catalogue) -> None:
    nobody = History(np.zeros(0, dtype=np.int64), np.zeros(0))
    once = History(np.array([3]), np.array([1.0]))
    model = trained([nobody, once] * 10, catalogue, no_privacy=True)
    for device in (nobody, once):
        assert np.isfinite(model.rate(device, np.arange(len(catalogue)))).all()


def test_a_broken_device_does_not_spoil_the_model(
    catalogue: Catalogue, devices: list[History]
) -> None:
    broken = History(np.arange(5), np.array([np.nan, np.inf, -np.inf, 1e300, 0.0]))
    with np.errstate(all="ignore"):
        model = trained([*devices, broken], catalogue, budget={"item_sums": 1.0})
    assert np.isfinite(model.tower.features).all()


def test_trunk_vector_leaves_out_items_without_factors(
    catalogue: Catalogue, devices: list[History]
) -> None:
    model = trained(devices, catalogue, budget={"item_sums": 1.0})
    tower = build_tower(catalogue, model.statistics)
    prior = Prior.standard(tower.features.shape[1])
    place = np.where(np.arange(len(catalogue)) < 7, np.arange(len(catalogue)), -1)
    axes = directions(tower, model.statistics, prior, 2)
    view = TrunkView(tower, prior, axes, 1.0, place)
    vector = trunk_items_vector(devices[0], view)
    assert vector.dimension == 7 * 3
    assert len(vector.indices) == 3 * int((devices[0].items < 7).sum())
