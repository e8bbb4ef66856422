# SPDX-License-Identifier: Apache-2.0
"""The discrete Gaussian: P(x) ∝ exp(-x²/2V) on the integers, for any integer variance V.

No float takes part. With k a power of two near √V/16 or less, |x| = k·y + z is drawn as a coarse
y from a table of cumulative probabilities ∝ exp(-(ky)²/2V), a fine z uniform in [0, k), and kept
with probability exp(-t/2V), t = z(z + 2ky): the product of both is the probability wanted. That
last coin is a product of coins exp(-digit·64^j/2V), one for each base-64 digit of t. Every
comparison with a probability uses 256 bits of chance: the first 64 decide for all draws at once,
and the rare tie is settled with the other 192.

Distance: the tables are exact to 2^-256 and cut where less than 2^-256 is left, so a draw is
within 2^-244 (total variation) of the exact distribution; `accountant.epsilon` pays for it in δ.

Chance: AES-256 in counter mode under a fresh key from the operating system for every request, so
that no state is there to be shared by threads or forked processes.

Source: Ducas, Durmus, Lepoint, Lyubashevsky (2013), "Lattice Signatures and Bimodal Gaussians",
section 6 (y, z and the digits); Canonne, Kamath, Steinke (2020), "The Discrete Gaussian for
Differential Privacy" (why not rounded floats). https://arxiv.org/abs/2004.00010
"""

import os
from bisect import bisect_right
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache
from itertools import accumulate
from math import isqrt
from typing import Protocol

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from shared.errors import DataError

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

MAX_VARIANCE = 2**56
"""Largest variance for which every step stays within int64."""
PRECISION = 256
"""Bits of chance that every probability is compared with."""
DIGIT_BITS = 6
"""t is read in digits of base 64."""


class RandomSource(Protocol):
    """Where uniform bits come from."""

    def words(self, count: int) -> Words:
        """Return ``count`` independent uniform 64-bit words, uint64 ``(count,)``."""


class OsRandom:
    """Uniform words from the operating system's generator, stretched by AES-256-CTR.

    Guarantees:
        - every request has a key of its own, so calls, threads and forks are independent
        - no seed changes what it returns
    """

    def words(self, count: int) -> Words:
        """Return ``count`` independent uniform 64-bit words, uint64 ``(count,)``."""
        key, nonce = os.urandom(32), bytes(16)  # the key is used once: any nonce will do
        stream = Cipher(algorithms.AES(key), modes.CTR(nonce)).encryptor()
        return np.frombuffer(stream.update(bytes(8 * count)), dtype="<u8").astype(np.uint64)


