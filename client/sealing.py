# SPDX-License-Identifier: Apache-2.0
"""How bytes are sealed on a device: AES-256-GCM-SIV, a label for every use, keys by HKDF.

A repeated nonce would only show that two plaintexts are equal (RFC 8452), which is why this mode
and not plain GCM seals data at rest.
"""

import os

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.errors import EnvironmentFault, VerificationError

LABEL = "privet/device/v1"
NONCE = 12
KEY = 32


def subkey(key: bytes, use: str) -> bytes:
    """Derive the 32-byte key of one use."""
    return HKDF(SHA256(), KEY, None, f"{LABEL}/{use}".encode()).derive(key)


def seal(key: bytes, plain: bytes, *place: str | int) -> bytes:
    """Seal bytes to the place they belong to (table, segment, schema, …)."""
    nonce = os.urandom(NONCE)
    return nonce + _cipher(key).encrypt(nonce, plain, _place(place))


def open_sealed(key: bytes, sealed: bytes, *place: str | int) -> bytes:
    """Open what was sealed to this place.

    Raises:
        VerificationError: it was not sealed by this key for this place, or a bit differs.
    """
    try:
        return _cipher(key).decrypt(sealed[:NONCE], sealed[NONCE:], _place(place))
    except (InvalidTag, ValueError):
        raise VerificationError(
            f"sealed bytes of {place[0]} must be as they were written, got others.",
            hint="the device was damaged or changed from outside; import an export, or erase it.",
        ) from None


def _place(place: tuple[str | int, ...]) -> bytes:
    return "\0".join([LABEL, *map(str, place)]).encode()


def _cipher(key: bytes) -> AESGCMSIV:
    try:
        return AESGCMSIV(key)
    except UnsupportedAlgorithm:
        raise EnvironmentFault(
            "sealing needs AES-256-GCM-SIV, which this machine's OpenSSL lacks.",
            hint="install cryptography from a wheel, or with OpenSSL 3.2 or newer.",
        ) from None
