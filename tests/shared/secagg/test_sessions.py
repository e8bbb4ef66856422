# SPDX-License-Identifier: Apache-2.0
"""Whoever drops out, whenever: exactly the survivors' sum, or a refusal."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.secagg.messages import Kind
from shared.secagg.refusals import TooFewDevices
from tests.shared.secagg.sessions import ANSWERS, QUESTIONS, Session, name

NEVER = len(ANSWERS)


def assert_sum_or_refusal(session: Session, last: tuple[int, ...]) -> None:
    """Play with device i silent from stage ``last[i]`` on; compare with the plain sum."""
    threshold = session.terms.min_survivors
    try:
        for stage, (answer, _) in enumerate(zip(ANSWERS, (*QUESTIONS, None), strict=True)):
            session.stage(answer, [i for i, quit_at in enumerate(last) if quit_at <= stage])
            if answer is not Kind.UNMASK:
                session.questions = session.aggregator.close_stage()
        total, survivors = session.aggregator.finish()
    except TooFewDevices:
        assert sum(quit_at == NEVER for quit_at in last) < threshold
        return
    expected = [i for i, quit_at in enumerate(last) if quit_at > 2]
    assert [name(i) for i in expected] == list(survivors)
    assert sum(quit_at == NEVER for quit_at in last) >= threshold
    np.testing.assert_array_equal(total, session.plain_sum(expected))


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("stage", range(5))
def test_session_gives_the_survivors_sum_whoever_drops_at_one_stage(n: int, stage: int) -> None:
    for subset in product((stage, NEVER), repeat=n):
        assert_sum_or_refusal(Session(n, d=3), subset)


@pytest.mark.parametrize("n", [2, 3])
def test_session_gives_the_survivors_sum_whoever_drops_whenever(n: int) -> None:
    for last in product(range(NEVER + 1), repeat=n):
        assert_sum_or_refusal(Session(n, d=3), last)


@pytest.mark.slow
@pytest.mark.parametrize("n", [4, 5, 6])
def test_session_gives_the_survivors_sum_whoever_drops_whenever_to_six(n: int) -> None:
    """All 6^n schedules: 54,432 sessions in all."""
    for last in product(range(NEVER + 1), repeat=n):
        assert_sum_or_refusal(Session(n, d=3), last)


def play_any(data: st.DataObject, largest: int) -> None:
    n = data.draw(st.integers(2, largest))
    t = data.draw(st.integers(n // 2 + 1, n))
    quit_at = st.sampled_from((NEVER, NEVER, NEVER, NEVER, NEVER, 0, 1, 2, 3, 4))
    last = tuple(data.draw(st.lists(quit_at, min_size=n, max_size=n)))
    assert_sum_or_refusal(Session(n, t, data.draw(st.integers(1, 9))), last)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_session_gives_the_survivors_sum_to_24_devices(data: st.DataObject) -> None:
    play_any(data, 24)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_session_gives_the_survivors_sum_to_200_devices(data: st.DataObject) -> None:
    play_any(data, 200)


def test_sum_wraps_modulo_two_to_the_32() -> None:
    session = Session(2, vectors=[np.full(5, 2**31 - 1), np.full(5, 1)])
    assert_sum_or_refusal(session, (NEVER, NEVER))


def test_messages_have_one_size_whatever_the_data() -> None:
    sizes = []
    for value in (0, 2**31 - 1):
        session = Session(3, vectors=[np.full(5, value)] * 3)
        assert_sum_or_refusal(session, (NEVER,) * 3)
        sizes.append([len(message) for message in session.seen])
    assert sizes[0] == sizes[1]


def test_control_messages_have_the_same_bytes_whatever_the_data() -> None:
    """At equal randomness only MASKED differs between two owners' data."""
    transcripts = []
    for value in (0, 12345):
        session = Session(3, vectors=[np.full(5, value)] * 3)
        assert_sum_or_refusal(session, (NEVER,) * 3)
        transcripts.append([m for m in session.seen if m[0] != Kind.MASKED])
    assert transcripts[0] == transcripts[1]
