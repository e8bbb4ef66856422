# SPDX-License-Identifier: Apache-2.0
"""ρ and ε as odds: what somebody who sees everything released could say about one person.

Two numbers, and they are different questions. The best guess is how often a yes/no guess about
one account is right when both answers are equally likely, for the noise that was added. The worst
case is how far ε alone lets a suspicion grow; hardly any release reaches it.

Source: Nanayakkara et al. (2023), USENIX Security, "What Are the Chances?"; Dong, Roth, Su
(2022), https://arxiv.org/abs/1905.02383, for μ and the trade-off curve.
"""

import math
from fractions import Fraction
from statistics import NormalDist

_NORMAL = NormalDist()


def mu(rho: Fraction) -> float:
    """Return μ = √(2ρ): the one Gaussian release that costs as much."""
    return math.sqrt(2.0 * float(rho))


def best_guess(rho: Fraction) -> float:
    """Return how often the best yes/no guess is right, in [0.5, 1].

    Example:
        >>> round(best_guess(Fraction(1, 2)), 3)
        0.691
    """
    return _NORMAL.cdf(mu(rho) / 2)


def guess_after(whole: float, spent: float) -> float:
    """Return the best guess after a part of a budget, from the best guess after all of it.

    Args:
        whole: Best guess when the whole budget ρ is used, in [0.5, 1].
        spent: Part of ρ that is used, in [0, 1]; μ grows with its root.

    Example:
        >>> round(guess_after(0.662, 0.25), 3)
        0.583
    """
    if whole >= 1.0 or spent <= 0.0:
        return 1.0 if whole >= 1.0 and spent > 0.0 else 0.5
    return _NORMAL.cdf(_NORMAL.inv_cdf(whole) * math.sqrt(spent))


def in_a_hundred(guess: float) -> int:
    """Return how many of a hundred guesses are right at most, rounded up.

    Example:
        >>> in_a_hundred(0.5828)
        59
    """
    return math.ceil(100 * guess - 1e-9)


def suspicion(epsilon: float) -> float:
    """Return what a suspicion of 50 % can at most become, in [0.5, 1].

    Example:
        >>> round(suspicion(1.0), 2)
        0.73
    """
    return 1.0 / (1.0 + math.exp(-epsilon))


def missed(false_alarm: float, mu_value: float) -> float:
    """Return the smallest rate of missed people at a rate of false alarms (trade-off curve)."""
    if not 0.0 < false_alarm < 1.0:
        return 1.0 - false_alarm
    return _NORMAL.cdf(_NORMAL.inv_cdf(1.0 - false_alarm) - mu_value)


def missed_worst(false_alarm: float, epsilon: float, delta: float) -> float:
    """Return the same, from ε and δ alone."""
    grown = 1.0 - delta - math.exp(min(epsilon, 700.0)) * false_alarm
    shrunk = math.exp(-epsilon) * (1.0 - delta - false_alarm)
    return max(0.0, grown, shrunk)


def percent(share: float) -> str:
    """Spell a share; never rounds up to 100 %.

    Example:
        >>> percent(0.7214), percent(0.999665), percent(0.99999999)
        ('72.1 %', '99.97 %', 'more than 99.999 %')
    """
    if share > 0.99999:
        return "more than 99.999 %"
    digits = 1 if share < 0.99 else 2 if share < 0.9999 else 3
    return f"{math.floor(share * 100 * 10**digits + 0.5) / 10**digits:.{digits}f} %"
