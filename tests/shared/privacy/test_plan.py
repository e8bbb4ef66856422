# SPDX-License-Identifier: Apache-2.0
"""Calibration on integers, sessions, and the rules that no mechanism escapes."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import logsumexp

from shared.errors import DataError
from shared.privacy.plan import Cohort, mechanism_for, mechanism_of
from shared.privacy.policy import MAX_SIGMA2, MIN_SIGMA2, Mechanism, sensitivity_squared
from shared.privacy.query import Block, SumQuery


def query_of(dimension: int) -> SumQuery:
    return SumQuery("q", (Block("all", dimension, 1.0),), "clip", "A test.")


COHORTS = st.builds(
    Cohort,
    st.sampled_from(["distributed", "central", "local"]),
    st.integers(1, 5000),
    st.fractions(0, Fraction(2, 5)),
)


@given(st.fractions(Fraction(1, 10**4), 50), COHORTS, st.sampled_from([1, 90, 3364, 120_737]))
def test_the_mechanism_s_rho_is_at_most_the_rho_asked_for(rho, cohort, dimension):
    """the mechanism's rho is at most the rho asked for."""
    assume(2 * cohort.min_survivors > cohort.size)
    assert 0 < mechanism_for(query_of(dimension), rho, cohort).rho <= rho


@given(st.fractions(Fraction(1, 10**4), 50), COHORTS, st.sampled_from([1, 90, 3364, 120_737]))
def test_mechanism_for_takes_the_smallest_sigma2(rho, cohort, dimension):
    """one unit of sigma2 less would spend more, unless sigma2 is at its minimum."""
    assume(2 * cohort.min_survivors > cohort.size)
    mechanism = mechanism_for(query_of(dimension), rho, cohort)
    if mechanism.sigma2 > MIN_SIGMA2:
        assert replace(mechanism, sigma2=mechanism.sigma2 - 1).rho > rho


def test_mechanism_for_takes_smaller_integers_when_the_noise_is_huge():
    small = mechanism_for(query_of(90), Fraction(1, 60_000), Cohort("central", 10))
    assert small.scaled_norm < 2**14


@pytest.mark.parametrize(
    "rho", [Fraction(0), Fraction(-1), Fraction(1, 2**60), Fraction(1, 2**400)]
)
def test_mechanism_for_refuses_what_no_noise_reaches(rho):
    with pytest.raises(DataError):
        mechanism_for(query_of(90), rho, Cohort("distributed", 10))


@given(st.integers(1, 1_193_046), st.integers(2**12, 2**14))
def test_sensitivity_is_the_papers_bound_and_the_smaller_one(dimension, scaled_norm):
    from mpmath import mp, mpf, sqrt

    mp.dps = 40
    d, c = mpf(dimension), mpf(scaled_norm)
    bound = c**2 + d / 4 + c + sqrt(d) / 2
    assert bound <= sensitivity_squared(dimension, scaled_norm) <= bound + 2
    assert bound <= (c + sqrt(d)) ** 2


GOOD = mechanism_of(90, 10**6, Cohort("distributed", 100, Fraction(1, 10)))


@pytest.mark.parametrize(
    "change",
    [
        {"trust": "nobody"},
        {"cohort_size": 0},
        {"cohort_size": 2**31},
        {"min_survivors": 101},
        {"min_survivors": 50},
        {"max_colluders": 90},
        {"max_colluders": -1},
        {"dimension": 0},
        {"scaled_norm": 2**12 - 1},
        {"scaled_norm": 2**14 + 1},
        {"dimension": 2**20},
        {"delta2_squared": GOOD.delta2_squared - 1},
        {"delta2_squared": 2**30 + 1},
        {"sigma2": 24},
        {"sigma2": 2**42 + 1},
        {"sigma2": True},
        {"sigma2": 1e6},
    ],
)
def test_a_mechanism_outside_the_rules_cannot_be_built(change):
    """a Mechanism outside the rules of docs/spec/mechanism.md cannot be built."""
    with pytest.raises(DataError):
        replace(GOOD, **change)


def test_rho_is_an_exact_fraction():
    """rho is an exact fraction."""
    gaussian = Fraction(GOOD.delta2_squared, 2 * 90 * 10**6)
    assert GOOD.rho == gaussian + Fraction(10 * 89 * 90, 4 * 2**350)
    assert gaussian < GOOD.rho < gaussian * (1 + Fraction(1, 10**80))


@pytest.mark.parametrize("order", [1.5, 2, 8, 32])
@pytest.mark.parametrize("shares", [1, 2, 5, 16])
def test_rho_bounds_the_renyi_divergence_of_the_sum_of_shares(shares, order):
    """rho bounds the Rényi divergence of the sum of noise_shares shares.

    One coordinate at the smallest σ'², shifted by 1 … 4 units instead of Δ2 (at 4,096 the law has
    no mass that a float can hold), by convolution, to 1e-9; the bound is met, so it is no looser.
    """
    reach = 180  # at order 32 the divergence is decided 128 units out
    share = np.exp(-(np.arange(-reach, reach + 1.0) ** 2) / (2 * MIN_SIGMA2))
    law = np.ones(1)
    for _ in range(shares):
        law = np.convolve(law, share / share.sum())
    least = mechanism_of(1, MIN_SIGMA2, Cohort("distributed", shares))
    for shift in range(1, 5):
        rho = least.rho + Fraction(shift**2 - least.delta2_squared, 2 * shares * MIN_SIGMA2)
        with np.errstate(divide="ignore"):
            p, q = np.log(law[shift:]), np.log(law[:-shift])
        inside = np.isfinite(p) & np.isfinite(q)
        divergence = logsumexp(order * p[inside] + (1 - order) * q[inside]) / (order - 1)
        assert divergence == pytest.approx(order * float(rho), rel=1e-9)


