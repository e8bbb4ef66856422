# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from shared.model.prior import (
    ROUNDS_FREE,
    Prior,
    prior_frame,
    prior_length,
    prior_step,
    prior_vector,
)
from shared.model.ridge import posterior
from shared.model.statistics import ItemStatistics
from shared.model.tower import build_tower

SIZE = 16
"""K of the made-up catalogue: 13 features, constant, mean, popularity."""
LENGTH = prior_length(SIZE, SIZE)


@pytest.fixture
def tower(catalogue):
    return build_tower(catalogue, _statistics())


@pytest.fixture
def frame(tower):
    return prior_frame(tower, _statistics(), Prior.standard(SIZE), 60.0, LENGTH)


def _statistics():
    rng = np.random.default_rng(5)
    return ItemStatistics(rng.normal(size=40), rng.uniform(1, 9, 40), rng.normal(size=40))


def _crowd(tower, prior, users, rng, ratings=20):
    """People of a known prior who rate items at random: (items, ratings in r')."""
    root = np.linalg.cholesky(prior.covariance)
    for _ in range(users):
        items = rng.choice(40, ratings, replace=False)
        vector = prior.mean + root @ rng.normal(size=SIZE)
        clean = tower.offset[items] + tower.features[items] @ vector
        yield items, clean + rng.normal(0.0, 0.9**0.5, ratings)


def test_prior_frame_spans_the_prior_and_puts_the_best_known_first(tower):
    wide = Prior(np.diag(np.linspace(0.5, 4.0, SIZE)), np.zeros(SIZE))
    frame = prior_frame(tower, _statistics(), wide, 60.0, LENGTH)
    np.testing.assert_allclose(frame.basis @ frame.basis.T, wide.covariance, atol=1e-12)
    assert np.all(np.diff(frame.known) <= 1e-12)
    assert frame.known[0] < 1.0
    assert frame.known[-1] > 0.0


def test_prior_frame_knows_less_where_people_rated_less(tower):
    few = prior_frame(tower, _statistics(), Prior.standard(SIZE), 5.0, LENGTH)
    many = prior_frame(tower, _statistics(), Prior.standard(SIZE), 50.0, LENGTH)
    assert np.all(few.known < many.known)


def test_prior_vector_is_zero_without_ratings(tower, frame):
    vector = prior_vector(tower, frame.basis, SIZE, np.zeros(0, dtype=np.int64), np.zeros(0))
    assert vector.shape == (LENGTH,)
    np.testing.assert_allclose(vector, 0.0, atol=1e-12)


def test_prior_vector_keeps_the_norm_of_the_moments(tower, frame):
    items, ratings = np.arange(9), np.linspace(-2.5, 1.5, 9)
    vector = prior_vector(tower, frame.basis, SIZE, items, ratings)
    features = tower.features[items] @ frame.basis
    solved = posterior(features, ratings - tower.offset[items], np.eye(SIZE))
    second = np.outer(solved.mean, solved.mean) + solved.covariance - np.eye(SIZE)
    np.testing.assert_allclose(vector[:SIZE], solved.mean)
    assert np.linalg.norm(vector[SIZE:]) == pytest.approx(np.linalg.norm(second))


def test_prior_vector_asks_for_pairs_of_the_best_known_alone(tower):
    length = prior_length(SIZE, 5)
    frame = prior_frame(tower, _statistics(), Prior.standard(SIZE), 60.0, length)
    vector = prior_vector(tower, frame.basis, frame.pairs, np.arange(4), np.ones(4))
    assert frame.pairs == 5
    assert vector.shape == (length,) == (SIZE + 15,)


def test_prior_step_keeps_the_prior_when_nobody_differs_from_it(frame):
    prior = prior_step(np.zeros(LENGTH), 0.0, 10, frame, Prior.standard(SIZE))
    np.testing.assert_allclose(prior.covariance, np.eye(SIZE), atol=1e-12)
    np.testing.assert_allclose(prior.mean, 0.0)


def _learnt(tower, truth):
    """The prior after the rounds without privacy, from 600 people of a known one."""
    people = list(_crowd(tower, truth, 600, np.random.default_rng(3)))
    statistics = ItemStatistics(tower.offset, np.full(40, 600 * 0.1), tower.log_weight)
    prior = Prior.standard(SIZE)
    for _ in range(ROUNDS_FREE):
        frame = prior_frame(tower, statistics, prior, 20.0, LENGTH)
        start = tower.shifted(prior.mean)
        answers = [prior_vector(start, frame.basis, SIZE, *person) for person in people]
        prior = prior_step(np.sum(answers, axis=0), 0.0, 600, frame, prior)
    return prior


def test_prior_steps_find_the_direction_in_which_people_differ(tower):
    axis = np.zeros(SIZE)
    axis[0], axis[5] = 0.8, 0.6
    truth = Prior(0.5 * np.eye(SIZE) + 4.0 * np.outer(axis, axis), np.zeros(SIZE))
    variances, vectors = np.linalg.eigh(_learnt(tower, truth).covariance)
    assert abs(vectors[:, -1] @ axis) > 0.95
    assert 3.0 < variances[-1] < 6.0
    assert variances[-2] < 0.6 * variances[-1]


def test_prior_steps_find_what_people_have_in_common(tower):
    truth = Prior(np.eye(SIZE), np.full(SIZE, 0.5))
    found = _learnt(tower, truth).mean
    assert np.linalg.norm(found - truth.mean) < 0.5 * np.linalg.norm(truth.mean)


def test_prior_step_hardly_moves_under_heavy_noise(frame):
    noise = np.random.default_rng(0).normal(0.0, 1e4, LENGTH)
    prior = prior_step(noise, 1e4, 10, frame, Prior.standard(SIZE))
    np.testing.assert_allclose(prior.covariance, np.eye(SIZE), atol=0.01)
    np.testing.assert_allclose(prior.mean, 0.0, atol=0.01)


def test_prior_step_stays_positive_definite_when_noise_is_understated(frame):
    noise = np.random.default_rng(0).normal(0.0, 1e3, LENGTH)
    prior = prior_step(noise, 1.0, 10, frame, Prior.standard(SIZE))
    assert np.linalg.eigvalsh(prior.covariance).min() > 0.19


def test_prior_precision_inverts_the_covariance():
    prior = Prior(np.array([[2.0, 0.5], [0.5, 1.0]]), np.zeros(2))
    np.testing.assert_allclose(prior.precision @ prior.covariance, np.eye(2), atol=1e-12)


def test_prior_with_slope_one_forgets_one_coordinate_of_the_mean_alone():
    learnt = Prior(np.diag([1.0, 2.0, 3.0]), np.array([0.4, -0.7, 0.2]))
    held = learnt.with_slope_one(1)
    np.testing.assert_array_equal(held.mean, [0.4, 0.0, 0.2])
    np.testing.assert_array_equal(held.covariance, learnt.covariance)
    np.testing.assert_array_equal(learnt.mean, [0.4, -0.7, 0.2])
