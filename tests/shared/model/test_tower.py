# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from shared.model.statistics import ItemStatistics
from shared.model.tower import build_tower
from tests.shared.model.conftest import made_up_catalogue


def _statistics(items):
    rng = np.random.default_rng(3)
    return ItemStatistics(rng.normal(size=items), np.ones(items), rng.normal(size=items))


def test_build_tower_scales_blocks_by_prior_precision(catalogue):
    statistics = _statistics(40)
    tower = build_tower(catalogue, statistics)
    assert tower.features.shape == (40, 16)
    np.testing.assert_allclose(tower.features[:, 0], 3.0**-0.5)
    np.testing.assert_allclose(tower.features[:, 1:5], catalogue.features[:, :4] / 20**0.5)
    np.testing.assert_allclose(tower.features[:, 14], statistics.mean / 6**0.5)
    np.testing.assert_allclose(tower.features[:, 15], statistics.log_weight / 50**0.5)
    assert tower.axes == (0, 5, 6, 7, 14, 15)


def test_build_tower_leaves_out_statistics_without_federation(catalogue):
    tower = build_tower(catalogue, ItemStatistics.empty(40))
    assert tower.features.shape == (40, 14)
    assert not tower.offset.any()


def test_build_tower_leaves_out_missing_text():
    tower = build_tower(made_up_catalogue(10, text=False), _statistics(10))
    assert tower.features.shape == (10, 10)


def test_tower_shifted_moves_the_mean_person_into_the_offset(catalogue):
    tower = build_tower(catalogue, _statistics(40))
    mean = np.linspace(-1.0, 1.0, 16)
    moved = tower.shifted(mean)
    assert moved.offset - tower.offset == pytest.approx(tower.features @ mean)