def test_tau_is_below_its_rational_bound():
    from mpmath import exp, mp, mpf, pi

    mp.dps = 150
    assert exp(-(pi**2) * 25) < mpf(2) ** -350


@pytest.mark.parametrize(
    ("trust", "variance"), [("distributed", 95), ("central", 1), ("local", 95)]
)
def test_sum_variance_counts_the_survivors_shares(trust, variance):
    assert mechanism_of(9, 100, Cohort(trust, 100)).sum_variance(95) == variance * 100


def test_own_share_rho_is_noise_shares_times_rho():
    assert float(GOOD.own_share_rho / GOOD.rho) == pytest.approx(90, rel=1e-12)


def test_own_share_rho_is_refused_under_central_trust():
    with pytest.raises(DataError):
        _ = mechanism_of(9, 100, Cohort("central", 100)).own_share_rho


def test_fits_secure_sum_ends_at_a_thousand_devices():
    assert mechanism_of(9, 2**42, Cohort("local", 1000)).fits_secure_sum
    assert not mechanism_of(9, 100, Cohort("distributed", 1001)).fits_secure_sum


def test_dropout_of_all_leaves_one_survivor():
    assert Cohort("central", 10, Fraction(1)).min_survivors == 1


def test_mechanism_is_made_of_integers_and_a_word():
    assert all(type(v) in (int, str) for v in vars(GOOD).values())
    assert isinstance(GOOD, Mechanism)


@pytest.mark.parametrize("dimension", [1, 90])
def test_mechanism_for_pays_for_tau(dimension):
    """τ is 2^-340 here, yet a share of ρ that lacks 2^-500 of it buys one unit more of σ'²."""
    cohort = Cohort("distributed", 100, Fraction(1, 10))
    m = mechanism_of(dimension, 10**6, cohort)
    assert mechanism_for(query_of(dimension), m.rho, cohort) == m
    less = mechanism_for(query_of(dimension), m.rho - Fraction(1, 2**500), cohort)
    assert less == replace(m, sigma2=10**6 + 1)


def test_mechanism_for_refuses_a_share_of_tau_alone():
    with pytest.raises(DataError, match="2\\^42"):
        mechanism_for(query_of(4), Fraction(10 * 99, 2**350), Cohort("distributed", 100))


@pytest.mark.parametrize(
    "change",
    [
        {"cohort_size": 2**30, "trust": "central"},
        {"min_survivors": 100},
        {"min_survivors": 51},
        {"min_survivors": 51, "max_colluders": 1},
        {"trust": "local", "min_survivors": 1},
        {"trust": "central", "max_colluders": 89},
        {"scaled_norm": 2**12},
        {"scaled_norm": 15 * 10**3, "dimension": 10**6, "delta2_squared": 2**28},
        {"dimension": 2**28 // 225, "delta2_squared": 2**30},
        {"delta2_squared": 2**30},
        {"sigma2": 25},
        {"sigma2": 2**42},
    ],
)
def test_a_mechanism_may_lie_on_the_edge_of_the_rules(change):
    assert replace(GOOD, **change).noise_shares >= 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cohort_size", 0),
        ("cohort_size", 2**30 + 1),
        ("min_survivors", 0),
        ("min_survivors", 101),
        ("max_colluders", -1),
        ("max_colluders", 90),
        ("dimension", 0),
        ("dimension", 2**28 // 225 + 1),
        ("scaled_norm", 2**12 - 1),
        ("scaled_norm", 2**14 + 1),
        ("delta2_squared", GOOD.delta2_squared - 1),
        ("delta2_squared", 2**30 + 1),
        ("sigma2", 24),
        ("sigma2", 2**42 + 1),
        ("sigma2", 1.0),
    ],
)
def test_mechanism_names_the_field_that_is_just_outside(field, value):
    with pytest.raises(DataError, match=f"^{field} must be"):
        replace(GOOD, trust="central", **{field: value})


@pytest.mark.parametrize("colluders", [2, 3])
def test_mechanism_refuses_survivors_who_are_no_honest_majority(colluders):
    with pytest.raises(DataError, match=r"^min_survivors must be"):
        replace(GOOD, min_survivors=51, max_colluders=colluders)


def test_mechanism_refuses_a_vector_that_is_long_for_its_norm():
    with pytest.raises(DataError, match=r"^scaled_norm squared must be"):
        replace(GOOD, scaled_norm=2**12, dimension=2**24 // 225 + 1)
    edge = replace(GOOD, scaled_norm=4200, dimension=4200**2 // 225)
    assert edge.dimension == 78400


def test_mechanism_for_may_use_the_largest_variance():
    cohort = Cohort("distributed", 100)
    m = mechanism_of(90, 2**42, cohort)
    assert mechanism_for(query_of(90), m.rho, cohort) == m


@pytest.mark.parametrize("scaled_norm", [2**13, 2**12])
def test_mechanism_for_halves_the_integers_when_the_noise_is_too_large(scaled_norm):
    cohort = Cohort("central", 10)
    m = mechanism_of(90, 2**42 - 1, cohort, scaled_norm)
    assert mechanism_for(query_of(90), m.rho, cohort) == m


def test_no_mechanism_of_1000_devices_passes_the_residues():
    """8·√n·σ' and n·Δ2 at their largest: under a third of 2^31, so the wrap rule always holds."""
    assert 1000 * 2**15 + 8 * (1000 * MAX_SIGMA2) ** 0.5 < 2**31 / 3
