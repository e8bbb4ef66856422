# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from shared.model.history import History
from shared.model.prior import Prior
from shared.model.ridge import posterior
from shared.model.solving import item_tasks
from shared.model.statistics import ItemStatistics
from shared.model.tower import build_tower
from shared.model.trunk_items import (
    ItemBlock,
    directions,
    item_step,
    moved,
    trunk_rows,
    variance_of_gradients,
)
from shared.model.view import TrunkView
from tests.shared.model.conftest import made_up_catalogue


@pytest.fixture
def world(catalogue):
    rng = np.random.default_rng(5)
    statistics = ItemStatistics(rng.normal(size=40), rng.uniform(1, 9, 40), rng.normal(size=40))
    tower = build_tower(catalogue, statistics)
    root = rng.normal(size=(16, 16)) / 4.0
    prior = Prior(np.eye(16) + root @ root.T, np.zeros(16))
    return tower, statistics, prior, directions(tower, statistics, prior, 2)


def test_directions_have_unit_prior_variance(world):
    _, _, prior, axes = world
    np.testing.assert_allclose(np.diag(axes.T @ prior.covariance @ axes), 1.0)


def _loss(tower, prior, axes, deltas, item, items, ratings):
    """Half the squared error on one rating, its user vector solved without it."""
    rest = items != item
    solved = posterior(
        tower.features[items[rest]], (ratings - tower.offset[items])[rest], prior.precision
    )
    feature = tower.features[item] + axes @ deltas[1:]
    shown = tower.offset[item] + deltas[0] + feature @ solved.mean
    return 0.5 * float(ratings[~rest][0] - shown) ** 2


def _rows(world, items, ratings, preference):
    tower, _, prior, axes = world
    view = TrunkView(tower, prior, axes, preference, np.arange(40))
    return trunk_rows(item_tasks(view, History(items, ratings)), preference=preference)


def test_trunk_rows_are_the_gradient_of_the_loss(world):
    tower, _, prior, axes = world
    items, ratings = np.array([3, 8, 21, 30]), np.array([0.5, -0.5, 0.2, 0.4])
    rows = _rows(world, items, ratings, 1.0)
    for row, item in zip(rows, items, strict=True):
        for j, step in enumerate(1e-5 * np.eye(3)):
            up = _loss(tower, prior, axes, step, item, items, ratings)
            down = _loss(tower, prior, axes, -step, item, items, ratings)
            assert row[j] == pytest.approx((up - down) / 2e-5, abs=1e-7)


def test_trunk_rows_are_clamped(world):
    rows = _rows(world, np.arange(5), np.full(5, 1e6), 1.5)
    assert np.all(np.abs(rows[:, 0]) <= 3.0)
    assert np.all(np.abs(rows[:, 1:]) <= 4.0)


@pytest.mark.parametrize("noise_std", [0.0, 1e9])
def test_item_step_descends_and_drowns_in_noise(world, noise_std):
    _, statistics, _, _ = world
    total = -np.ones((40, 3))
    block = item_step(
        ItemBlock.zeros(40, 2),
        total,
        noise_std,
        statistics,
        preference=1.0,
        offset_variance=np.full(40, 0.04),
    )
    assert np.all(block.deltas > 0.0)
    assert np.all(block.deltas < (1e-9 if noise_std else 1.0))


def test_item_step_is_finite_for_items_of_no_weight():
    block = ItemBlock.zeros(3, 1)
    block = item_step(
        block,
        np.ones((3, 2)),
        0.0,
        ItemStatistics.empty(3),
        preference=1.0,
        offset_variance=np.ones(3),
    )
    np.testing.assert_array_equal(block.deltas, 0.0)


def test_item_step_divides_the_offset_by_its_preference(world):
    _, statistics, _, _ = world
    start, total = ItemBlock.zeros(40, 1), np.ones((40, 2))
    plain = item_step(
        start, total, 0.0, statistics, preference=1.0, offset_variance=np.full(40, 0.04)
    )
    twice = item_step(
        start,
        total * [2.0, 1.0],
        0.0,
        statistics,
        preference=2.0,
        offset_variance=np.full(40, 0.04),
    )
    np.testing.assert_allclose(plain.deltas, twice.deltas)


def test_item_step_moves_a_well_known_mean_less(world):
    _, statistics, _, _ = world
    start, total = ItemBlock.zeros(40, 1), -np.ones((40, 2))
    known = item_step(
        start, total, 0.5, statistics, preference=1.0, offset_variance=np.full(40, 0.01)
    )
    noisy = item_step(
        start, total, 0.5, statistics, preference=1.0, offset_variance=np.full(40, 0.1)
    )
    never = item_step(
        start, total, 0.5, statistics, preference=1.0, offset_variance=np.full(40, 0.1444)
    )
    assert np.all(known.deltas[:, 0] < noisy.deltas[:, 0])
    assert np.all(noisy.deltas[:, 0] < never.deltas[:, 0])
    np.testing.assert_array_equal(known.deltas[:, 1], never.deltas[:, 1])


def test_moved_leaves_the_mean_person_alone(world):
    tower, _, _, axes = world
    deltas = np.column_stack([np.full(40, 0.1), np.ones((40, 2))])
    after = moved(tower, ItemBlock(deltas, deltas, 1.0, 1.0, 1), axes)
    np.testing.assert_allclose(after.offset, tower.offset + 0.1)
    np.testing.assert_allclose(after.features - tower.features, np.ones((40, 2)) @ axes.T)


def test_variance_of_gradients_grows_with_the_row_scale_where_nothing_tells_items_apart():
    catalogue = made_up_catalogue(10)
    bare = replace(catalogue, text=np.zeros((10, 0)), categories=np.zeros((10, 0)))
    assert variance_of_gradients(catalogue, 0.1) == variance_of_gradients(catalogue, 0.4)
    assert variance_of_gradients(bare, 0.4) == 4 * variance_of_gradients(bare, 0.1)
