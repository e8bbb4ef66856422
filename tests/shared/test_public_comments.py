# SPDX-License-Identifier: Apache-2.0
"""Comments worth reading: what is usual counts for nothing, the owner's own are never shown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DataError
from shared.model.profile import profile_weights
from shared.public_comments import (
    PublicVectors,
    public_vectors,
    reader_profile,
    score_comments,
    top_comments,
)

ITEMS, SIZE = 6, 8


def made(seed: int = 0, count: int = 60):
    """Comments whose vectors are mostly their item's; returns vectors, items, item centres."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((ITEMS, SIZE)) * 3
    items = rng.integers(0, ITEMS, count)
    vectors = centres[items] + rng.standard_normal((count, SIZE))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), items, rng


def test_residuals_do_not_tell_the_item():
    vectors, items, _ = made(1, 600)
    space = public_vectors(vectors, items, ITEMS)

    def same_item(rows):
        alike = rows @ rows.T
        same = items[:, None] == items
        return alike[same & ~np.eye(len(items), dtype=bool)].mean() - alike[~same].mean()

    assert same_item(vectors) > 0.3
    assert abs(same_item(space.residual)) < 0.1


def test_every_residual_has_norm_one_or_says_nothing():
    vectors, items, _ = made(2)
    norms = np.linalg.norm(public_vectors(vectors, items, ITEMS).residual, axis=1)
    np.testing.assert_allclose(norms, 1.0)


def test_whitened_residuals_differ_alike_in_every_direction():
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((4000, SIZE)) * np.linspace(0.2, 3, SIZE)
    space = public_vectors(vectors, np.zeros(4000, dtype=np.int64), 1)
    plain = np.linalg.eigvalsh(np.cov((vectors - space.usual[0]).T))
    white = np.linalg.eigvalsh(np.cov(((vectors - space.usual[0]) @ space.whitening).T))
    assert plain[-1] / plain[0] > 100
    assert white[-1] / white[0] < plain[-1] / plain[0] / 3


def test_long_vectors_are_not_whitened():
    rng = np.random.default_rng(3)
    space = public_vectors(rng.standard_normal((20, 600)), np.arange(20) % 4, 4)
    assert space.whitening is None
    np.testing.assert_allclose(np.linalg.norm(space.residual, axis=1), 1.0)


def test_the_comment_most_like_the_owner_wins():
    vectors, items, _ = made(4)
    space = public_vectors(vectors, items, ITEMS)
    profile = space.residual[7]
    scores = score_comments(space, np.zeros(ITEMS), profile)
    assert scores.argmax() == 7


def test_interest_in_an_item_lifts_all_its_comments_alike():
    vectors, items, rng = made(5)
    space, profile = public_vectors(vectors, items, ITEMS), rng.standard_normal(SIZE)
    interest = np.eye(ITEMS)[2]
    lifted = score_comments(space, interest, profile) - score_comments(space, 0 * interest, profile)
    np.testing.assert_allclose(lifted, items == 2)


def test_profile_is_the_moving_average_of_residuals():
    vectors, items, rng = made(6)
    space = public_vectors(vectors, items, ITEMS)
    own, on = rng.standard_normal((5, SIZE)), np.array([0, 3, 3, 1, 5])
    expected = profile_weights(5, 0.8) @ space.place(own, on)
    np.testing.assert_allclose(reader_profile(space, own, on, 0.8), expected)


def test_profile_of_a_silent_owner_is_zero():
    vectors, items, _ = made(7)
    space = public_vectors(vectors, items, ITEMS)
    nothing = reader_profile(space, np.zeros((0, SIZE)), np.zeros(0, dtype=np.int64))
    assert not nothing.any()


@given(st.integers(0, 500), st.floats(0, 1), st.integers(1, 20))
def test_own_comments_are_never_listed(seed, diversity, k):
    vectors, items, rng = made(seed)
    space = public_vectors(vectors, items, ITEMS)
    own = rng.permutation(60)[:20]
    listed = top_comments(space, rng.standard_normal(60), own, k, diversity)
    assert len(listed) == k
    assert not set(listed.tolist()) & set(own.tolist())


def test_diversity_parts_comments_that_say_the_same():
    residual = np.repeat(np.eye(3), 4, axis=0)
    space = PublicVectors(np.zeros(12, dtype=np.int64), residual, np.zeros((1, 3)), np.eye(3), 3)
    scores, none = np.linspace(1, 0, 12), np.zeros(0, dtype=np.int64)
    assert top_comments(space, scores, none, 3).tolist() == [0, 1, 2]
    assert top_comments(space, scores, none, 3, 0.7).tolist() == [0, 4, 8]


def test_no_public_comment_gives_empty_lists():
    space = public_vectors(np.zeros((0, SIZE)), np.zeros(0, dtype=np.int64), ITEMS)
    scores = score_comments(space, np.ones(ITEMS), np.ones(SIZE))
    assert top_comments(space, scores, np.zeros(0, dtype=np.int64), 5).tolist() == []


@pytest.mark.parametrize("items", [np.array([0, 1]), np.array([0, 1, -1])])
def test_comments_without_an_item_are_refused(items):
    with pytest.raises(DataError, match="one item each"):
        public_vectors(np.zeros((3, SIZE)), items, ITEMS)
