# SPDX-License-Identifier: Apache-2.0
"""Popularity for the ranking: what features tell when the counts are drowned in noise."""

import numpy as np

from shared.model.popularity import popularity
from shared.model.statistics import denoise_weights
from shared.schema import Floats
from tests.shared.model.conftest import made_up_catalogue


def world(noise: float) -> tuple[Floats, Floats, Floats]:
    """Return true log weights that features half explain, and both estimates of them."""
    catalogue = made_up_catalogue(600, seed=3)
    rng = np.random.default_rng(1)
    slope = rng.normal(size=catalogue.features.shape[1])
    told = catalogue.features @ slope
    truth = 0.5 + told / told.std() + 0.5 * rng.normal(size=600)
    counts = np.exp(truth) + noise * rng.normal(size=600)
    estimate = popularity(counts, noise**2, catalogue)
    return truth, estimate, denoise_weights(counts, noise**2)[1]


def test_popularity_follows_the_counts_when_there_is_no_noise() -> None:
    truth, estimate, _ = world(0.0)
    assert np.corrcoef(truth, estimate)[0, 1] > 0.98


def test_popularity_beats_a_prior_without_features_when_noise_is_large() -> None:
    truth, estimate, plain = world(3.0)
    gain = np.corrcoef(truth, estimate)[0, 1] - np.corrcoef(truth, plain)[0, 1]
    assert gain > 0.1


def test_popularity_is_standardised_and_finite() -> None:
    _, estimate, _ = world(3.0)
    assert abs(estimate.mean()) < 1e-9
    assert 0.9 < estimate.std() < 1.1
    catalogue = made_up_catalogue(40)
    for counts in (np.zeros(40), np.full(40, -50.0)):
        assert np.isfinite(popularity(counts, 1.0, catalogue)).all()
