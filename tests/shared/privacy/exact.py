# SPDX-License-Identifier: Apache-2.0
"""The discrete Gaussian, slow and exact: what the fast sampler is judged by.

Source: Canonne, Kamath, Steinke (2020), Algorithms 1-3. https://arxiv.org/abs/2004.00010
"""

import math
from fractions import Fraction

from shared.privacy.noise import RandomSource


def probabilities(variance: int, reach: int) -> list[float]:
    """P(x) for x = -reach … reach, each right to about 1e-15."""
    weights = [math.exp(-(x**2) / (2 * variance)) for x in range(-reach, reach + 1)]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def exact_discrete_gaussian(variance: int, source: RandomSource) -> int:
    """Draw one discrete Gaussian with fractions only."""
    t = math.isqrt(variance) + 1
    while True:
        y = _laplace(t, source)
        if _coin_exp(Fraction((abs(y) * t - variance) ** 2, 2 * variance * t * t), source):
            return y


def _below(bound: int, source: RandomSource) -> int:
    """Draw a uniform integer in [0, bound)."""
    limit = 2**64 // bound * bound
    while (word := int(source.words(1)[0])) >= limit:
        pass
    return word % bound


def _coin_exp(gamma: Fraction, source: RandomSource) -> bool:
    """Toss a coin with probability exp(-gamma), gamma >= 0."""
    while gamma > 1:
        if not _coin_exp(Fraction(1), source):
            return False
        gamma -= 1
    k = 1
    while _below(gamma.denominator * k, source) < gamma.numerator:
        k += 1
    return k % 2 == 1


def _laplace(scale: int, source: RandomSource) -> int:
    """Draw a discrete Laplace, P(x) ∝ exp(-|x|/scale)."""
    while True:
        u = _below(scale, source)
        if not _coin_exp(Fraction(u, scale), source):
            continue
        v = 0
        while _coin_exp(Fraction(1), source):
            v += 1
        x = u + scale * v
        negative = _below(2, source) == 1
        if not (negative and x == 0):
            return -x if negative else x
