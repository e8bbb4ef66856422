# SPDX-License-Identifier: Apache-2.0
"""What a ledger may say: seven kinds of record, each with exactly the fields listed here.

A record is one line of canonical JSON, integers and strings only, so that it has one spelling and
anybody can hash it again. Unknown kinds and fields are refused; meanings never change, only new
kinds are added. No record names a participant: counts and salted commitments are all there is.

Source: docs/spec/ledger.md; RFC 8785 (the canonical form of JSON) for the idea, restricted to
ASCII, integers and strings.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from typing import Any

from shared.errors import AuditViolation, VerificationError

VERSION = 1
NO_PREVIOUS = "00" * 32
"""`prev` of the first record."""
RECEIPT_LABEL = b"privet/receipt/v1\n"
MAX_LINE_BYTES = 1 << 20
_MAX_INT = 1 << 63


class LedgerFault(VerificationError):
    """A ledger that does not verify, and where.

    Args:
        what: What must hold and what was found.
        record: Sequence number of the record, or None where no record is meant.
        field: Name of the field, or of the file.
    """

    def __init__(self, what: str, *, record: int | None = None, field: str = "") -> None:
        place = _place(record, field)
        super().__init__(f"{place}{what}", hint="ask its keeper for the copy that was signed.")
        self.what, self.record, self.field = what, record, field


class ClaimExceeded(AuditViolation):
    """A ledger that verifies and says that a claim was broken, and where."""

    def __init__(self, what: str, *, record: int | None = None, field: str = "") -> None:
        place = _place(record, field)
        super().__init__(f"{place}{what}", hint="the claim does not hold for this run.")
        self.what, self.record, self.field = what, record, field


def _place(record: int | None, field: str) -> str:
    """Return `record 7, field rho: `."""
    words = [f"record {record}"] if record is not None else []
    if field:
        words.append(f"field {field}" if record is not None else field)
    return f"{', '.join(words)}: " if words else ""


def canonical(value: Mapping[str, Any]) -> bytes:
    """Return the one spelling of a value: sorted keys, no spaces, ASCII.

    Example:
        >>> canonical({"b": 1, "a": "e"})
        b'{"a":"e","b":1}'
    """
    return _spell(value).encode("ascii")


_spell = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def parse(line: bytes) -> dict[str, Any]:
    """Read one canonical line.

    Raises:
        ValueError: The line is not the canonical spelling of an object.
    """
    if len(line) > MAX_LINE_BYTES:
        raise ValueError("a line must be at most 1 MiB long.")
    try:
        value = json.loads(line.decode("ascii"))
    except RecursionError:
        raise ValueError("a line must not be nested.") from None
    if not isinstance(value, dict) or canonical(value) != line:
        raise ValueError("a line must be one canonical JSON object.")
    return value


Check = Callable[[Any], bool]


def _integer(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MAX_INT


def _text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 2000 and value.isprintable()


def _pattern(pattern: str) -> Check:
    matches = re.compile(pattern, re.ASCII).fullmatch
    return lambda value: isinstance(value, str) and matches(value) is not None


def _one_of(*words: str) -> Check:
    return lambda value: isinstance(value, str) and value in words


def fraction(value: Any) -> bool:
    """Say whether ``value`` is the lowest-terms spelling of a fraction at or above zero."""
    return isinstance(value, str) and _lowest(value)


@lru_cache(maxsize=1024)
def _lowest(value: str) -> bool:
    if len(value) > 2000 or not _FRACTION(value):
        return False
    try:
        return str(Fraction(value)) == value
    except ZeroDivisionError:
        return False


_FRACTION = _pattern(r"[0-9]+(/[0-9]+)?")
_hash = _pattern(r"[0-9a-f]{64}")
_decimal = _pattern(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(e[-+]?[0-9]+)?")


def _or_none(check: Check) -> Check:
    return lambda value: value == "none" or check(value)


def _hashes(value: Any) -> bool:
    """Distinct hashes in ascending order."""
    return (
        isinstance(value, list)
        and all(map(_hash, value))
        and all(a < b for a, b in pairwise(value))
    )


def _figures(value: Any) -> bool:
    return isinstance(value, dict) and all(_text(k) and _decimal(v) for k, v in value.items())


SCHEMA: dict[str, dict[str, Check]] = {
    "run_open": {
        "run": _pattern(r"[0-9a-f]{32}"),
        "origin": _one_of("simulation", "deployment"),
        "key": _hash,
        "key_origin": _one_of("run", "operator"),
        "policy": _hash,
        "code": _text,
        "model": _hash,
        "unit": _one_of("account"),
        "neighboring_relation": _one_of("zero-out"),
        "trust": _one_of("distributed", "central", "local"),
        "protocol": _one_of("drawn", "real"),
        "noise": _one_of("os", "seeded", "none"),
        "users": _integer,
        "delta": fraction,
        "rho_cap": _or_none(fraction),
        "participations_max": _integer,
    },
    "round_open": {
        "round": _integer,
        "session": _integer,
        "sessions": _integer,
        "query": _text,
        "purpose": _text,
        "rounding": _one_of("clip", "scale"),
        "clipping_norm": _decimal,
        "trust": _one_of("distributed", "central", "local"),
        "cohort_size": _integer,
        "min_survivors": _integer,
        "max_colluders": _integer,
        "dimension": _integer,
        "scaled_norm": _integer,
        "delta2_squared": _integer,
        "sigma2": _integer,
        "rho": _or_none(fraction),
        "model": _hash,
        "config": _hash,
    },
    "round_close": {
        "round": _integer,
        "session": _integer,
        "query": _text,
        "outcome": _one_of("released", "discarded"),
        "survivors": _integer,
        "model": _hash,
        "receipts": _hashes,
    },
    "release": {"name": _text, "round": _integer, "model": _hash, "file": _hash},
    "metric_release": {"round": _integer, "query": _text, "figures": _figures},
    "publication": {"count": _integer},
    "audit": {
        "name": _text,
        "method": _text,
        "verdict": _one_of("CONSISTENT", "VIOLATION", "not performed"),
        "epsilon_lower": _or_none(_decimal),
        "confidence": _or_none(_decimal),
        "power": _or_none(_decimal),
        "false_alarm_rate": _or_none(_decimal),
        "detection_rate": _or_none(_decimal),
    },
}
"""Kind → field → what the value must be. Every field is required; no other is allowed."""

_ENVELOPE = frozenset({"at", "body", "kind", "prev", "seq", "v"})


@dataclass(frozen=True)
class Record:
    """One record of the ledger."""

    seq: int
    """Place in the ledger, from 0."""
    kind: str
    at: int
    """Seconds since 1970, as the writer was told; 0 is not stated."""
    prev: str
    """Leaf hash of the record before, hex."""
    body: dict[str, Any]

    def line(self) -> bytes:
        """Return the canonical line, without its newline."""
        return canonical(
            {
                "at": self.at,
                "body": self.body,
                "kind": self.kind,
                "prev": self.prev,
                "seq": self.seq,
                "v": VERSION,
            }
        )


def check_body(kind: str, body: Mapping[str, Any], seq: int) -> None:
    """Refuse a body that is not exactly what its kind says.

    Raises:
        LedgerFault: Names the record and the field.
    """
    schema = SCHEMA.get(kind)
    if schema is None:
        raise LedgerFault("the kind must be a known one.", record=seq, field="kind")
    if body.keys() != schema.keys():
        odd = sorted(body.keys() ^ schema.keys())[0]
        what = "is missing" if odd in schema else "is unknown"
        raise LedgerFault(f"the field {what} in a {kind}.", record=seq, field=odd[:40])
    for name, check in schema.items():
        if not check(body[name]):
            raise LedgerFault(f"the value is not one a {kind} may hold.", record=seq, field=name)


def read_record(line: bytes, seq: int, prev: str) -> Record:
    """Read one line as the record that must stand at ``seq`` after the leaf hash ``prev``.

    Raises:
        LedgerFault: The line is not canonical, out of sequence, not chained, or off the schema.
    """
    try:
        value = parse(line)
    except ValueError as wrong:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        kind = type(wrong).__name__
        raise LedgerFault(f"the line is not canonical JSON ({kind}).", record=seq) from None
    if value.keys() != _ENVELOPE or value["v"] != VERSION or type(value["v"]) is not int:
        raise LedgerFault("a record holds at, body, kind, prev, seq and v = 1.", record=seq)
    if type(value["seq"]) is not int or value["seq"] != seq:
        raise LedgerFault(f"the sequence number must be {seq}.", record=seq, field="seq")
    if value["prev"] != prev:
        raise LedgerFault("is not the hash of the record before.", record=seq, field="prev")
    if not _integer(value["at"]):
        raise LedgerFault("must be seconds since 1970.", record=seq, field="at")
    if not isinstance(value["kind"], str) or not isinstance(value["body"], dict):
        raise LedgerFault("a kind is a word and a body an object.", record=seq, field="body")
    check_body(value["kind"], value["body"], seq)
    return Record(seq, value["kind"], value["at"], prev, value["body"])


def receipt_commitment(salt: bytes, fields: Mapping[str, str | int]) -> str:
    """Return the commitment that a device sends instead of its receipt, hex.

    Args:
        salt: 32 random bytes that stay on the device.
        fields: run, round, query, config, model, rho and seq of the receipt.

    Guarantees:
        - Without the salt the commitment says nothing about the fields.

    Raises:
        ValueError: The salt is not 32 bytes long, or other fields were given.
    """
    if len(salt) != 32:
        raise ValueError(f"salt must be 32 bytes long, got {len(salt)}.")
    if fields.keys() != RECEIPT_FIELDS:
        raise ValueError("a receipt commits to run, round, query, config, model, rho and seq.")
    return sha256(RECEIPT_LABEL + salt + canonical(fields)).hexdigest()


RECEIPT_TELLS = ("round", "query", "config", "model", "rho")
"""What a receipt and the round_open of its sum both say, and must say alike."""
RECEIPT_FIELDS = frozenset({"run", "round", "query", "config", "model", "rho", "seq"})
