# SPDX-License-Identifier: Apache-2.0
"""The four-step rule of comment interest."""

import numpy as np
import pytest

from shared.model.comments import comment_interest, length_interest


def test_comment_interest_prefers_events() -> None:
    got = comment_interest([10, 0, 0], [1.0, 0.0, np.nan])
    assert got.rule == "events"
    np.testing.assert_array_equal(got.target, [1, 0, 0])
    np.testing.assert_array_equal(got.observed, [True, True, False])


@pytest.mark.parametrize(
    ("written", "rated", "rule"),
    [
        (1, 20, "wrote"),  # 5 %
        (19, 20, "wrote"),  # 95 %
        (20, 20, "length"),
        (3, 3, "length"),
        (2, 2, "masked"),
        (3, 100, "length"),  # 3 %
        (1, 21, "masked"),
        (0, 9, "masked"),
        (0, 0, "masked"),
    ],
)
def test_comment_interest_follows_share_and_count(written: int, rated: int, rule: str) -> None:
    lengths = np.r_[np.full(written, 50), np.zeros(rated - written)]
    assert comment_interest(lengths, None).rule == rule


def test_comment_interest_ignores_app_without_recorded_events() -> None:
    assert comment_interest([9, 0], [np.nan, np.nan]).rule == "wrote"


def test_comment_interest_by_length_is_half_at_own_mean() -> None:
    got = comment_interest([99, 99, 99], None)
    np.testing.assert_allclose(got.target, 0.5)
    assert length_interest(99 * np.exp(0.8), got.mean_log_length) == pytest.approx(0.84, abs=0.01)


def test_comment_interest_by_length_masks_items_without_comment() -> None:
    got = comment_interest(np.r_[[5, 50, 500], np.zeros(97)], None)
    assert got.observed.sum() == 3
    assert not got.target[3:].any()


def test_comment_interest_masks_everything_when_too_few() -> None:
    assert not comment_interest([5, 5], None).observed.any()
