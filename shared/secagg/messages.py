# SPDX-License-Identifier: Apache-2.0
"""The nine messages of a session: one signed envelope around bodies of fixed size.

    message = kind (1) || context (32) || sender (16) || body || signature (64)

The context is the digest of the terms until the roster is known, the session id from then on. The
signature is Ed25519 over label, kind, context, sender and body. A body is an array of records of
one size, so its length follows from who takes part and from d, never from the data, and every set
is a strictly ascending list of 16-bit roster positions: one value has one encoding.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.constant_time import bytes_eq

from shared.secagg import labels
from shared.secagg.keys import KEY_BYTES, TAG_BYTES
from shared.secagg.refusals import BadSignature, Malformed, WrongSession
from shared.secagg.terms import ID_BYTES, Identity

CONTEXT_BYTES = 32
SIGNATURE_BYTES = 64
HEADER_BYTES = 1 + CONTEXT_BYTES + ID_BYTES
POSITION_BYTES = 2
SHARE_BYTES = 32
SEALED_BYTES = 2 * SHARE_BYTES + TAG_BYTES
ADVERT_BODY_BYTES = 3 * KEY_BYTES
ADVERT_BYTES = HEADER_BYTES + ADVERT_BODY_BYTES + SIGNATURE_BYTES


class Kind(IntEnum):
    """What a message is, in the order in which messages flow: even asks, odd answers."""

    ADVERT = 1
    """Stage 1, answer: public round keys and the commitment to the seed."""
    ROSTER = 2
    """Stage 2, question: every advert, whole and in order of names."""
    SHARES = 3
    """Stage 2, answer: both secrets' shares, sealed for each peer in roster order."""
    DELIVERY = 4
    """Stage 3, question: what the participants (U2) sealed for this device."""
    MASKED = 5
    """Stage 3, answer: the masked vector."""
    SURVIVORS = 6
    """Stage 4, question: whose vectors are in the sum (U3)."""
    CONSENT = 7
    """Stage 4, answer: the statement (session, U2, U3), signed."""
    AGREEMENT = 8
    """Stage 5, question: the signatures of the survivors that consented."""
    UNMASK = 9
    """Stage 5, answer: for each participant the one share that its fate calls for."""


@dataclass(frozen=True)
class Message:
    """A decoded envelope; nothing in it is trusted before ``check``."""

    kind: int
    context: bytes
    sender: bytes
    body: bytes
    signature: bytes

    @classmethod
    def decode(cls, data: bytes) -> "Message":
        """Cut an envelope into its fields.

        Raises:
            Malformed: It is shorter than an empty message.
        """
        if len(data) < HEADER_BYTES + SIGNATURE_BYTES:
            raise Malformed(f"message must have at least a header, got {len(data)} bytes.")
        head, body = data[:HEADER_BYTES], data[HEADER_BYTES:-SIGNATURE_BYTES]
        cut = 1 + CONTEXT_BYTES
        return cls(head[0], head[1:cut], head[cut:], body, data[-SIGNATURE_BYTES:])

    def check(self, *, context: bytes, public_key: bytes, body_bytes: int | None = None) -> None:
        """Refuse the message unless it belongs here, has its size and is signed.

        Raises:
            WrongSession: Another context.
            Malformed: The body has another size than ``body_bytes``.
            BadSignature: Not signed by the holder of ``public_key``.
        """
        if not bytes_eq(self.context, context):
            raise WrongSession("message must belong to this session, and names another.")
        if body_bytes is not None and len(self.body) != body_bytes:
            raise Malformed(f"body must have {body_bytes} bytes, got {len(self.body)}.")
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(self.signature, self._signed)
        except (InvalidSignature, ValueError):
            raise BadSignature("message must be signed by its sender, and is not.") from None

    def encode(self) -> bytes:
        """Put the envelope together again, byte for byte."""
        return self._signed[len(labels.MESSAGE) :] + self.signature

    @property
    def _signed(self) -> bytes:
        return _signed_bytes(self.kind, self.context, self.sender, self.body)


def sign(identity: Identity, kind: Kind, context: bytes, body: bytes) -> bytes:
    """Encode and sign one message."""
    signed = _signed_bytes(kind, context, identity.name, body)
    return signed[len(labels.MESSAGE) :] + identity.key.sign(signed)


def _signed_bytes(kind: int, context: bytes, sender: bytes, body: bytes) -> bytes:
    return b"".join((labels.MESSAGE, bytes([kind]), context, sender, body))


def records(body: bytes, size: int) -> list[bytes]:
    """Cut a body into records of ``size`` bytes.

    Raises:
        Malformed: Bytes are left over.
    """
    if len(body) % size:
        raise Malformed(f"body must be whole records of {size} bytes, got {len(body)} bytes.")
    return [body[start : start + size] for start in range(0, len(body), size)]


def encode_positions(positions: Iterable[int]) -> bytes:
    """Write roster positions as 16-bit little-endian integers."""
    return b"".join(position.to_bytes(POSITION_BYTES, "little") for position in positions)


def decode_positions(fields: Sequence[bytes], limit: int) -> tuple[int, ...]:
    """Read roster positions from records that start with one.

    Raises:
        Malformed: They do not strictly ascend, or one is ``limit`` or more.
    """
    positions = tuple(int.from_bytes(field[:POSITION_BYTES], "little") for field in fields)
    if any(low >= high for low, high in pairwise(positions)) or positions[-1:] >= (limit,):
        raise Malformed(f"positions must strictly ascend below {limit}, and do not.")
    return positions
