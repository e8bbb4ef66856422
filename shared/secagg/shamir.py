# SPDX-License-Identifier: Apache-2.0
"""Shamir's secret sharing over GF(2^16), all secrets of a session at once in numpy.

A secret is a row of 16-bit symbols, each shared by its own random polynomial of degree
``threshold - 1``; device i (from 0) holds the values at x = i + 1. The field has 65,535 usable
points, its elements fill two bytes exactly (every byte string is a valid share), addition is XOR,
and a product is two table look-ups. Lagrange coefficients depend on the points alone, so one row
of them recovers every secret.

Table look-ups are not constant-time: shares are dealt and recovered in the memory of a party that
may know the secret.

Source: Shamir (1979), "How to Share a Secret".
"""

import numpy as np
from numpy.typing import NDArray

from shared.secagg.keys import Random

Symbols = NDArray[np.uint16]

SYMBOL = np.dtype("<u2")
_ORDER = 2**16 - 1
_POLYNOMIAL = 0x1100B
"""x^16 + x^12 + x^3 + x + 1: primitive, so x generates every non-zero element."""


def _tables() -> tuple[Symbols, NDArray[np.int32]]:
    """Powers and logarithms of x; log 0 points at a run of zeros, so products need no branch."""
    powers = np.zeros(4 * _ORDER + 1, np.uint16)
    logs = np.zeros(2**16, np.int32)
    element = 1
    for exponent in range(_ORDER):
        powers[exponent] = powers[exponent + _ORDER] = element
        logs[element] = exponent
        element <<= 1
        element ^= _POLYNOMIAL * (element >> 16)
    logs[0] = 2 * _ORDER
    return powers, logs


_POWERS, _LOGS = _tables()


def deal(secret: bytes, *, shares: int, threshold: int, random: Random) -> list[bytes]:
    """Split ``secret`` so that any ``threshold`` shares give it and fewer say nothing.

    Args:
        secret: An even number of bytes. Private.
        shares: How many to make, fewer than 65,536.
        threshold: How many recover the secret, at least 1.
        random: Source of the ``threshold - 1`` coefficients, drawn highest degree first.

    Returns:
        One share a device, each as long as ``secret``; the i-th lies at x = i + 1. Private.
    """
    constant = np.frombuffer(secret, SYMBOL)
    drawn = np.frombuffer(random((threshold - 1) * len(secret)), SYMBOL)
    log_points = _LOGS[np.arange(1, shares + 1), np.newaxis]
    values: Symbols = np.zeros((shares, constant.size), np.uint16)
    for coefficient in (*drawn.reshape(threshold - 1, constant.size), constant):
        values = _POWERS.take(_LOGS.take(values) + log_points) ^ coefficient
    return [row.tobytes() for row in values.astype(SYMBOL, copy=False)]


def recover(holders: NDArray[np.int64], shares: Symbols) -> Symbols:
    """Interpolate at zero.

    Args:
        holders: Which devices the shares come from, counted from 0, distinct, shape ``(t,)``.
        shares: Their symbols, one row a holder, any number of secrets side by side, ``(t, S)``.

    Returns:
        The secrets, shape ``(S,)``. Wrong shares give wrong secrets, never an error: compare
        with a commitment.
    """
    secrets: Symbols = np.zeros(shares.shape[1], np.uint16)
    for log_weight, row in zip(_log_lagrange(holders + 1), shares, strict=True):
        secrets ^= _POWERS.take(_LOGS.take(row) + log_weight)
    return secrets


def _log_lagrange(points: NDArray[np.int64]) -> NDArray[np.int32]:
    """Logarithms of prod_j x_j / (x_j - x_i), j != i; products are sums of logarithms."""
    differences = _LOGS[points[:, np.newaxis] ^ points]
    np.fill_diagonal(differences, 0)
    logs = _LOGS[points].astype(np.int64)
    weights: NDArray[np.int64] = (logs.sum() - logs - differences.sum(axis=1)) % _ORDER
    return weights.astype(np.int32)
