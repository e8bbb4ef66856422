# SPDX-License-Identifier: Apache-2.0
"""The sampler against exact probabilities, an exact slow reference, and its own bounds."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from shared.errors import DataError
from shared.privacy import noise
from shared.privacy.noise import (
    MAX_VARIANCE,
    OsRandom,
    _attempt,
    _coins,
    _invert,
    _tables,
    discrete_gaussian,
)
from simulation.noise import SimulationRng
from tests.shared.privacy.exact import exact_discrete_gaussian, probabilities

pytestmark = pytest.mark.statistical


class Scripted:
    """A source that returns what a test wrote down."""

    def __init__(self, *words: int) -> None:
        self._words = itertools.cycle(words)

    def words(self, count: int) -> np.ndarray:
        return np.array([next(self._words) for _ in range(count)], dtype=np.uint64)


def chi_square(draws: np.ndarray, variance: int) -> float:
    """p-value of the draws under exact probabilities, cells with at least 10 expected."""
    reach = int(8 * variance**0.5) + 2
    mass = np.array(probabilities(variance, reach))
    step = max(1, int(variance**0.5 / 16))
    cells = np.add.reduceat(mass, np.arange(0, mass.size, step))
    seen = np.bincount((draws + reach) // step, minlength=cells.size)[: cells.size]
    wide = cells * draws.size >= 10
    expected = np.append(cells[wide], 1 - cells[wide].sum()) * draws.size
    observed = np.append(seen[wide], draws.size - seen[wide].sum())
    return stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue


@pytest.mark.parametrize("variance", [1, 25, 26, 255, 256, 1023, 1024, 4097, 10**5])
def test_each_draw_is_within_2_to_the_minus_244_of_the_exact_distribution_in_total_variation(
    variance,
):
    """each draw is within 2**-244 of the exact distribution in total variation.

    Goodness of fit, false alarm 1e-6 a case; that the tables are exact is tested below.
    """
    draws = discrete_gaussian(variance, 200_000, OsRandom())
    assert chi_square(draws, variance) > 1e-6


@pytest.mark.parametrize("variance", [2**20 + 7, 9 * 10**10, 2**42, 2**55 + 1])
def test_discrete_gaussian_has_the_normal_limit_when_the_variance_is_large(variance):
    """Kolmogorov and variance, false alarm 1e-6 each."""
    draws = discrete_gaussian(variance, 200_000, OsRandom()) / variance**0.5
    assert stats.kstest(draws, "norm").pvalue > 1e-6
    assert abs(draws.var() - 1) < 4.9 * (2 / 200_000) ** 0.5


def test_low_bits_are_uniform_when_the_variance_is_large():
    """False alarm 1e-6: residues modulo 64 of a wide Gaussian are uniform to 1e-100."""
    draws = discrete_gaussian(2**30, 200_000, OsRandom())
    assert stats.chisquare(np.bincount(draws % 64)).pvalue > 1e-6


def test_exact_reference_and_sampler_agree():
    """Two samples, false alarm 1e-6."""
    slow = np.array([exact_discrete_gaussian(30, OsRandom()) for _ in range(4_000)])
    fast = discrete_gaussian(30, 100_000, OsRandom())
    cells = np.arange(-16, 17, 2)
    table = [np.bincount(np.digitize(x, cells), minlength=18) for x in (slow, fast)]
    assert stats.chi2_contingency(np.array(table)).pvalue > 1e-6


@pytest.mark.parametrize("variance", [25, 1000, 2**36])
def test_tables_are_exact_to_one_part_in_2_to_the_256(variance):
    tables = _tables(variance)
    for y in (0, 1, len(tables.coarse.exact) - 2):
        step = tables.coarse.exact[y] - (tables.coarse.exact[y - 1] if y else 0)
        ratio = Fraction(step, tables.coarse.exact[0])
        k = 1 << tables.shift
        from decimal import Context, Decimal

        exact = Context(prec=120)
        wanted = exact.exp(exact.divide(Decimal(-((k * y) ** 2)), Decimal(2 * variance)))
        assert abs(ratio - Fraction(wanted)) < Fraction(8, 2**250)
    assert tables.coarse.exact[-1] == 2**256 - 1


def test_no_float_takes_part_in_a_draw():
    """no float takes part in a draw."""
    tables = _tables(12345)
    assert tables.coarse.top.dtype == np.uint64
    assert all(type(p) is int for coins in tables.digits for p in coins.exact)
    assert discrete_gaussian(12345, 10, OsRandom()).dtype == np.int64


@pytest.mark.parametrize(("low", "wanted"), [(0, 4), (2**64 - 1, 5)])
def test_a_tie_in_the_coarse_table_is_settled_by_the_other_192_bits(low, wanted):
    coarse = _tables(1000).coarse
    assert _invert(coarse, coarse.top[4:5], Scripted(low)) == [wanted]


@pytest.mark.parametrize(("low", "wanted"), [(0, True), (2**64 - 1, False)])
def test_a_tie_of_a_coin_is_settled_by_the_other_192_bits(low, wanted):
    coins = _tables(10**6).digits[0]
    assert _coins(coins, np.array([9]), coins.top[9:10], Scripted(low)) == [wanted]


def test_invert_stays_in_the_table_when_all_bits_are_one():
    coarse = _tables(1000).coarse
    ones = 2**64 - 1
    assert _invert(coarse, np.array([ones], dtype=np.uint64), Scripted(ones)) <= coarse.top.size - 1


def test_no_seed_changes_what_it_returns():
    """no seed changes what it returns."""
    first = []
    for _ in range(2):
        np.random.seed(7)  # noqa: NPY002, TID251
        first.append(tuple(OsRandom().words(4)))
    assert first[0] != first[1]


@pytest.mark.parametrize("variance", [0, -1, 25.0, True, MAX_VARIANCE + 1, 10**400])
def test_discrete_gaussian_refuses_what_is_no_variance(variance):
    with pytest.raises(DataError, match="variance"):
        discrete_gaussian(variance, 1, OsRandom())


@pytest.mark.parametrize("size", [0, 1, 7])
def test_discrete_gaussian_returns_the_size_asked_for(size):
    assert discrete_gaussian(25, size, OsRandom()).shape == (size,)


def test_discrete_gaussian_draws_again_when_too_few_are_kept():
    class Stingy(SimulationRng):
        def words(self, count: int) -> np.ndarray:
            return super().words(count) | np.uint64(3 << 62) if count < 12 else super().words(count)

    assert discrete_gaussian(1, 40, Stingy(1)).size == 40


def test_simulation_rng_repeats_a_seed_and_separates_two():
    draws = [tuple(discrete_gaussian(10**6, 5, SimulationRng(s))) for s in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize("variance", [1024, 10**5, 2**30 + 1, MAX_VARIANCE])
def test_the_coins_of_a_draw_complete_the_square(variance, monkeypatch):
    """Exact: the digits tossed for |x| = ky + z are those of t = x² - (ky)², in base 64."""
    tossed = []

    def heads(coins, digit, words, source):
        tossed.append(digit)
        return np.ones(digit.size, dtype=bool)

    monkeypatch.setattr(noise, "_coins", heads)
    tables = _tables(variance)
    draws = _attempt(tables, 500, OsRandom()).tolist()
    k = 1 << tables.shift
    t = [
        sum(int(d) << (6 * j) for j, d in enumerate(digits)) for digits in zip(*tossed, strict=True)
    ]
    wanted = [x * x - (k * (abs(x) // k)) ** 2 for x in draws]
    assert len(draws) >= 400
    if len(draws) == 500:  # no draw was a negative zero
        assert t == wanted
    assert set(wanted) <= set(t)


def test_discrete_gaussian_takes_the_largest_variance():
    assert discrete_gaussian(MAX_VARIANCE, 3, OsRandom()).shape == (3,)


@pytest.mark.parametrize("variance", [1, 25, 1000, 2**20, 2**42])
def test_what_the_table_leaves_out_is_less_than_2_to_the_minus_256(variance):
    tables = noise._tables(variance)
    beyond = (len(tables.coarse.exact) << tables.shift) ** 2
    # exp(-beyond / 2V) < 2^-256 without a float: beyond > 2V · 256 · ln 2, and ln 2 < 6932/10^4.
    assert beyond * 10_000 > 2 * variance * 256 * 6_932