def discrete_gaussian(variance: int, size: int, source: RandomSource) -> Ints:
    """Draw independent discrete Gaussians.

    Args:
        variance: V >= 1, an integer: the parameter, which is the variance up to exp(-2π²V).
        size: How many to draw.
        source: Where the chance comes from; `OsRandom()` wherever a guarantee is claimed.

    Returns:
        The draws, int64 ``(size,)``. Private unless added to something public.

    Guarantees:
        - each draw is within 2**-244 of the exact distribution in total variation
        - no float takes part in a draw

    Raises:
        DataError: the variance is not an integer in [1, 2^56].

    Example:
        >>> discrete_gaussian(25, 3, OsRandom()).shape
        (3,)
    """
    if type(variance) is not int or not 1 <= variance <= MAX_VARIANCE:
        raise DataError(f"variance must be an integer in [1, 2^56], got {str(variance)[:24]}.")
    tables = _tables(variance)
    kept: list[Ints] = []
    missing = size
    while missing > 0:
        draws = _attempt(tables, missing + missing // 16 + 8, source)[:missing]
        kept.append(draws)
        missing -= draws.size
    return np.concatenate([np.empty(0, dtype=np.int64), *kept])


@dataclass(frozen=True)
class _Probabilities:
    """Probabilities as integers over 2^256, with their first 64 bits apart for numpy."""

    exact: tuple[int, ...]
    top: Words

    @classmethod
    def of(cls, exact: tuple[int, ...]) -> "_Probabilities":
        """Keep each probability below 1 and split its first word off."""
        capped = tuple(min(p, 2**PRECISION - 1) for p in exact)
        return cls(capped, np.array([p >> (PRECISION - 64) for p in capped], dtype=np.uint64))


@dataclass(frozen=True)
class _Tables:
    """What the sampler looks up for one variance."""

    shift: int
    """log2 of k."""
    coarse: _Probabilities
    """P(y <= i), i = 0, 1, …"""
    digits: tuple[_Probabilities, ...]
    """exp(-digit·64^j/2V), digit = 0 … 63, for j = 0, 1, …"""


@lru_cache(maxsize=64)
def _tables(variance: int) -> _Tables:
    """Compute the tables of one variance, each entry exact to 2^-256."""
    exp = Context(prec=100, Emin=-(10**9), Emax=10**9).exp
    one = 2 ** (PRECISION + 64)  # weights carry 64 bits more than probabilities

    def weight(t: int) -> int:
        exact = Context(prec=100, Emin=-(10**9), Emax=10**9)
        return int(exact.multiply(exp(exact.divide(Decimal(-t), Decimal(2 * variance))), one))

    shift = max(0, (variance.bit_length() - 9) // 2)  # 256·k² <= V, so the last coin is a near 1
    k = 1 << shift
    length = isqrt(355 * variance // k**2) + 2  # exp(-355/2) < 2^-256 is left out
    weights = [weight((k * y) ** 2) for y in range(length)]
    total = sum(weights)
    coarse = tuple((w << PRECISION) // total for w in accumulate(weights))
    largest = (k - 1) * (k - 1 + 2 * k * (length - 1))
    count = -(-largest.bit_length() // DIGIT_BITS)
    digits = tuple(
        _Probabilities.of(
            tuple(weight(digit << (DIGIT_BITS * j)) >> 64 for digit in range(2**DIGIT_BITS))
        )
        for j in range(count)
    )
    return _Tables(shift, _Probabilities.of(coarse), digits)


def _attempt(tables: _Tables, size: int, source: RandomSource) -> Ints:
    """Propose ``size`` draws and return those that are kept, in order."""
    k = 1 << tables.shift
    y = _invert(tables.coarse, source.words(size), source)
    bits = source.words(size)
    z = (bits & np.uint64(k - 1)).astype(np.int64)
    negative = (bits >> np.uint64(63)).astype(bool)
    magnitude = k * y + z
    keep = ~(negative & (magnitude == 0))  # zero has one sign
    t = z * (z + 2 * k * y)  # at most 5·V < 2^59
    for j, coins in enumerate(tables.digits):
        digit = (t >> (DIGIT_BITS * j)) & (2**DIGIT_BITS - 1)
        keep &= _coins(coins, digit, source.words(size), source)
    return np.asarray(np.where(negative, -magnitude, magnitude)[keep])


def _invert(cumulative: _Probabilities, words: Words, source: RandomSource) -> Ints:
    """Return, for each uniform number, how many cumulative probabilities are at most it."""
    found = np.searchsorted(cumulative.top, words, side="left").astype(np.int64)
    clamped = np.minimum(found, cumulative.top.size - 1)
    for place in np.flatnonzero(cumulative.top[clamped] == words):
        found[place] = bisect_right(cumulative.exact, _extend(words[place], source))
    inside: Ints = np.minimum(found, cumulative.top.size - 1)
    return inside


def _coins(
    heads: _Probabilities, which: Ints, words: Words, source: RandomSource
) -> npt.NDArray[np.bool_]:
    """Toss one coin a word: True with probability ``heads[which]``."""
    top = heads.top[which]
    result: npt.NDArray[np.bool_] = words < top
    for place in np.flatnonzero(words == top):
        result[place] = _extend(words[place], source) < heads.exact[which[place]]
    return result


def _extend(word: np.uint64, source: RandomSource) -> int:
    """Return a uniform number of 256 bits that begins with ``word``."""
    value = int(word)
    for low in source.words(PRECISION // 64 - 1):
        value = value << 64 | int(low)
    return value
