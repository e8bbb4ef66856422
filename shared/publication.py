# SPDX-License-Identifier: Apache-2.0
"""What an owner makes public: comments and their withdrawal, each signed by the device.

A statement is about one item and has a number that only grows on a device. The newest statement
about an item is the one that counts, whatever came when and however often; an empty text withdraws.
So a statement may be sent until the server says that it has it, and a copy of an old one changes
nothing. The server learns which device wrote what; readers get the text and an id that names
nobody. Nothing else of a comment has a field here: no rating, no time, no pseudonym.

Source: docs/spec/wire.md, "Publications".
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.enrolment import signed_by
from shared.errors import DataError
from shared.schema import MAX_COMMENT, MAX_NAME, clean_text

QUESTION_LABEL = b"privet/publish-question/v1\n"
PUBLICATION_LABEL = b"privet/publication/v1\n"
WITHDRAWAL_LABEL = b"privet/withdrawal/v1\n"
COMMENT_LABEL = b"privet/comment-id/v1\n"
MOST = 16
"""Statements in one message."""
MAX_BODY = 2**20
"""Bytes of one message; 16 of the longest comments fit."""
MAX_NUMBER = 2**40
_FIELDS = {"item": str, "number": int, "signature": str, "text": str}


@dataclass(frozen=True)
class Statement:
    """One comment that its author published, or withdrew."""

    number: int
    """Grows with every statement of a device."""
    item: str
    """Id of the item."""
    text: str
    """What was published; "" withdraws what was."""
    signature: bytes
    """Of the device's key, over `statement`."""

    @property
    def comment(self) -> str:
        """Id of the comment as readers see it, 64 hex digits: it links no two comments."""
        return sha256(COMMENT_LABEL + self.signature).hexdigest()


def state(key: Ed25519PrivateKey, run: str, number: int, item: str, text: str) -> Statement:
    """Sign one statement; the same words give the same bytes."""
    return Statement(number, item, text, key.sign(statement(run, number, item, text)))


def statement(run: str, number: int, item: str, text: str) -> bytes:
    """Return what a device signs: run, number, item and, where it publishes, the text."""
    words = {"item": item, "number": number, "run": run} | ({"text": text} if text else {})
    return (PUBLICATION_LABEL if text else WITHDRAWAL_LABEL) + _spell(words)


def question_statement(run: str, device: str, held: int) -> bytes:
    """Return what the server signs when it asks a device for its statements after a number."""
    return QUESTION_LABEL + _spell({"device": device, "held": held, "run": run})


def pack(statements: Sequence[Statement]) -> bytes:
    """Return the body of a publication message."""
    return _spell(
        [
            {
                "item": one.item,
                "number": one.number,
                "signature": one.signature.hex(),
                "text": one.text,
            }
            for one in statements
        ]
    )


def read(body: bytes, run: str, key: bytes) -> tuple[Statement, ...]:
    """Read the body of a publication message of the device with this Ed25519 key.

    Returns:
        At most `MOST` statements with growing numbers, each signed and clean.

    Raises:
        DataError: It is anything else; it is refused as a whole.
    """
    try:
        if len(body) > MAX_BODY:
            raise ValueError("too long")
        listed = json.loads(body)
        if not isinstance(listed, list) or len(listed) > MOST or _spell(listed) != body:
            raise ValueError("no list, too long a list, or another spelling")
        found = tuple(_one(entry, run, key) for entry in listed)
        numbers = [one.number for one in found]
        if numbers != sorted(set(numbers)):
            raise ValueError("numbers that do not grow")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DataError(
            f"a publication must hold at most {MOST} signed statements, got another message.",
            hint="server and device must run one version.",
        ) from None
    return found


def _one(entry: dict[str, object], run: str, key: bytes) -> Statement:
    """Read one statement; a text must be as a device cleans it."""
    if {name: type(value) for name, value in entry.items()} != _FIELDS:
        raise ValueError("other fields")
    item, text, number = str(entry["item"]), str(entry["text"]), entry["number"]
    signature = bytes.fromhex(str(entry["signature"]))
    if type(number) is not int or not 0 < number < MAX_NUMBER:
        raise ValueError("no number")
    if not item or clean_text(item, MAX_NAME)[0] != item:
        raise ValueError("no item")
    if clean_text(text, MAX_COMMENT)[0] != text:
        raise ValueError("a text that was not cleaned")
    if not signed_by(key, signature, statement(run, number, item, text)):
        raise ValueError("not signed by this device")
    return Statement(number, item, text, signature)


def _spell(value: object) -> bytes:
    """Return the one spelling of a value; a lone surrogate is an error."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
