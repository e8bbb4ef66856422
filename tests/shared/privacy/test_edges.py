# SPDX-License-Identifier: Apache-2.0
"""Policies, floors and rounds on the edge of what is allowed, and one step outside."""

from dataclasses import replace
from fractions import Fraction

import pytest

from shared.errors import BudgetExceeded, DataError, Refusal
from shared.privacy.canonical import sign
from shared.privacy.door import Charge, abort, authorise
from shared.privacy.plan import Cohort, mechanism_of
from shared.privacy.policy import Floor, LastRound
from tests.shared.privacy.test_door import (
    CONFIG,
    FLOOR,
    MECHANISM,
    POLICY,
    SERVER,
    SIGNED,
    STATE,
    ask,
)

EDGE = mechanism_of(8, 10**8, Cohort("distributed", 20, Fraction(1, 5)))
WEEK_S = 7 * 24 * 3600


@pytest.mark.parametrize(("users", "largest"), [(1, 10**5), (943, 10**5), (10**6, 10**7)])
def test_policy_allows_delta_up_to_1e_5_and_a_tenth_of_an_account(users, largest):
    assert replace(POLICY, users=users, delta=Fraction(1, largest)).users == users
    with pytest.raises(DataError, match="delta"):
        replace(POLICY, users=users, delta=Fraction(1, largest) + Fraction(1, 10**12))


def test_policy_allows_the_ends_of_its_range_of_users():
    assert replace(POLICY, users=2**40, delta=Fraction(1, 2**50)).users == 2**40
    for users in (0, 2**40 + 1):
        with pytest.raises(DataError, match="users must be"):
            replace(POLICY, users=users, delta=Fraction(1, 2**50))


def test_abort_keeps_those_of_seven_days():
    week = 7 * 24 * 3600
    state = replace(STATE, aborts_s=(99, 100, 101, 100 + week, 101 + week))
    assert abort(state, 100 + week).aborts_s == (101, *(100 + week,) * 3)


def test_abort_keeps_those_that_a_clock_put_back_makes_future():
    assert abort(replace(STATE, aborts_s=(900, 1000)), 500).aborts_s == (500, 500, 500)


@pytest.mark.parametrize(
    ("config", "state", "now"),
    [
        (replace(CONFIG, mechanism=EDGE), STATE, 0),
        (replace(CONFIG, mechanism=replace(MECHANISM, min_survivors=67)), STATE, 0),
        (replace(CONFIG, mechanism=mechanism_of(8, 10**12, Cohort("central", 1))), STATE, 0),
        (CONFIG, replace(STATE, last_time_s=40), 100),
        (CONFIG, replace(STATE, participations=9), 0),
        (CONFIG, replace(STATE, aborts_s=(0,)), 1),
        (CONFIG, replace(STATE, aborts_s=(0, 1, 2)), WEEK_S + 1),
        (CONFIG, replace(STATE, spent=Fraction(1, 2) - MECHANISM.rho), 0),
        (replace(CONFIG, round=3), replace(STATE, last_rounds=(LastRound("autumn", 2),)), 0),
        (CONFIG, replace(STATE, last_rounds=(LastRound("spring", 7),)), 0),
        (replace(CONFIG, round=2**40), STATE, 0),
    ],
)
def test_authorise_takes_part_on_the_edge_of_the_floor(config, state, now):
    charge = ask(config, state, now)
    assert isinstance(charge, Charge)
    assert charge.config == config
    assert charge.state.last_time_s == now
    assert charge.state.last_rounds[-1] == LastRound(config.run, config.round)
    assert charge.state.participations == state.participations + 1


@pytest.mark.parametrize(
    ("config", "state", "now", "words"),
    [
        (
            replace(CONFIG, mechanism=replace(EDGE, sigma2=10**8, min_survivors=15)),
            STATE,
            0,
            "shares of noise",
        ),
        (replace(CONFIG, mechanism=replace(EDGE, cohort_size=24)), STATE, 0, "a sum of 16 of 24"),
        (CONFIG, replace(STATE, last_time_s=41), 100, "59 s after the last"),
        (CONFIG, replace(STATE, aborts_s=(0, 1)), 2, "2 unused ones"),
        (CONFIG, replace(STATE, aborts_s=(2, 3)), WEEK_S + 1, "2 unused ones"),
        (CONFIG, replace(STATE, last_rounds=(LastRound("autumn", 1),)), 0, "rounds after 1"),
        (
            CONFIG,
            replace(STATE, spent=Fraction(1, 2) - MECHANISM.rho + Fraction(1, 2**90)),
            0,
            "of 0.5",
        ),
    ],
)
def test_authorise_refuses_just_outside_the_floor(config, state, now, words):
    refusal = ask(config, state, now)
    assert isinstance(refusal, Refusal)
    assert words in str(refusal)
    assert str(refusal).startswith("requested: ")
    assert "\nremaining: " in str(refusal)
    assert refusal.hint


def test_authorise_allows_a_round_of_the_largest_rho_and_none_above():
    tight = replace(FLOOR, rho_round_max=MECHANISM.rho)
    signed = sign(CONFIG, SERVER)
    assert isinstance(authorise(tight, STATE, SIGNED, signed, 0), Charge)
    tighter = replace(FLOOR, rho_round_max=MECHANISM.rho - Fraction(1, 2**90))
    assert isinstance(authorise(tighter, STATE, SIGNED, signed, 0), BudgetExceeded)


def test_authorise_keeps_the_last_round_of_every_run():
    state = replace(STATE, last_rounds=(LastRound("spring", 7), LastRound("autumn", 1)))
    after = ask(replace(CONFIG, round=2), state).state
    assert after.last_rounds == (LastRound("spring", 7), LastRound("autumn", 2))


def test_stricter_takes_the_stricter_of_every_field():
    other = Floor(Fraction(1), Fraction(1, 8), 5, 90, 1, 20, Fraction(1, 2), ("local", "central"))
    wanted = Floor(Fraction(1, 2), Fraction(1, 8), 5, 90, 1, 20, Fraction(2, 3), ("central",))
    assert FLOOR.stricter(other) == other.stricter(FLOOR) == wanted


@pytest.mark.parametrize(
    "field",
    [
        "rho_cap",
        "rho_round_max",
        "min_survivors_above",
        "participations_max",
        "min_separation_s",
        "aborts_max",
        "min_noise_shares",
    ],
)
def test_floor_names_the_field_that_is_outside(field):
    kind = type(getattr(FLOOR, field))
    assert getattr(replace(FLOOR, **{field: kind(0)}), field) == 0
    outside = [kind(-1), 1.0] if kind is Fraction else [-1, 2**40 + 1]
    for value in outside:
        with pytest.raises(DataError, match=f"^{field} must be"):
            replace(FLOOR, **{field: value})
    if kind is int:
        assert getattr(replace(FLOOR, **{field: 2**40}), field) == 2**40


@pytest.mark.parametrize("number", [0, 2**40 + 1])
def test_round_config_refuses_a_round_that_is_just_outside(number):
    with pytest.raises(DataError, match=r"^round must be"):
        replace(CONFIG, round=number)
