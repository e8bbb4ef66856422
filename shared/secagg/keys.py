# SPDX-License-Identifier: Apache-2.0
"""Round keys: X25519 agreement, HKDF-SHA256 derivation, AES-256-GCM sealing.

A device makes fresh secrets for every session and signs their public halves. Everything derived
from them takes the session id as HKDF salt and a label plus the names of the two parties as info,
so a key serves one purpose, one direction, one session: an AES key seals exactly one message,
which is why its nonce may be zero.

Source: RFC 7748 (X25519), RFC 5869 (HKDF), NIST SP 800-38D (GCM).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.secagg import labels
from shared.secagg.refusals import BadKey, BadShare

KEY_BYTES = 32
TAG_BYTES = 16
_NONCE = bytes(12)

Random = Callable[[int], bytes]
"""A source of that many uniform bytes; the operating system's, except in tests and simulation."""
os_random: Random = os.urandom


@dataclass(frozen=True, repr=False)
class RoundSecrets:
    """The three secrets of one device in one session, 32 uniform bytes each. Private."""

    seal: bytes
    """X25519 key under which peers seal shares for this device; never shared."""
    mask: bytes
    """X25519 key behind the pair masks; recovered by the server if the device drops out."""
    seed: bytes
    """Seed of the self mask; recovered by the server if the device survives."""

    @classmethod
    def draw(cls, random: Random) -> "RoundSecrets":
        """Draw seal, mask and seed, in this order."""
        return cls(random(KEY_BYTES), random(KEY_BYTES), random(KEY_BYTES))

    def public(self, name: bytes) -> bytes:
        """What the device advertises: two public keys and the commitment to its seed, 96 bytes."""
        return public_key(self.seal) + public_key(self.mask) + commit(name, self.seed)


private_key = X25519PrivateKey.from_private_bytes
"""X25519 private key of 32 bytes; any 32 bytes are one."""


def public_key(private: bytes) -> bytes:
    """Return the X25519 public key of 32 private bytes."""
    return private_key(private).public_key().public_bytes_raw()


def commit(name: bytes, seed: bytes) -> bytes:
    """Commit to a seed; hiding because the seed is uniform on 256 bits."""
    return sha256(labels.COMMITMENT + name + seed).digest()


def agree(private: X25519PrivateKey, public: bytes) -> bytes:
    """X25519 shared secret, 32 bytes.

    Raises:
        BadKey: ``public`` has small order.
    """
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise BadKey("public key must not have small order.") from None


def derive(label: bytes, session: bytes, secret: bytes, *names: bytes) -> bytes:
    """HKDF-SHA256 with salt = session id and info = label and names; 32 bytes."""
    return HKDF(SHA256(), KEY_BYTES, session, label + b"".join(names)).derive(secret)


def seal(key: bytes, context: bytes, plaintext: bytes) -> bytes:
    """AES-256-GCM under a key that seals this one message; the tag adds 16 bytes."""
    return AESGCM(key).encrypt(_NONCE, plaintext, context)


def unseal(key: bytes, context: bytes, sealed: bytes) -> bytes:
    """Open what ``seal`` made.

    Raises:
        BadShare: Another key, another context or a changed byte.
    """
    try:
        return AESGCM(key).decrypt(_NONCE, sealed, context)
    except InvalidTag:
        raise BadShare("sealed share must open under the pair's key, and does not.") from None
