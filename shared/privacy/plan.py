# SPDX-License-Identifier: Apache-2.0
"""From a wish (a query, a share of ρ, a cohort) to the integers of a `Mechanism`.

Calibration is on integers: σ'² is the smallest that keeps ρ within the share, so planning back
from it gives the same ρ exactly.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from shared.errors import DataError
from shared.privacy.accountant import epsilon, noise_multiplier
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


@dataclass(frozen=True)
class Part:
    """One query of a plan."""

    query: SumQuery
    rounds: int
    """Releases, each by every session of a round."""
    mechanism: Mechanism

    @property
    def rho(self) -> Fraction:
        """ρ of all rounds for one account: it is in one session of each."""
        return self.rounds * self.mechanism.rho


@dataclass(frozen=True)
class Plan:
    """All that a model will ever ask of a device, and what that costs."""

    parts: tuple[Part, ...]
    delta: float
    sessions: int = 1
    """Secure sums a round; an account is in one of them."""

    @property
    def rho(self) -> Fraction:
        """Σρ of one account, exact."""
        return sum((part.rho for part in self.parts), Fraction(0))

    def epsilon(self, accounts: int = 1) -> float:
        """Return ε for a person with so many accounts: their ρ grows with the square."""
        return epsilon(accounts**2 * self.rho, self.delta)

    @property
    def epsilon_own_share(self) -> float | None:
        """ε of *one* round against a server that knows all other noise, the worst query's.

        None under central trust, where a device adds no noise of its own.
        """
        shares = [p.mechanism for p in self.parts if p.mechanism.trust != "central"]
        if len(shares) < len(self.parts):
            return None
        return epsilon(max(m.own_share_rho for m in shares), self.delta)

    def queries(self) -> list[dict[str, str | int | float]]:
        """Return `queries[]` of a run: public figures of each query."""
        return [
            {
                "name": part.query.name,
                "rounds": part.rounds,
                "share": float(part.rho / self.rho),
                "dimension": part.query.dimension,
                "clipping_norm": part.query.clipping_norm,
                "noise_multiplier": noise_multiplier(part.rho),
                "sigma2": part.mechanism.sigma2,
                "delta2_squared": part.mechanism.delta2_squared,
            }
            for part in self.parts
        ]


def session_sizes(users: int, cohort: int | None = None) -> tuple[int, ...]:
    """Deal all users into ⌈U/N⌉ sessions of almost equal size, one session each.

    Plan the mechanism for the smallest, ``min(session_sizes(...))``: larger ones have more noise.

    Example:
        >>> session_sizes(943, 400)
        (315, 314, 314)
    """
    if users < 1 or (cohort is not None and cohort < 1):
        raise DataError("users and cohort must be at least 1.")
    count = 1 if cohort is None else -(-users // cohort)
    return tuple(users // count + (i < users % count) for i in range(count))


def noise_factors(part: Part, sessions: int) -> dict[str, float]:
    """Return by how much each choice multiplies the noise of the sum when everybody answers."""
    m = part.mechanism
    own = m.trust == "distributed"
    return {
        "rounding": (m.delta2_squared / m.scaled_norm**2) ** 0.5,
        "dropout": (m.cohort_size / m.min_survivors) ** 0.5 if own else 1.0,
        "colluders": (m.min_survivors / m.noise_shares) ** 0.5 if own else 1.0,
        "local": m.cohort_size**0.5 if m.trust == "local" else 1.0,
        "sessions": sessions**0.5,
    }
