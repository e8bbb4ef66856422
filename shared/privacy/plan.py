# SPDX-License-Identifier: Apache-2.0
"""From a wish (a query, a share of ρ, a cohort) to the integers of a `Mechanism`.

Calibration is on integers: σ'² is the smallest that keeps ρ within the share, so planning back
from it gives the same ρ exactly.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from shared.errors import DataError
from shared.privacy.policy import (
    MAX_SCALED_NORM,
    MAX_SIGMA2,
    MIN_SCALED_NORM,
    MIN_SIGMA2,
    TAU_BITS,
    Mechanism,
    Trust,
    sensitivity_squared,
)
from shared.privacy.query import SumQuery


@dataclass(frozen=True)
class Cohort:
    """Who is asked together, and how many of them may fail."""

    trust: Trust
    size: int
    """Devices invited."""
    dropout: Fraction = Fraction(0)
    """Part of them that may drop out without the sum being lost; more noise pays for it."""
    colluders: int = 0
    """Survivors who may tell the server their noise."""

    @property
    def min_survivors(self) -> int:
        """Fewest devices with whom the sum is opened."""
        return max(1, ceil((1 - self.dropout) * self.size))


def mechanism_for(query: SumQuery, rho: Fraction, cohort: Cohort) -> Mechanism:
    """Return the mechanism that spends at most ``rho`` on one release, as near as integers allow.

    Guarantees:
        - the mechanism's rho is at most the rho asked for
        - one unit of sigma2 less would spend more, unless sigma2 is at its minimum

    Raises:
        DataError: no mechanism is that private, or the cohort or the vector is out of range.
    """
    if rho <= 0:
        raise DataError("rho of a release must be positive.")
    for scaled_norm in (MAX_SCALED_NORM, MAX_SCALED_NORM // 2, MIN_SCALED_NORM):
        sigma2 = _sigma2(query.dimension, scaled_norm, rho, cohort)
        if sigma2 <= MAX_SIGMA2:
            return mechanism_of(query.dimension, sigma2, cohort, scaled_norm)
    raise DataError(
        f"noise for {query.name!r} must have a variance of at most 2^42, got more.",
        hint="give the query a larger share of the budget, or ask a larger cohort.",
    )


def mechanism_of(
    dimension: int, sigma2: int, cohort: Cohort, scaled_norm: int = MAX_SCALED_NORM
) -> Mechanism:
    """Return the mechanism with this variance of one share."""
    return Mechanism(
        trust=cohort.trust,
        cohort_size=cohort.size,
        min_survivors=cohort.min_survivors,
        max_colluders=cohort.colluders,
        dimension=dimension,
        scaled_norm=scaled_norm,
        delta2_squared=sensitivity_squared(dimension, scaled_norm),
        sigma2=sigma2,
    )


def _sigma2(dimension: int, scaled_norm: int, rho: Fraction, cohort: Cohort) -> int:
    """Solve `Mechanism.rho` <= rho for the smallest σ'²."""
    probe = mechanism_of(dimension, MIN_SIGMA2, cohort, scaled_norm)
    tau = Fraction(10 * (probe.noise_shares - 1), 2**TAU_BITS) * dimension / 4
    if rho <= tau:
        return MAX_SIGMA2 + 1
    needed = Fraction(probe.delta2_squared, 2 * probe.noise_shares) / (rho - tau)
    return max(MIN_SIGMA2, ceil(needed))
