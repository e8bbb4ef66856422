# SPDX-License-Identifier: Apache-2.0
"""The profile: updates equal the closed form, a deletion leaves no trace."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DataError
from shared.model.profile import (
    empty_profile,
    leave_one_out_profiles,
    profile_of,
    profile_weights,
    update_profile,
)

EVENTS = st.integers(0, 30)
ALPHA = st.floats(0.0, 1.0)


def vectors(events: int) -> np.ndarray:
    return np.random.default_rng(events).standard_normal((events, 3))


@given(EVENTS, ALPHA)
def test_update_profile_equals_closed_form(events: int, alpha: float) -> None:
    profile = empty_profile(3)
    for event in vectors(events):
        profile = update_profile(profile, event, alpha)
    want = profile_of(vectors(events), alpha)
    np.testing.assert_allclose(profile.vector, want.vector, atol=1e-12)
    assert profile.events == want.events


@given(EVENTS, ALPHA)
def test_leave_one_out_profiles_equal_history_without_event(events: int, alpha: float) -> None:
    history = vectors(events)
    got = leave_one_out_profiles(history, alpha)
    for row in range(events):
        want = profile_of(np.delete(history, row, axis=0), alpha).vector
        np.testing.assert_allclose(got[row], want, atol=1e-12)


@given(st.integers(1, 30), ALPHA)
def test_profile_weights_sum_to_one(events: int, alpha: float) -> None:
    assert profile_weights(events, alpha).sum() == pytest.approx(1.0)


def test_update_profile_is_a_plain_average_step_once_established() -> None:
    before = profile_of(vectors(25), 0.9)
    first, second = vectors(2)
    after = update_profile(update_profile(before, first, 0.9), second, 0.9)
    want = 0.81 * before.vector + 0.09 * first + 0.1 * second
    np.testing.assert_allclose(after.vector, want, atol=1e-12)


def test_profile_forgets_nothing_when_alpha_is_one() -> None:
    np.testing.assert_allclose(profile_weights(8, 1.0), np.full(8, 1 / 8))


def test_profile_keeps_newest_alone_when_alpha_is_zero() -> None:
    np.testing.assert_array_equal(profile_weights(4, 0.0), [0, 0, 0, 1])


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_profile_refuses_alpha_outside_unit_interval(alpha: float) -> None:
    with pytest.raises(DataError, match="alpha"):
        profile_of(vectors(3), alpha)
