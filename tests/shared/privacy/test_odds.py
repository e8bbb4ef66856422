# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import pytest

from shared.privacy import odds


@pytest.mark.parametrize(
    ("mu", "guess"), [("12", "52.4 %"), ("24", "54.8 %"), ("84", "66.3 %"), ("153", "77.8 %")]
)
def test_best_guess_agrees_with_the_table_of_the_design(mu, guess):
    assert odds.percent(odds.best_guess(Fraction(int(mu), 100) ** 2 / 2)) == guess


@pytest.mark.parametrize(("epsilon", "worst"), [(0.5, "62.2 %"), (1.0, "73.1 %"), (8.0, "99.97 %")])
def test_suspicion_agrees_with_the_table_of_the_design(epsilon, worst):
    assert odds.percent(odds.suspicion(epsilon)) == worst


def test_best_guess_of_nothing_is_a_coin():
    assert odds.best_guess(Fraction(0)) == 0.5


def test_guess_after_grows_from_a_coin_to_the_whole():
    shares = [odds.guess_after(0.662, spent) for spent in (0.0, 0.25, 1.0)]
    assert shares == pytest.approx([0.5, 0.5828, 0.662], abs=1e-4)


def test_guess_after_a_certain_guess_is_certain():
    assert odds.guess_after(1.0, 0.01) == 1.0


@pytest.mark.parametrize(
    ("guess", "hundred"), [(0.5, 50), (0.5901, 60), (0.59, 59), (0.99999, 100), (1.0, 100)]
)
def test_in_a_hundred_is_never_too_few(guess, hundred):
    assert odds.in_a_hundred(guess) == hundred
