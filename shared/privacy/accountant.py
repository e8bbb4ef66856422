# SPDX-License-Identifier: Apache-2.0
"""From ρ to ε and back, never optimistic, with the standard library alone.

Releases compose by adding ρ as exact fractions, and that holds when each depends on the last
(zero-concentrated DP). Only the words for people need ε: at δ, ε is the smallest that any order
α of Rényi divergence proves. It is computed in float64 and then moved up by more than the floats
can have lost.

Source: Bun, Steinke (2016), "Concentrated Differential Privacy", https://arxiv.org/abs/1605.02065;
Canonne, Kamath, Steinke (2020), Proposition 12, https://arxiv.org/abs/2004.00010.
"""

import math
from collections.abc import Callable
from fractions import Fraction

from shared.errors import DataError

SAMPLER_DELTA = 2.0**-60
"""Part of δ that pays for the sampler: (1 + e^ε)·2^-244 a draw, for ε <= 97 and 2^44 draws."""
RHO_STEP = Fraction(1, 2**40)
"""`rho_for` answers in multiples of this."""
MAX_RHO = 2**20


def epsilon(rho: Fraction, delta: float) -> float:
    """Return an ε such that ρ-zCDP implies (ε, δ)-DP.

    Args:
        rho: Σρ of all releases, exact, in [0, 2^20].
        delta: δ, in (2^-60, 1).

    Guarantees:
        - epsilon is never below the exact conversion at the best order
        - epsilon grows with rho and falls with delta

    Raises:
        DataError: ρ or δ is out of range.

    Source: Canonne, Kamath, Steinke (2020), Proposition 12 with ε(α) = αρ.

    Example:
        >>> round(epsilon(Fraction(1), 1e-6), 3)
        7.766
    """
    if not 0 <= rho <= MAX_RHO:
        raise DataError("rho must be in [0, 2^20].")
    if not SAMPLER_DELTA < delta < 1:
        raise DataError("delta must be in (2^-60, 1).")
    if rho == 0:
        return 0.0
    log_delta = math.log(delta - SAMPLER_DELTA)
    rate = float(rho)

    def bound(log_order: float) -> float:
        """Return ε from the order 1 + exp(log_order), moved up by all that rounding can lose."""
        x = math.exp(log_order)
        order = 1.0 + x
        terms = (order * rate, -math.log1p(1.0 / x), -(log_delta + math.log1p(x)) / x)
        return math.fsum(terms) + 2.0**-40 * math.fsum(abs(term) for term in terms)

    return max(0.0, bound(_argmin(bound, low=-16.0, high=24.0)))


def rho_for(target_epsilon: float, delta: float) -> Fraction:
    """Return the largest multiple of 2^-40 whose ε at δ is at most the target.

    Guarantees:
        - epsilon(rho_for(target, delta), delta) is at most the target
        - 2**-40 more of rho would pass the target

    Raises:
        DataError: the target is not a finite positive number that some ρ reaches.
    """
    if not (math.isfinite(target_epsilon) and target_epsilon > 0):
        raise DataError(f"target epsilon must be finite and positive, got {target_epsilon}.")
    low, high = 0, MAX_RHO * RHO_STEP.denominator
    while high - low > 1:
        middle = (low + high) // 2
        if epsilon(middle * RHO_STEP, delta) <= target_epsilon:
            low = middle
        else:
            high = middle
    if low == 0:
        raise DataError(f"target epsilon {target_epsilon} is too small for delta {delta}.")
    return low * RHO_STEP


def noise_multiplier(rho: Fraction) -> float:
    """Return z = 1/√(2ρ): the single Gaussian of equal cost, as noise over sensitivity."""
    return 1.0 / math.sqrt(2.0 * float(rho))


def rho_of(noise_multiplier: float) -> Fraction:
    """Return ρ = 1/(2z²) of a single Gaussian with noise multiplier z, exact in the float z.

    Raises:
        DataError: z is not a finite positive number of a usable size.
    """
    if not (math.isfinite(noise_multiplier) and 2.0**-9 <= noise_multiplier <= 2.0**30):
        raise DataError(f"noise multiplier must be in [2^-9, 2^30], got {noise_multiplier}.")
    return 1 / (2 * Fraction(noise_multiplier) ** 2)


def _argmin(function: Callable[[float], float], low: float, high: float) -> float:
    """Return about where a function with one valley is smallest, by golden section."""
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(80):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if function(left) <= function(right) else (left, high)
    return (low + high) / 2
