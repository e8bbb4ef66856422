# SPDX-License-Identifier: Apache-2.0
"""What is fixed before a session starts: its numbers, and who is who.

Both sides build these values from what they already trust (the RoundConfig that the device's
floor accepted, the signed enrolment directory); nothing in them is taken from a message of the
session. Messages only carry the digest of the terms, so a device that was told other numbers,
another round or another model finds that no peer's message fits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.secagg import labels
from shared.secagg.refusals import TermsRefused

ID_BYTES = 16
MAX_COHORT = 1000
MAX_DIMENSION = 2**24


@dataclass(frozen=True)
class Terms:
    """The public numbers of one session; the device's floor has accepted them.

    Raises:
        TermsRefused: A number is out of range, or two disjoint groups of devices could both
            reach the threshold: ``min_survivors`` must exceed
            ``(cohort_size + max_colluders) / 2``, else a server could open two sums.
    """

    config_hash: bytes
    """SHA-256 of the RoundConfig (which names the model and the policy), 32 bytes, opaque here."""
    server_round: int
    """The round, so that no message of another round fits even under an equal RoundConfig."""
    cohort_size: int
    """Devices invited, n <= 1000."""
    min_survivors: int
    """Shamir threshold t: fewer survivors than this reveal nothing."""
    max_colluders: int
    """Devices that may conspire with the server."""
    dimension: int
    """Length d of a vector."""

    def __post_init__(self) -> None:
        if len(self.config_hash) != 32:
            raise TermsRefused(f"config_hash must have 32 bytes, got {len(self.config_hash)}.")
        bounds = {
            "server_round": (0, 2**63 - 1),
            "cohort_size": (2, MAX_COHORT),
            "max_colluders": (0, self.cohort_size),
            "min_survivors": (2, self.cohort_size),
            "dimension": (1, MAX_DIMENSION),
        }
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise TermsRefused(f"{name} must be {low}..{high}, got {getattr(self, name)}.")
        if 2 * self.min_survivors <= self.cohort_size + self.max_colluders:
            raise TermsRefused(
                "min_survivors must exceed (cohort_size + max_colluders) / 2, got "
                f"{self.min_survivors} of {self.cohort_size} with {self.max_colluders}.",
                hint="Raise min_survivors in the policy, or invite fewer devices.",
            )

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 over label and fields, 32 bytes; it heads every message before the roster."""
        numbers = (self.cohort_size, self.min_survivors, self.max_colluders, self.dimension)
        return sha256(
            labels.TERMS
            + self.config_hash
            + self.server_round.to_bytes(8, "little")
            + b"".join(number.to_bytes(4, "little") for number in numbers)
        ).digest()


@dataclass(frozen=True)
class Enrolment:
    """Whose signature counts, from the signed enrolment directory."""

    server_key: bytes
    """Ed25519 public key of the server, 32 bytes."""
    directory: Mapping[bytes, bytes]
    """Device id (16 bytes) to Ed25519 public key (32 bytes)."""


@dataclass(frozen=True)
class Identity:
    """One party's name and its long-lived signing key; the server's name is all zeros."""

    name: bytes
    key: Ed25519PrivateKey


SERVER_NAME = bytes(ID_BYTES)
"""The server's name in the sender field."""
