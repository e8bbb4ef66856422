# SPDX-License-Identifier: Apache-2.0
"""Everything that crosses between a server and a device, field by field; there is no other field.

Three classes of message exist. `control`: keys, sealed shares, signatures, commitments, numbers of
rounds; of a size, and given the same chance of the very bytes, that the data cannot change.
`contribution`: the masked, noised vector that passed the door. `publication`: the text of a
comment, by its author's own command, never inside a round. No loss, no count of examples, no set
of rows and no text of an error has a field here, so none can be sent.

A message is a flat table of integers, strings and bytes, which Flower carries as it is.
"""

from dataclasses import dataclass, fields
from typing import ClassVar, Literal, get_type_hints

from shared.errors import DataError

Field = int | str | bytes
Kind = Literal["control", "contribution", "publication"]

NAME = "message"
"""The field that names a message's type."""
STAGES = ("advertise", "share", "mask", "consent", "unmask")
"""Stages of a secure sum, in order; the device answers each."""
REASONS = (
    "not ready",
    "paused",
    "policy refused",
    "budget exceeded",
    "cohort too small",
    "round refused",
    "protocol refused",
    "not enrolled",
)
"""All that a device says when it does not take part. None depends on what it holds."""


@dataclass(frozen=True)
class EnrolQuestion:
    """Server to device: say who you are, once."""

    kind: ClassVar[Kind] = "control"
    run: str
    policy_hash: str


@dataclass(frozen=True)
class Enrolment:
    """Device to server: its name and key, signed over its invitation."""

    kind: ClassVar[Kind] = "control"
    device: str
    """16 bytes, hexadecimal."""
    key: str
    """Ed25519 public key, hexadecimal."""
    signature: bytes


@dataclass(frozen=True)
class Opening:
    """Server to device: a round is open; the first stage."""

    kind: ClassVar[Kind] = "control"
    run: str
    round: int
    attempt: int
    config: bytes
    """Canonical RoundConfig; it names the model, so the public view to fetch."""
    signature: bytes
    """Of the policy's server key."""
    directory: str
    """SHA-256 of the file that lists devices and keys."""


@dataclass(frozen=True)
class Advert:
    """Device to server: round keys, and the commitment to the receipt of the charge."""

    kind: ClassVar[Kind] = "control"
    run: str
    round: int
    attempt: int
    body: bytes
    receipt: str


@dataclass(frozen=True)
class Question:
    """Server to device: a later stage."""

    kind: ClassVar[Kind] = "control"
    run: str
    round: int
    stage: str
    attempt: int
    body: bytes
    """A signed message of secure aggregation."""


@dataclass(frozen=True)
class Answer:
    """Device to server: shares, consent or unmasking."""

    kind: ClassVar[Kind] = "control"
    run: str
    round: int
    stage: str
    attempt: int
    body: bytes


@dataclass(frozen=True)
class Contribution:
    """Device to server: the vector that passed the door, masked."""

    kind: ClassVar[Kind] = "contribution"
    run: str
    round: int
    attempt: int
    body: bytes


@dataclass(frozen=True)
class Refused:
    """Device to server: it does not take part, and why, in one of the agreed words."""

    kind: ClassVar[Kind] = "control"
    run: str
    round: int
    stage: str
    attempt: int
    reason: str


@dataclass(frozen=True)
class Release:
    """Server to device: there are public files to take, each whole."""

    kind: ClassVar[Kind] = "control"
    run: str
    model: str
    """SHA-256 of the model file."""
    catalogue: str
    """SHA-256 of the catalogue file that the model is for."""
    comments: str
    """SHA-256 of the file of public comments; "" where there are none."""
    signature: bytes
    """Of the server's key, over `shared.enrolment.release_statement`."""


@dataclass(frozen=True)
class Taken:
    """Device to server: the model was fetched whole and is in use."""

    kind: ClassVar[Kind] = "control"
    run: str
    model: str


@dataclass(frozen=True)
class PublishQuestion:
    """Server to device, between two rounds: what did your owner publish or withdraw since?"""

    kind: ClassVar[Kind] = "control"
    run: str
    held: int
    """Number of the newest statement that the server holds of this device; 0 before the first."""
    signature: bytes
    """Of the server's key, over `shared.publication.question_statement`."""


@dataclass(frozen=True)
class Publication:
    """Device to server: what its owner published or withdrew by command; often nothing."""

    kind: ClassVar[Kind] = "publication"
    run: str
    body: bytes
    """Statements, see `shared.publication`."""


Message = (
    EnrolQuestion
    | Enrolment
    | Opening
    | Advert
    | Question
    | Answer
    | Contribution
    | Refused
    | Release
    | Taken
    | PublishQuestion
    | Publication
)
MESSAGES: dict[str, type[Message]] = {
    found.__name__: found
    for found in (
        EnrolQuestion,
        Enrolment,
        Opening,
        Advert,
        Question,
        Answer,
        Contribution,
        Refused,
        Release,
        Taken,
        PublishQuestion,
        Publication,
    )
}
"""Every message, by name."""


def pack(message: Message) -> dict[str, Field]:
    """Lay a message out as the flat table that is sent."""
    return {NAME: type(message).__name__, **vars(message)}


def unpack(table: dict[str, Field]) -> Message:
    """Read a table as the message that it names.

    Raises:
        DataError: An unknown name, a missing or further field, or a field of another type.
    """
    plain = dict(table)
    found = MESSAGES.get(str(plain.pop(NAME, "")))
    if found is None:
        raise DataError("a message must have one of the agreed names.")
    if plain.keys() != {field.name for field in fields(found)}:
        raise DataError(f"a message {found.__name__} must have exactly its agreed fields.")
    hints = get_type_hints(found)
    for name, value in plain.items():
        if type(value) is not hints[name]:
            raise DataError(f"field {name} of {found.__name__} must have its agreed type.")
    if (
        plain.get("stage", STAGES[0]) not in STAGES
        or plain.get("reason", REASONS[0]) not in REASONS
    ):
        raise DataError(f"a message {found.__name__} must use the agreed words.")
    return found(**plain)  # type: ignore[arg-type]
