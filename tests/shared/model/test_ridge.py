# SPDX-License-Identifier: Apache-2.0
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model.ridge import leave_one_out, posterior


def _person(n, size, seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    precision = root @ root.T / size + np.eye(size)
    return rng.normal(size=(n, size)) / size**0.5, rng.normal(size=n), precision


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 12), st.integers(1, 8), st.integers(0, 99))
def test_posterior_equals_conditioning_the_joint_gaussian(n, size, seed):
    features, target, precision = _person(n, size, seed)
    prior = np.linalg.inv(precision)
    gram = features @ prior @ features.T + 0.9 * np.eye(n)
    gain = prior @ features.T @ np.linalg.inv(gram)
    solved = posterior(features, target, precision)
    np.testing.assert_allclose(solved.mean, gain @ target, atol=1e-9)
    np.testing.assert_allclose(solved.covariance, prior - gain @ features @ prior, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 10), st.integers(1, 6), st.integers(0, 99))
def test_leave_one_out_equals_a_refit_without_the_rating(n, size, seed):
    features, target, precision = _person(n, size, seed)
    loo = leave_one_out(features, target, posterior(features, target, precision))
    for i in range(n):
        rest = np.arange(n) != i
        again = posterior(features[rest], target[rest], precision)
        np.testing.assert_allclose(loo.vectors[i], again.mean, atol=1e-8)
        np.testing.assert_allclose(loo.residual[i], target[i] - features[i] @ again.mean, atol=1e-8)


def test_leave_one_out_caps_the_leverage():
    features, target = np.array([[1e6]]), np.array([1.0])
    loo = leave_one_out(features, target, posterior(features, target, np.eye(1)))
    assert abs(loo.residual[0]) <= 20.0


def test_posterior_of_nobody_is_the_prior():
    solved = posterior(np.zeros((0, 3)), np.zeros(0), 2.0 * np.eye(3))
    np.testing.assert_allclose(solved.mean, 0.0)
    np.testing.assert_allclose(solved.covariance, 0.5 * np.eye(3))
