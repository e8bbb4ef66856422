# SPDX-License-Identifier: Apache-2.0
"""The comment task: columns of the release, item means, the second user vector."""

import numpy as np
import pytest

from shared.catalogue import Catalogue
from shared.model.comment_task import (
    OBSERVED_SCALE,
    comment_leave_one_out,
    comment_rows,
    comment_vector,
    denoise_comments,
    from_unit,
    interest_of,
    to_unit,
)
from shared.model.history import History
from shared.model.prior import Prior
from shared.model.statistics import ItemStatistics
from shared.model.tower import Tower, build_tower

NONE = History(np.array([1, 2]), np.zeros(2))
ACTS = History(
    np.array([1, 2, 3, 9]), np.zeros(4), np.zeros(4, np.int64), np.array([1.0, 0.0, np.nan, 1.0])
)


@pytest.fixture
def tower(catalogue: Catalogue) -> Tower:
    return build_tower(catalogue, ItemStatistics.empty(40))


@pytest.fixture
def prior(tower: Tower) -> Prior:
    return Prior.standard(tower.features.shape[1])


def test_units_go_there_and_back() -> None:
    np.testing.assert_allclose(from_unit(to_unit(np.array([0.0, 0.3, 1.0]))), [0.0, 0.3, 1.0])
    np.testing.assert_array_equal(from_unit(np.array([-9.0, 9.0])), [0.0, 1.0])


def test_comment_rows_are_zero_where_nothing_was_observed() -> None:
    np.testing.assert_array_equal(comment_rows(interest_of(NONE)), np.zeros((2, 2)))
    rows = comment_rows(interest_of(ACTS))
    np.testing.assert_array_equal(rows[2], 0.0)
    np.testing.assert_array_equal(rows[[0, 1]], [[1.5, OBSERVED_SCALE], [-1.5, OBSERVED_SCALE]])


def test_denoise_comments_finds_the_means_and_shrinks_in_noise(catalogue: Catalogue) -> None:
    rng = np.random.default_rng(0)
    truth = np.where(np.arange(40) < 20, 0.9, -0.9)
    sums = np.column_stack([20.0 * truth, np.full(40, 20.0 * OBSERVED_SCALE)])
    clear = denoise_comments(sums, 0.0, catalogue, np.zeros(40))
    assert np.corrcoef(clear, truth)[0, 1] > 0.99
    noisy = denoise_comments(
        sums + 200 * rng.standard_normal(sums.shape), 200.0, catalogue, 0 * truth
    )
    assert noisy.std() < 0.5 * clear.std()


def test_comment_vector_knows_only_what_was_observed(tower: Tower, prior: Prior) -> None:
    means = np.zeros(40)
    assert not comment_vector(tower, prior, means, NONE, interest_of(NONE)).any()
    moved = History(ACTS.items, ACTS.ratings + 7.0, ACTS.comment_lengths, ACTS.comment_acts)
    one, other = (comment_vector(tower, prior, means, h, interest_of(h)) for h in (ACTS, moved))
    np.testing.assert_array_equal(one, other)
    assert one.any()


def test_comment_leave_one_out_equals_a_second_fit(tower: Tower, prior: Prior) -> None:
    means = np.linspace(-1, 1, 40)
    loo = comment_leave_one_out(tower, prior, means, ACTS, interest_of(ACTS))
    acts = np.array([np.nan, 0.0, np.nan, 1.0])
    rest = History(ACTS.items, ACTS.ratings, ACTS.comment_lengths, acts)
    vector = comment_vector(tower, prior, means, rest, interest_of(rest))
    np.testing.assert_allclose(loo.vectors[0], vector, atol=1e-12)
    left = 1.5 - means[1] - tower.features[1] @ vector
    assert loo.residual[0] == pytest.approx(left)
    assert loo.residual[2] == 0.0
