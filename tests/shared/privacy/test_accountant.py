# SPDX-License-Identifier: Apache-2.0
"""ρ to ε: never optimistic, equal to independent accountants within their tolerances."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DataError
from shared.privacy.accountant import (
    MAX_RHO,
    RHO_STEP,
    epsilon,
    noise_multiplier,
    rho_for,
    rho_of,
)
from simulation.budget import gaussian_epsilon, gaussian_mu

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "accounting.json").read_text())
GAUSSIANS = [row for row in VECTORS["composed_gaussians"] if row["q"] == "1"]


@pytest.mark.parametrize("row", GAUSSIANS)
def test_epsilon_agrees_with_golden_rdp(row):
    rho = Fraction(row["rounds"]) / (2 * Fraction(row["sigma"]) ** 2)
    assert epsilon(rho, float(row["delta"])) == pytest.approx(float(row["rdp"]), abs=3e-3)
    assert gaussian_epsilon(float(2 * rho) ** 0.5, float(row["delta"])) == pytest.approx(
        float(row["pld"]), abs=1e-3
    )


def test_epsilon_claims_no_amplification_by_sampling():
    """The guarantee is that of people who answer every time; golden orders are coarse."""
    row = VECTORS["fixed_cohort"]
    ours = epsilon(Fraction(row["rounds"], 2), float(row["delta"]))
    assert 0 <= float(row["unamplified_rdp"]) - ours <= 0.3
    assert ours > float(row["poisson_rdp"])


def test_epsilon_of_replacement_is_that_of_twice_the_distance():
    row = VECTORS["replace_one"]
    rho = 4 * Fraction(row["rounds"]) / (2 * Fraction(row["sigma"]) ** 2)
    assert gaussian_epsilon(float(2 * rho) ** 0.5, float(row["delta"])) == pytest.approx(
        float(row["pld"]), abs=5e-3
    )
    assert epsilon(rho, float(row["delta"])) >= float(row["pld"])


def test_noise_multiplier_agrees_with_golden_central_equivalent():
    row = VECTORS["central_equivalent"]
    z = noise_multiplier(rho_for(float(row["epsilon"]), float(row["delta"])))
    assert z == pytest.approx(float(row["z"]), abs=5e-4)


@pytest.mark.parametrize("row", VECTORS["single_release"])
def test_gaussian_mu_agrees_with_golden_sigma(row):
    mu = gaussian_mu(float(row["epsilon"]), float(row["delta"]))
    assert 1 / mu == pytest.approx(float(row["sigma"]), abs=5e-3)


def conversion(rho: Fraction, delta: Fraction):
    """The smallest ε over all orders in 50 digits: 80 orders for a bracket, then thirds of it."""
    from mpmath import log, log1p, mp, mpf

    mp.dps = 50

    def at(log_x):
        x = mp.exp(log_x)
        return (
            rho.numerator * (1 + x) / rho.denominator
            - log1p(1 / x)
            - (log(mpf(delta.numerator) / delta.denominator) + log1p(x)) / x
        )

    middle = min((mpf(i) / 2 for i in range(-32, 49)), key=at)
    low, high = middle - 1, middle + 1
    for _ in range(100):
        left, right = (2 * low + high) / 3, (low + 2 * high) / 3
        low, high = (low, right) if at(left) < at(right) else (left, high)
    return max(mpf(0), at(low))


@given(rho=st.fractions(Fraction(1, 10**6), 100), delta=st.sampled_from([1e-10, 1e-6, 1e-5]))
def test_epsilon_is_never_below_the_exact_conversion_at_the_best_order(rho, delta):
    """epsilon is never below the exact conversion at the best order.

    Nor is it more than 1e-9 above with the sampler's part of δ taken off, nor below the continuous
    Gaussian's exact ε.
    """
    got = epsilon(rho, delta)
    wanted = conversion(rho, Fraction(delta) - Fraction(1, 2**60))
    assert conversion(rho, Fraction(delta)) <= wanted <= got <= wanted + 1e-9
    assert got >= gaussian_epsilon(float(2 * rho) ** 0.5, delta)


@given(st.fractions(0, 1000), st.fractions(0, 1000))
def test_epsilon_grows_with_rho_and_falls_with_delta(a, b):
    """epsilon grows with rho and falls with delta."""
    low, high = sorted((a, b))
    assert epsilon(low, 1e-6) <= epsilon(high, 1e-6) * (1 + 1e-9)
    assert epsilon(low, 1e-5) <= epsilon(low, 1e-6) * (1 + 1e-9)


@given(st.floats(0.01, 50), st.sampled_from([1e-10, 1e-5]))
def test_epsilon_of_rho_for_is_at_most_the_target(target, delta):
    """epsilon(rho_for(target, delta), delta) is at most the target."""
    rho = rho_for(target, delta)
    assert target * (1 - 1e-3) - 1e-3 <= epsilon(rho, delta) <= target


@given(st.floats(0.01, 50), st.sampled_from([1e-10, 1e-5]))
def test_rho_for_is_the_largest_on_its_grid(target, delta):
    """2**-40 more of rho would pass the target."""
    rho = rho_for(target, delta)
    assert rho.denominator <= RHO_STEP.denominator
    assert epsilon(rho + RHO_STEP, delta) > target


@pytest.mark.parametrize("z", [0.6, 1.0, 3.73])
def test_noise_multiplier_inverts_rho(z):
    assert noise_multiplier(rho_of(z)) == pytest.approx(z, rel=1e-12)


@pytest.mark.parametrize("z", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_rho_of_refuses_what_is_no_noise(z):
    with pytest.raises(DataError):
        rho_of(z)


@pytest.mark.parametrize(
    ("rho", "delta"), [(-1, 1e-5), (2**21, 1e-5), (1, 0.0), (1, 1.0), (1, 1e-19)]
)
def test_epsilon_refuses_what_is_out_of_range(rho, delta):
    with pytest.raises(DataError):
        epsilon(Fraction(rho), delta)


@pytest.mark.parametrize("target", [0.0, -1.0, float("nan"), float("inf"), 1e-300])
def test_rho_for_refuses_what_no_rho_reaches(target):
    with pytest.raises(DataError):
        rho_for(target, 1e-10)


@pytest.mark.parametrize("z", [2.0**-9, 2.0**30])
def test_rho_of_allows_the_ends_of_its_range(z):
    assert rho_of(z) == 1 / (2 * Fraction(z) ** 2)


@pytest.mark.parametrize("z", [2.0**-9 * 0.999, 2.0**30 * 1.001])
def test_rho_of_refuses_what_is_just_outside(z):
    with pytest.raises(DataError):
        rho_of(z)


def test_rho_for_reaches_a_target_that_is_met_exactly():
    assert rho_for(epsilon(Fraction(1), 1e-6), 1e-6) >= 1


@pytest.mark.parametrize("rho", [1, 1000, MAX_RHO])
def test_epsilon_is_moved_up_by_what_floats_can_lose(rho):
    wanted = conversion(Fraction(rho), Fraction(1e-6) - Fraction(1, 2**60))
    assert epsilon(Fraction(rho), 1e-6) >= wanted * (1 + 0.99 * 2**-40)


def test_epsilon_of_no_release_is_0():
    assert epsilon(Fraction(0), 1e-6) == 0


def test_epsilon_refuses_a_delta_that_the_sampler_uses_up():
    with pytest.raises(DataError, match="delta"):
        epsilon(Fraction(1), 2.0**-60)
