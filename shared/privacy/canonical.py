# SPDX-License-Identifier: Apache-2.0
"""One spelling for every signed value: canonical bytes, hashes, Ed25519 signatures.

Canonical JSON: ASCII, keys sorted, no spaces, integers and strings only. A fraction is the string
"p/q", a float the shortest string that reads back as itself. Bytes that are not exactly what
`canonical` would write are refused, so that one value has one hash. Standard library and
`cryptography` only.
"""

import dataclasses
import hashlib
import json
import typing
from fractions import Fraction
from types import GenericAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.errors import DataError

T = typing.TypeVar("T")

MAX_BYTES = 1 << 16
"""Longest value that is parsed."""
LABEL = b"privet/v1/"
"""Begins every hashed and signed message; the name of the type follows."""


@dataclasses.dataclass(frozen=True)
class Signed:
    """Canonical bytes and an Ed25519 signature of them."""

    payload: bytes
    signature: bytes


def canonical(value: object) -> bytes:
    """Return the canonical bytes of a frozen dataclass of integers, strings and the like."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":")).encode("ascii")


def parse(kind: type[T], data: bytes) -> T:
    """Return the value whose canonical bytes are exactly ``data``.

    Raises:
        DataError: ``data`` is anything else; no other error ever leaves.
    """
    try:
        if len(data) > MAX_BYTES:
            raise DataError("signed value must have at most 65,536 bytes.")
        value = _build(kind, json.loads(data.decode("ascii")))
        if canonical(value) != data:
            raise DataError("signed value must be spelled canonically.")
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        raise DataError(f"signed value must be a canonical {kind.__name__}.") from None
    return typing.cast("T", value)


def digest(value: object) -> str:
    """Return the SHA-256 of a value's label and canonical bytes, in hexadecimal."""
    return hashlib.sha256(_message(type(value).__name__, canonical(value))).hexdigest()


def sign(value: object, key: Ed25519PrivateKey) -> Signed:
    """Sign a value; the label keeps a signature of one type from passing for another."""
    payload = canonical(value)
    return Signed(payload, key.sign(_message(type(value).__name__, payload)))


def verified(kind: type[T], signed: Signed, public_key: str) -> T | None:
    """Return the signed value, or None if it is not a ``kind`` signed by this key (hexadecimal)."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(signed.signature, _message(kind.__name__, signed.payload))
        return parse(kind, signed.payload)
    except (InvalidSignature, DataError, ValueError):
        return None


def _message(kind: str, payload: bytes) -> bytes:
    """Return what is hashed and signed."""
    return LABEL + kind.encode() + b"\n" + payload


def _plain(value: object) -> object:
    """Return a value in integers, strings, lists and objects."""
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    return repr(value) if isinstance(value, float) else value


def _build(kind: typing.Any, plain: typing.Any) -> object:
    """Return the value of type ``kind`` that `_plain` would spell so."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        names = [f.name for f in dataclasses.fields(kind)]
        if type(plain) is not dict or sorted(plain) != sorted(names):
            raise DataError(f"{kind.__name__} must have exactly the fields {', '.join(names)}.")
        return kind(**{name: _build(hints[name], plain[name]) for name in names})
    if isinstance(kind, GenericAlias):  # tuple[X, ...]
        if type(plain) is not list:
            raise DataError("a tuple must be spelled as a list.")
        return tuple(_build(kind.__args__[0], item) for item in plain)
    if kind in (Fraction, float):
        if type(plain) is not str:
            raise DataError("a number that is no integer must be spelled as a string.")
        return float(plain) if kind is float else Fraction(*map(int, plain.split("/")))
    if type(plain) not in ((int,) if kind is int else (str,)):
        raise DataError("a value must be an integer or a string.")
    return plain
