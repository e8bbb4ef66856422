# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shared.model.statistics import (
    ItemStatistics,
    denoise,
    denoise_means,
    denoise_weights,
    item_sums_rows,
    mean_sd,
    mean_variance,
    row_scale,
    typical_length,
)
from tests.shared.model.conftest import made_up_catalogue


@given(arrays(np.float64, st.integers(0, 30), elements=st.floats(-2.5, 1.5)))
def test_item_sums_rows_are_clamped_and_counted(ratings):
    rows = item_sums_rows(ratings)
    assert rows.shape == (len(ratings), 2)
    assert np.all(np.abs(rows[:, 0]) <= 2.0)
    assert np.all(rows[:, 1] == 0.8)


def test_item_sums_rows_shrink_the_mean_of_few_ratings():
    assert item_sums_rows(np.array([0.9]))[0, 0] == pytest.approx(0.6)


def test_item_statistics_empty_knows_nothing():
    empty = ItemStatistics.empty(4)
    assert not empty.known
    np.testing.assert_allclose(empty.share, 0.25)


def _simulate(noise_std, items=400, people=900, seed=1):
    """People who rate popular items more often, items that differ in mean."""
    rng = np.random.default_rng(seed)
    catalogue = made_up_catalogue(items, seed=seed)
    truth = rng.normal(0.0, 0.5, items)
    popularity = np.exp(rng.normal(-3.0, 1.0, items)).clip(max=0.7)
    sums = np.zeros((items, 2))
    for _ in range(people):
        mine = np.flatnonzero(rng.random(items) < popularity)
        rows = item_sums_rows(truth[mine] + rng.normal(0.0, 0.8, len(mine)))
        sums[mine] += rows / max(np.linalg.norm(rows), 1e-3)
    noisy = sums + noise_std * rng.normal(size=sums.shape)
    return truth, popularity, denoise(noisy, noise_std, catalogue, users=people), noisy


@pytest.mark.parametrize(("noise_std", "floor"), [(0.0, 0.93), (0.6, 0.85), (2.0, 0.6)])
def test_denoise_recovers_means_and_popularity(noise_std, floor):
    truth, popularity, statistics, _ = _simulate(noise_std)
    assert np.corrcoef(truth, statistics.mean)[0, 1] > floor
    assert np.corrcoef(np.log(popularity), statistics.log_weight)[0, 1] > floor


def test_denoise_beats_raw_means_under_noise():
    truth, _, statistics, noisy = _simulate(2.0)
    raw = noisy[:, 0] / np.maximum(noisy[:, 1] / 0.8, 1.0)
    assert np.mean((statistics.mean - truth) ** 2) < 0.7 * np.mean((raw - truth) ** 2)


def test_denoise_centres_weighted_means():
    _, _, statistics, _ = _simulate(0.6)
    assert statistics.share @ statistics.mean == pytest.approx(0.0, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 12).flatmap(
        lambda n: arrays(np.float64, (n, 2), elements=st.floats(-1e4, 1e4, width=32))
    ),
    st.sampled_from([0.0, 0.5, 50.0]),
)
def test_denoise_is_finite_for_any_sums(sums, noise_std):
    statistics = denoise(sums, noise_std, made_up_catalogue(len(sums)), users=9)
    for values in (statistics.mean, statistics.weight, statistics.log_weight):
        assert np.all(np.isfinite(values))
    assert np.all(statistics.weight > 0.0)


def test_denoise_weights_keeps_exact_counts_when_noiseless():
    counts = np.linspace(1.0, 40.0, 300)
    weight, log_weight, _ = denoise_weights(counts, 0.0, scale=0.1)
    np.testing.assert_allclose(weight, counts, rtol=0.4, atol=0.3)
    assert np.all(np.diff(log_weight) >= -1e-9)


def test_denoise_means_returns_the_regression_where_nothing_is_known():
    catalogue = made_up_catalogue(60)
    raw = catalogue.features[:, 0] * 2.0
    variance = np.full(60, 1e-6)
    variance[0] = 1e9
    raw[0] = 1e3
    fitted = denoise_means(raw, variance, np.zeros(60), catalogue)
    assert abs(fitted[0]) < 5.0
    np.testing.assert_allclose(fitted[1:], raw[1:], atol=1e-4)


def test_row_scale_follows_how_much_people_rate():
    assert row_scale(6.0 * 943, 943, 0.8) == pytest.approx(0.107, abs=1e-3)
    assert row_scale(1.8 * 943, 943, 0.8) == pytest.approx(0.356, abs=1e-3)
    assert row_scale(-50.0, 943, 0.8) == 1.0


def test_mean_variance_is_the_prior_where_nothing_is_known():
    unknown = mean_variance(ItemStatistics.empty(3), 0.9, 10, 0.8)
    np.testing.assert_allclose(unknown, 0.38**2)


def test_mean_variance_falls_with_weight_and_rises_with_noise():
    statistics = ItemStatistics(np.zeros(3), np.array([1.0, 5.0, 50.0]), np.zeros(3))
    quiet, noisy = (mean_variance(statistics, noise, 10, 0.8) for noise in (0.3, 3.0))
    assert np.all(np.diff(quiet) < 0.0)
    assert np.all(quiet < noisy)


@pytest.mark.parametrize("count_scale", [0.8, 1.5])
def test_typical_length_is_what_people_rated(count_scale):
    rng = np.random.default_rng(4)
    weight = np.zeros(200)
    for _ in range(100):
        mine = rng.choice(200, 40, replace=False)
        rows = item_sums_rows(rng.normal(0.0, 1.0, 40), count_scale=count_scale)
        weight[mine] += 1.0 / np.linalg.norm(rows)
    statistics = ItemStatistics(np.zeros(200), weight, np.zeros(200))
    assert typical_length(statistics, 100, count_scale) == pytest.approx(40, rel=0.1)


def test_item_means_are_believed_less_where_nothing_tells_items_apart(catalogue):
    bare = replace(catalogue, text=np.zeros((40, 0)), categories=np.zeros((40, 0)))
    assert mean_sd(bare) < mean_sd(catalogue)
    unknown = mean_variance(ItemStatistics.empty(3), 0.9, 10, 0.8, mean_sd(bare))
    np.testing.assert_allclose(unknown, mean_sd(bare) ** 2)
