# SPDX-License-Identifier: Apache-2.0
"""From a device's vector to integers of bounded norm, and from sums of integers back.

Clip, scale by s = c'/C, round each coordinate at random to one of its two neighbours so that the
mean is right, and check in int64 that the squared norm is at most Δ2². The check is what the
guarantee rests on: whatever the floats before it did, no device's integers pass it too large.
The chance used for rounding carries no guarantee (the bound holds for every outcome), so it comes
from an ordinary generator; the noise is added elsewhere, from the operating system's.

Source: Kairouz, Liu, Steinke (2021), Algorithm 1 (conditional randomised rounding).
https://arxiv.org/abs/2102.06387
"""

from dataclasses import replace
from typing import overload

import numpy as np
import numpy.typing as npt

from shared.errors import DataError
from shared.privacy.clip import Floats, clip
from shared.privacy.policy import MODULUS, Mechanism
from shared.privacy.query import SparseVector, SumQuery

Ints = npt.NDArray[np.int64]

MAX_TRIES = 64
"""A try fails with probability at most exp(-1/2); all of them with less than 2e-14."""


@overload
def encode(
    vector: Floats, query: SumQuery, mechanism: Mechanism, rng: np.random.Generator
) -> Ints: ...
@overload
def encode(
    vector: SparseVector, query: SumQuery, mechanism: Mechanism, rng: np.random.Generator
) -> SparseVector: ...
def encode(
    vector: Floats | SparseVector,
    query: SumQuery,
    mechanism: Mechanism,
    rng: np.random.Generator,
) -> Ints | SparseVector:
    """Clip one device's vector and round it to integers, without noise.

    Args:
        vector: One device's vector, dense of shape ``(d,)`` or sparse. Private.
        query: What is asked.
        mechanism: How large the integers may be.
        rng: Chance for the rounding; the guarantee does not depend on it.

    Returns:
        Integers of the same kind and shape, int64, still without noise. Private.

    Guarantees:
        - the squared norm of the integers is at most delta2_squared for every input
        - a NaN user, an infinite user and a 1e30 user change the sum by no more than Δ2
        - rounding is right on average
        - the zero vector becomes the zero vector

    Raises:
        DataError: query, mechanism and vector do not have one dimension.
    """
    if query.dimension != mechanism.dimension:
        raise DataError(
            f"query {query.name!r} must have the mechanism's dimension {mechanism.dimension}, "
            f"got {query.dimension}."
        )
    clipped = clip(vector, query)
    scale = mechanism.scaled_norm / query.clipping_norm
    if isinstance(clipped, SparseVector):
        integers = round_within(clipped.values * scale, mechanism.delta2_squared, rng)
        return replace(clipped, values=integers)
    return round_within(clipped * scale, mechanism.delta2_squared, rng)


def round_within(scaled: Floats, delta2_squared: int, rng: np.random.Generator) -> Ints:
    """Round at random to neighbouring integers with squared norm <= Δ2²; else return zeros.

    Args:
        scaled: Values of magnitude at most 2^15, shape ``(m,)``, m <= 2^21. Private.
        delta2_squared: Δ2², the bound of the squared norm.
        rng: Chance for the rounding.
    """
    floor = np.floor(scaled)
    fraction = scaled - floor
    base = floor.astype(np.int64)
    for _ in range(MAX_TRIES):
        integers: Ints = base + (rng.random(base.size) < fraction)
        if int(integers @ integers) <= delta2_squared:  # int64: at most 2^21 · 2^30
            return integers
    return np.zeros_like(base)


def decode(total: Ints, query: SumQuery, mechanism: Mechanism) -> Floats:
    """Return a sum of integers, shape ``(d,)``, in the units of the query's vectors."""
    return np.asarray(total * (query.clipping_norm / mechanism.scaled_norm), dtype=np.float64)


def to_residues(integers: Ints) -> npt.NDArray[np.uint32]:
    """Reduce integers modulo 2^32, as masks are added to them."""
    return (integers % MODULUS).astype(np.uint32)


def from_residues(residues: npt.NDArray[np.uint32]) -> Ints:
    """Return the integers in [-2^31, 2^31) with these residues."""
    return residues.view(np.int32).astype(np.int64)
