# SPDX-License-Identifier: Apache-2.0
"""What a planned budget promises and costs, in figures for people.

The kernel decides what is released; this room only compares. The figures of a *continuous*
Gaussian are what other papers print: no release of Privet is one, so no promise rests on them.

Source: Balle, Wang (2018), "Improving the Gaussian Mechanism for Differential Privacy", Theorem 8,
https://arxiv.org/abs/1805.06530;
Dong, Roth, Su (2022), "Gaussian Differential Privacy", https://arxiv.org/abs/1905.02383.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from shared.errors import DataError
from shared.privacy.accountant import epsilon
from shared.privacy.policy import Mechanism


@dataclass(frozen=True)
class Budget:
    """One mechanism, asked so many times of every account."""

    mechanism: Mechanism
    rounds: int
    """Releases, each by every session of a round."""
    delta: float
    sessions: int = 1
    """Secure sums a round; an account is in one of them."""

    @property
    def rho(self) -> Fraction:
        """Σρ of one account, exact."""
        return self.rounds * self.mechanism.rho

    def epsilon(self, accounts: int = 1) -> float:
        """Return ε for a person with so many accounts: their ρ grows with the square."""
        return epsilon(accounts**2 * self.rho, self.delta)

    @property
    def epsilon_own_share(self) -> float | None:
        """ε of *one* round against a server that knows all other noise.

        None under central trust, where a device adds no noise of its own.
        """
        if self.mechanism.trust == "central":
            return None
        return epsilon(self.mechanism.own_share_rho, self.delta)

    def noise_factors(self) -> dict[str, float]:
        """Return by how much each choice multiplies the noise of the sum when everybody answers."""
        m = self.mechanism
        own = m.trust == "distributed"
        return {
            "rounding": (m.delta2_squared / m.scaled_norm**2) ** 0.5,
            "dropout": (m.cohort_size / m.min_survivors) ** 0.5 if own else 1.0,
            "colluders": (m.min_survivors / m.noise_shares) ** 0.5 if own else 1.0,
            "local": m.cohort_size**0.5 if m.trust == "local" else 1.0,
            "sessions": self.sessions**0.5,
        }


def session_sizes(users: int, cohort: int | None = None) -> tuple[int, ...]:
    """Deal all users into ⌈U/N⌉ sessions of almost equal size, one session each.

    Plan the mechanism for the smallest, ``min(session_sizes(...))``: larger ones have more noise.

    Raises:
        DataError: there is nobody to deal.

    Example:
        >>> session_sizes(943, 400)
        (315, 314, 314)
    """
    if users < 1 or (cohort is not None and cohort < 1):
        raise DataError("users and cohort must be at least 1.")
    count = 1 if cohort is None else -(-users // cohort)
    return tuple(users // count + (i < users % count) for i in range(count))


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Return δ(ε) of one continuous Gaussian release with sensitivity/σ = μ."""
    return _phi(mu / 2 - epsilon / mu) - math.exp(epsilon) * _phi(-mu / 2 - epsilon / mu)


def gaussian_mu(target_epsilon: float, delta: float) -> float:
    """Return the μ of the one continuous Gaussian release that is exactly (ε, δ)-DP."""
    low, high = 1e-6, 100.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if gaussian_delta(middle, target_epsilon) < delta else (low, middle)
        )
    return low


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return ε of one continuous Gaussian release: what continuous noise would read."""
    low, high = 0.0, 700.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_delta(mu, middle) > delta else (low, middle)
    return high


def _phi(x: float) -> float:
    """Return the standard normal distribution function."""
    return math.erfc(-x / math.sqrt(2)) / 2
