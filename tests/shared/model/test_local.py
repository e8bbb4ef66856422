# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from shared.model.local import predict
from shared.model.prior import Prior
from shared.model.statistics import ItemStatistics
from shared.model.tower import build_tower


@pytest.fixture
def local(catalogue):
    tower = build_tower(catalogue, ItemStatistics.empty(40))
    return tower, Prior.standard(tower.features.shape[1]), catalogue


@pytest.mark.parametrize("kernel", [True, False])
def test_predict_returns_the_offset_without_ratings(local, kernel):
    nothing = np.zeros(0, dtype=np.int64)
    got = predict(*local, nothing, np.zeros(0), np.arange(40), kernel=kernel)
    np.testing.assert_array_equal(got, local[0].offset)


@pytest.mark.parametrize("kernel", [True, False])
def test_predict_follows_one_rating(local, kernel):
    got = predict(*local, np.array([4]), np.array([1.5]), np.arange(40), kernel=kernel)
    assert 0.0 < got[4] < 1.5


def test_predict_does_not_mind_the_order_of_ratings(local):
    items, ratings = np.array([4, 9, 2]), np.array([1.5, -0.5, 0.5])
    turned = predict(*local, items[::-1], ratings[::-1], np.arange(40))
    np.testing.assert_allclose(predict(*local, items, ratings, np.arange(40)), turned)


def test_predict_reads_the_newest_thousand_ratings_only(local):
    items = np.concatenate([[7], np.tile(np.arange(5), 200)])
    ratings = np.concatenate([[100.0], np.zeros(1000)])
    np.testing.assert_array_equal(predict(*local, items, ratings, np.arange(40)), 0.0)


def test_predict_kernel_equals_the_ridge_when_likeness_is_off(local, monkeypatch):
    monkeypatch.setattr("shared.model.local.AMPLITUDE", 0.0)
    monkeypatch.setattr("shared.model.local.NOISE_VARIANCE", 0.9)
    items, ratings = np.array([4, 9, 2]), np.array([1.5, -0.5, 0.5])
    linear = predict(*local, items, ratings, np.arange(40), kernel=False)
    np.testing.assert_allclose(predict(*local, items, ratings, np.arange(40)), linear)


def test_kernel_likes_the_rated_item_best(local):
    got = predict(*local, np.array([4]), np.array([1.5]), np.arange(40))
    assert np.argmax(got - local[0].offset) == 4


def test_predict_leaves_the_kernel_out_where_it_tells_no_items_apart(local):
    tower, prior, catalogue = local
    bare = replace(catalogue, text=np.zeros((40, 0)), categories=np.zeros((40, 0)))
    items, ratings = np.array([4, 9, 2]), np.array([1.5, -0.5, 0.5])
    got = predict(tower, prior, bare, items, ratings, np.arange(40))
    linear = predict(tower, prior, bare, items, ratings, np.arange(40), kernel=False)
    np.testing.assert_array_equal(got, linear)
