# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from shared.model.prior import Prior, prior_basis, prior_size, prior_step, prior_vector
from shared.model.ridge import posterior
from shared.model.statistics import ItemStatistics
from shared.model.tower import build_tower


@pytest.fixture
def tower(catalogue):
    return build_tower(catalogue, _statistics())


def _statistics():
    rng = np.random.default_rng(5)
    return ItemStatistics(rng.normal(size=40), rng.uniform(1, 9, 40), rng.normal(size=40))


def test_prior_basis_is_orthonormal_and_holds_the_axes(tower):
    basis = prior_basis(tower, _statistics())
    assert basis.shape == (16, 12)
    np.testing.assert_allclose(basis.T @ basis, np.eye(12), atol=1e-12)
    np.testing.assert_array_equal(basis[list(tower.axes), :6], np.eye(6))


def test_prior_vector_is_zero_without_ratings(tower):
    basis = prior_basis(tower, _statistics())
    vector = prior_vector(tower, basis, np.zeros(0, dtype=np.int64), np.zeros(0))
    assert vector.shape == (prior_size(basis),)
    np.testing.assert_allclose(vector, 0.0, atol=1e-12)


def test_prior_vector_keeps_the_norm_of_the_moments(tower):
    basis = prior_basis(tower, _statistics())
    items, ratings = np.arange(9), np.linspace(-2.5, 1.5, 9)
    vector = prior_vector(tower, basis, items, ratings)
    solved = posterior(tower.features[items], ratings - tower.offset[items], np.eye(16))
    first = basis.T @ solved.mean
    second = np.outer(first, first) + basis.T @ solved.covariance @ basis - np.eye(12)
    np.testing.assert_allclose(vector[:12], first)
    assert np.linalg.norm(vector[12:]) == pytest.approx(np.linalg.norm(second))


def test_prior_step_of_nothing_is_the_standard_prior(tower):
    basis = prior_basis(tower, _statistics())
    prior = prior_step(np.zeros(prior_size(basis)), 0.0, 10, basis)
    np.testing.assert_allclose(prior.covariance, np.eye(16))
    np.testing.assert_allclose(prior.mean, 0.0)


def test_prior_step_widens_where_people_differ(tower):
    basis = prior_basis(tower, _statistics())
    total = np.zeros(prior_size(basis))
    total[12] = 5.0
    prior = prior_step(total, 0.0, 10, basis)
    assert basis[:, 0] @ prior.covariance @ basis[:, 0] == pytest.approx(3.0)


def test_prior_step_stays_positive_definite_under_heavy_noise(tower):
    basis = prior_basis(tower, _statistics())
    noise = np.random.default_rng(0).normal(0.0, 1e3, prior_size(basis))
    prior = prior_step(noise, 1.0, 10, basis)
    assert np.linalg.eigvalsh(prior.covariance).min() > 0.29


def test_prior_precision_inverts_the_covariance():
    prior = Prior(np.array([[2.0, 0.5], [0.5, 1.0]]), np.zeros(2))
    np.testing.assert_allclose(prior.precision @ prior.covariance, np.eye(2), atol=1e-12)
