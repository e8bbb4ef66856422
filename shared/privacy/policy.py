# SPDX-License-Identifier: Apache-2.0
"""The values that decide the guarantee, frozen and made of integers and strings only.

`Mechanism` is how one release is made private: how large the integers may be, how much noise each
share carries, how many shares are surely in the sum. Its ρ follows from nothing else, so that a
device, a server and an auditor compute the same exact fraction. Standard library only.

Source: Kairouz, Liu, Steinke (2021), "The Distributed Discrete Gaussian Mechanism for Federated
Learning with Secure Aggregation", without rotation. https://arxiv.org/abs/2102.06387
"""

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Literal

from shared.errors import DataError
from shared.privacy.query import SumQuery

Trust = Literal["distributed", "central", "local"]

MIN_SCALED_NORM, MAX_SCALED_NORM = 2**12, 2**14
MIN_SIGMA2, MAX_SIGMA2 = 25, 2**42
MAX_SECURE_SUM = 1000
"""Most devices in one secure sum: a complete graph of masks."""
MODULUS = 2**32
"""Secure sums are residues modulo this."""
TAU_BITS = 350
"""exp(-π²·25) < 2**-350: what one extra share of σ² >= 25 can add to τ, over 10."""


def sensitivity_squared(dimension: int, scaled_norm: int) -> int:
    """Return the smallest admissible Δ2² of integers rounded from a vector of norm c'.

    It is ⌈c'² + d/4 + c' + √d/2⌉, computed in integers and never below it: the bound that random
    rounding keeps with probability at least 1 - β, β = exp(-1/2), for which √(2 ln(1/β)) = 1. The
    other bound of the paper, (c' + √d)², is larger for every d >= 1.

    Source: Kairouz, Liu, Steinke (2021), Proposition 22.
    """
    root = isqrt(4 * dimension - 1) + 1  # ⌈√(4d)⌉; (d + √(4d)) / 4 = d/4 + √d/2
    return scaled_norm**2 + scaled_norm + -(-(dimension + root) // 4)


@dataclass(frozen=True)
class Mechanism:
    """How the answers to one query become private.

    Guarantees:
        - a Mechanism outside the rules of docs/spec/mechanism.md cannot be built
        - rho is an exact fraction
        - rho bounds the Rényi divergence of the sum of noise_shares shares
    """

    trust: Trust
    """Who holds the noise: each device a share, the server, or each device all of it."""
    cohort_size: int
    """Devices invited to the sum."""
    min_survivors: int
    """Fewest devices with whom the sum is opened."""
    max_colluders: int
    """Survivors who may tell the server their share of noise."""
    dimension: int
    """Length d of the vector."""
    scaled_norm: int
    """c': the clipping norm, in units of the integers."""
    delta2_squared: int
    """Δ2²: bound of the squared norm of one device's integers."""
    sigma2: int
    """σ'²: variance of one share of noise."""

    def __post_init__(self) -> None:
        if self.trust not in ("distributed", "central", "local"):
            raise DataError("trust must be distributed, central or local.")
        _bounded("cohort_size", self.cohort_size, 1, 2**30)
        _bounded("min_survivors", self.min_survivors, 1, self.cohort_size)
        _bounded("max_colluders", self.max_colluders, 0, self.min_survivors - 1)
        _bounded("dimension", self.dimension, 1, MAX_SCALED_NORM**2 // 225)
        _bounded("scaled_norm", self.scaled_norm, MIN_SCALED_NORM, MAX_SCALED_NORM)
        _bounded("scaled_norm squared", self.scaled_norm**2, 225 * self.dimension, 2**28)
        least = sensitivity_squared(self.dimension, self.scaled_norm)
        _bounded("delta2_squared", self.delta2_squared, least, 2**30)
        _bounded("sigma2", self.sigma2, MIN_SIGMA2, MAX_SIGMA2)
        if self.trust == "distributed":  # two sums of overlapping majorities cannot be played off
            _bounded(
                "min_survivors",
                self.min_survivors,
                (self.cohort_size + self.max_colluders) // 2 + 1,
                self.cohort_size,
            )

    @property
    def noise_shares(self) -> int:
        """Shares of noise that are surely in the sum and unknown to the server."""
        return self.min_survivors - self.max_colluders if self.trust == "distributed" else 1

    @property
    def rho(self) -> Fraction:
        """ρ of one release under zero-out: Δ2²/(2·shares·σ'²) + τ·d/4, an exact fraction.

        τ <= 10·(shares - 1)·exp(-π²σ'²) is how far a sum of discrete Gaussians may be from one.

        Source: Kairouz, Liu, Steinke (2021), Theorem 1.
        """
        gaussian = Fraction(self.delta2_squared, 2 * self.noise_shares * self.sigma2)
        tau = Fraction(10 * (self.noise_shares - 1), 2**TAU_BITS)
        return gaussian + tau * self.dimension / 4

    @property
    def own_share_rho(self) -> Fraction:
        """ρ against somebody who knows all noise but the device's own share."""
        if self.trust == "central":
            raise DataError("under central trust a device adds no noise of its own.")
        return Fraction(self.delta2_squared, 2 * self.sigma2)

    def sum_variance(self, survivors: int) -> int:
        """Return the noise variance of a coordinate of the sum, in units of the integers."""
        return self.sigma2 if self.trust == "central" else survivors * self.sigma2

    @property
    def fits_secure_sum(self) -> bool:
        """Whether a sum of the whole cohort, with its noise, stays within residues mod 2^32."""
        norm = isqrt(self.delta2_squared) + 1
        noise = isqrt(64 * self.cohort_size * self.sigma2) + 1  # 8·√n·σ'
        within = self.cohort_size * norm + noise < MODULUS // 2
        return self.cohort_size <= MAX_SECURE_SUM and within


def _bounded(name: str, value: object, low: int, high: int) -> None:
    """Refuse what is not an integer in [low, high]; bool is not an integer here."""
    if type(value) is not int:
        raise DataError(f"{name} must be an integer, got {type(value).__name__}.")
    if not low <= value <= high:
        raise DataError(f"{name} must be in [{low}, {high}], got {str(value)[:24]}.")


@dataclass(frozen=True)
class Floor:
    """What a device insists on, whoever asks. Combining two floors never weakens either."""

    rho_cap: Fraction
    """Lifetime Σρ of the device, over all models."""
    rho_round_max: Fraction
    """Largest ρ of one release."""
    participations_max: int
    """Most releases in the device's life."""
    min_separation_s: int
    """Seconds, by the device's own clock, between two releases."""
    aborts_max: int
    """Most charged but unused releases in any seven days."""
    min_noise_shares: int
    """Fewest honest shares in a distributed sum: 16, or less in a demo."""
    min_survivors_above: Fraction
    """min_survivors must exceed this part of the cohort: 2/3 by default."""
    trusts: tuple[Trust, ...]
    """Who may hold the noise."""

    def __post_init__(self) -> None:
        for name in ("rho_cap", "rho_round_max", "min_survivors_above"):
            if type(getattr(self, name)) is not Fraction or getattr(self, name) < 0:
                raise DataError(f"{name} must be a fraction of at least 0.")
        for name in ("participations_max", "min_separation_s", "aborts_max", "min_noise_shares"):
            _bounded(name, getattr(self, name), 0, 2**40)

    def stricter(self, other: "Floor") -> "Floor":
        """Return the floor that insists on all that either insists on."""
        return Floor(
            min(self.rho_cap, other.rho_cap),
            min(self.rho_round_max, other.rho_round_max),
            min(self.participations_max, other.participations_max),
            max(self.min_separation_s, other.min_separation_s),
            min(self.aborts_max, other.aborts_max),
            max(self.min_noise_shares, other.min_noise_shares),
            max(self.min_survivors_above, other.min_survivors_above),
            tuple(trust for trust in self.trusts if trust in other.trusts),
        )

    @property
    def demo(self) -> bool:
        """Whether so few shares suffice that every page must say DEMO."""
        return self.min_noise_shares < 16


@dataclass(frozen=True)
class Policy:
    """What an officer signs and an owner accepts: who asks what, for how long, at what price."""

    run: str
    """Name of the period; round numbers grow within it."""
    operator: str
    """Who runs the server."""
    server_key: str
    """Ed25519 key, hexadecimal, that signs rounds."""
    users: int
    """Enrolled accounts, public."""
    delta: Fraction
    """δ of every ε that is shown, at most min(1e-5, 1/(10·users))."""
    queries: tuple[str, ...]
    """Names of the queries that may be asked."""
    floor: Floor
    """What the officer promises that no round falls below."""

    def __post_init__(self) -> None:
        _bounded("users", self.users, 1, 2**40)
        largest = min(Fraction(1, 10**5), Fraction(1, 10 * self.users))
        if type(self.delta) is not Fraction or not 0 < self.delta <= largest:
            raise DataError(f"delta must be a fraction in (0, {largest}].")

    @property
    def shares_max(self) -> int:
        """Most shares of noise that a round can count on.

        A server that makes up all other devices knows all of them but one, so this times ρ is what
        a round costs against it at most.
        """
        return min(self.users, MAX_SECURE_SUM)


@dataclass(frozen=True)
class RoundConfig:
    """What a server signs for one session of one round."""

    policy_hash: str
    model_hash: str
    """SHA-256 of the model that devices start from."""
    run: str
    round: int
    query: SumQuery
    mechanism: Mechanism

    def __post_init__(self) -> None:
        _bounded("round", self.round, 1, 2**40)
        if self.query.dimension != self.mechanism.dimension:
            raise DataError("query and mechanism of a round must have one dimension.")


@dataclass(frozen=True)
class LastRound:
    """The last round of one run that a device was charged for."""

    run: str
    round: int


@dataclass(frozen=True)
class DeviceState:
    """What a device remembers of its budget; sealed on the device, never sent."""

    officer_key: str
    """Pinned Ed25519 key, hexadecimal, that signs policies."""
    policy_hash: str
    """Pinned policy that the owner accepted."""
    spent: Fraction = Fraction(0)
    """Σρ charged so far, never refunded."""
    participations: int = 0
    last_time_s: int = -(2**40)
    """The device's own clock at the last charge."""
    last_rounds: tuple[LastRound, ...] = ()
    aborts_s: tuple[int, ...] = ()
    """When charges ended unused."""
