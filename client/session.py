# SPDX-License-Identifier: Apache-2.0
"""A device in the rounds of a federation: from the server's questions to bytes, and nothing else.

Everything is checked before the door is asked, because a charge is never refunded: the round's
signature, the model and directory by their hashes, the own entry in it, the numbers of the sum.
Then the door charges and releases one noised vector, and five stages of secure aggregation carry
it. Round secrets live in this object alone: after a restart the device answers no stage of a
round that it was charged for (docs/adr/0008). No text of an error ever becomes part of a reply.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared import wire
from shared.catalogue import Catalogue
from shared.enrolment import (
    device_name,
    enrolment_statement,
    read_directory,
    release_statement,
    signed_by,
)
from shared.errors import (
    BudgetExceeded,
    CohortTooSmall,
    DataError,
    NetworkError,
    PolicyError,
    PrivetError,
    Refusal,
    StoreLocked,
    VerificationError,
)
from shared.model.view import View, query_of
from shared.model.view_file import load_view
from shared.privacy.canonical import Signed, verified
from shared.privacy.door import Contribution
from shared.privacy.encode import from_residues
from shared.privacy.policy import RoundConfig
from shared.publication import Statement, pack, question_statement
from shared.round_terms import terms_of
from shared.secagg.device import Device as Masking
from shared.secagg.keys import Random, os_random
from shared.secagg.messages import Kind
from shared.secagg.refusals import ProtocolRefusal
from shared.secagg.terms import Enrolment, Identity, Terms

ASKED_BY = {
    "share": Kind.ROSTER,
    "mask": Kind.DELIVERY,
    "consent": Kind.SURVIVORS,
    "unmask": Kind.AGREEMENT,
}
"""What each stage is asked with: a masked vector never leaves under another stage's name."""
Fetch = Callable[[str], bytes]
"""Returns the public file with this SHA-256, whole, or raises NetworkError."""


class Door(Protocol):
    """What a round needs of the device that it asks; `client.device.Device` is one."""

    def answer(self, config: Signed, view: View, session: str) -> Contribution | Refusal:
        """Charge, write it down, release; or say why not."""

    def refuse(self, config: Signed, why: str) -> None:
        """Record that a question was refused before it came to the door."""

    def closed(self) -> Refusal | None:
        """Return why the device answers nothing at all now, None where it does."""

    def catalogue(self) -> Catalogue:
        """Return the catalogue that the device holds; public."""

    def commitment(self, session: str) -> str:
        """Return the commitment to the receipt of that charge, hexadecimal."""

    def sent(self, session: str, upload_bytes: int) -> None:
        """Note that the answer was uploaded."""

    def abort(self, session: str) -> None:
        """Note that the answer was charged and not used."""

    def held(self) -> tuple[str, str]:
        """Return the SHA-256 of the files of catalogue and public comments that are here."""

    def take_release(self, model: bytes, catalogue: bytes | None, comments: bytes | None) -> None:
        """Use what was released from now on, all of it or nothing; None keeps what is here."""

    def statements(self, run: str, held: int) -> tuple[Statement, ...]:
        """Return what the owner published or withdrew and the server does not hold."""

    def published(self, numbers: Sequence[int]) -> None:
        """Note that statements were uploaded."""


@dataclass(frozen=True, repr=False)
class Member:
    """What a device knows of the federation that it joined."""

    run: str
    server_key: str
    """Ed25519 key of the policy that signs rounds, hexadecimal."""
    key: Ed25519PrivateKey
    """The device's own."""
    policy_hash: str = ""
    """Of the policy that the owner accepted, hexadecimal."""
    invitation: str = ""
    transport_key: bytes = b""
    """Public half, as the transport spells it."""

    @property
    def identity(self) -> Identity:
        """Name and key of the device in a secure sum."""
        return Identity(device_name(self.key.public_key().public_bytes_raw()), self.key)


@dataclass(frozen=True)
class _Checked:
    """A question of which everything public was found right."""

    config: RoundConfig
    view: View
    terms: Terms
    enrolment: Enrolment


@dataclass
class _Live:
    """The one round under way."""

    config: bytes
    round: int
    session: str
    masking: Masking
    receipt: str
    uploaded: bool = False


class Rounds:
    """Answers the server's questions for one device.

    Args:
        member: Run and keys.
        door: The device's store and privacy kernel.
        fetch: The way to public files.
        discard: Lets go of the copy of a public file that was fetched.
        random: Source of round secrets; the operating system's, except in tests.
        clock: A monotonic clock, seconds.

    Guarantees:
        - One round is answered in one session, in one process: a repeated question gets the very
          same bytes, any other question about the round a refusal.
        - A reply is one of the agreed messages; which one, and its size, do not depend on what the
          device holds.
    """

    def __init__(
        self,
        member: Member,
        door: Door,
        fetch: Fetch,
        *,
        discard: Callable[[str], None] = lambda name: None,
        random: Random = os_random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._member, self._door, self._fetch = member, door, fetch
        self._discard, self._random, self._clock = discard, random, clock
        self._live: _Live | None = None
        self._told: tuple[int, ...] = ()
        self.since = clock()
        """When the public part of the last question was complete: answers are timed from here."""

    def handle(self, message: wire.Message) -> wire.Message:
        """Answer one message of the server; never raises for what the server sent."""
        self.since = self._clock()
        match message:
            case wire.Opening():
                return self._guarded(message, "advertise", lambda: self._open(message))
            case wire.Question():
                return self._guarded(message, message.stage, lambda: self._continue(message))
            case wire.EnrolQuestion():
                return self._enrol(message)
            case wire.Release():
                return self._take(message)
            case wire.PublishQuestion():
                return self._publish(message)
        return wire.Refused("", 0, "advertise", 0, "protocol refused")

    def delivered(self, reply: wire.Message) -> None:
        """Note that a reply reached the server."""
        live = self._live
        if isinstance(reply, wire.Contribution) and live and live.round == reply.round:
            live.uploaded = True
            with suppress(StoreLocked):  # the receipt then stays at "prepared"
                self._door.sent(live.session, len(reply.body))
        if isinstance(reply, wire.Publication) and self._told:
            with suppress(StoreLocked):  # the server's next question completes the receipts
                self._door.published(self._told)

    def drop(self) -> None:
        """Leave the round under way: charged, and nothing more is said in it."""
        live, self._live = self._live, None
        if live is not None and not live.uploaded:
            with suppress(StoreLocked):  # the next start books it
                self._door.abort(live.session)

    def _enrol(self, question: wire.EnrolQuestion) -> wire.Message:
        """Say who the device is, to the federation and under the policy that were accepted."""
        member = self._member
        if (question.run, question.policy_hash) != (member.run, member.policy_hash):
            return wire.Refused("", 0, "advertise", 0, "policy refused")
        raw = member.key.public_key().public_bytes_raw()
        statement = enrolment_statement(
            transport_key=member.transport_key,
            invitation=member.invitation,
            policy_hash=member.policy_hash,
            key=raw,
        )
        return wire.Enrolment(member.identity.name.hex(), raw.hex(), member.key.sign(statement))

    def _take(self, release: wire.Release) -> wire.Message:
        """Fetch what was released, each file whole, and use it."""
        try:
            self._from_server(
                release,
                release_statement(release.run, release.model, release.catalogue, release.comments),
            )
            listed, spoken = self._door.held()
            model = self._whole(release.model)
            catalogue = None if release.catalogue == listed else self._whole(release.catalogue)
            comments = None
            if release.comments != spoken:
                comments = self._whole(release.comments) if release.comments else b""
            self.since = self._clock()
            self._door.take_release(model, catalogue, comments)
            for name in (release.model, release.catalogue, release.comments):
                self._discard(name)  # the device keeps its own copy, of the newest alone
            return wire.Taken(release.run, release.model)
        except Exception as wrong:
            return wire.Refused("", 0, "advertise", 0, _reason(wrong))

    def _publish(self, question: wire.PublishQuestion) -> wire.Message:
        """Say what the owner published or withdrew; never inside a round.

        Whoever asks this ends the round under way: the device answers no further stage of it.
        """
        try:
            name = self._member.identity.name.hex()
            self._from_server(question, question_statement(question.run, name, question.held))
            self.drop()
            self._look_closed()
            found = self._door.statements(question.run, question.held)
            self._told = tuple(one.number for one in found)
            return wire.Publication(question.run, pack(found))
        except Exception as wrong:
            return wire.Refused("", 0, "advertise", 0, _reason(wrong))

    def _from_server(self, message: wire.Release | wire.PublishQuestion, statement: bytes) -> None:
        """Refuse what the policy's server did not sign for this federation.

        Raises:
            PolicyError: It is not.
        """
        key = bytes.fromhex(self._member.server_key)
        if message.run != self._member.run or not signed_by(key, message.signature, statement):
            raise PolicyError("a release or a question must be signed by the policy's server.")

    def _guarded(
        self,
        message: wire.Opening | wire.Question,
        stage: str,
        answer: Callable[[], wire.Message],
    ) -> wire.Message:
        """Turn whatever goes wrong into one of the agreed reasons."""
        try:
            return answer()
        except Exception as wrong:
            reason = _reason(wrong)
        return wire.Refused(message.run, message.round, stage, message.attempt, reason)

    def _open(self, opening: wire.Opening) -> wire.Message:
        """Check all that is public, then pass the door and advertise round keys."""
        signed = Signed(opening.config, opening.signature)
        try:
            self._own_run(opening)
            checked = self._fresh(opening, signed)
        except (PrivetError, _NotEnrolled) as wrong:
            if not isinstance(wrong, _NO_REFUSAL):
                with suppress(StoreLocked):
                    self._door.refuse(signed, str(wrong))
            raise
        if checked is None:
            self._look_closed()
        else:
            self.since = self._clock()
            self.drop()
            self._live = self._charged(signed, checked)
        live = self._live
        assert live is not None  # noqa: S101 - it was there, or has just begun
        body = live.masking.advertise()
        return wire.Advert(opening.run, opening.round, opening.attempt, body, live.receipt)

    def _fresh(self, opening: wire.Opening, signed: Signed) -> "_Checked | None":
        """Check a new round; None where it is the one under way, asked again in the same words."""
        live = self._live
        if live is None or opening.round > live.round:
            return self._checked(opening, signed)
        if opening.round < live.round:
            raise Refusal("a round must come after the one under way, and is older.")
        if live.config != opening.config:
            raise ProtocolRefusal("a round must be asked once, with one configuration.")
        return None

    def _own_run(self, message: wire.Opening | wire.Question) -> None:
        if message.run != self._member.run:
            raise PolicyError("round must be of the federation that was joined.")

    def _checked(self, opening: wire.Opening, signed: Signed) -> "_Checked":
        """Check whatever needs no charge: signatures, files by their hash, the own entry."""
        config = verified(RoundConfig, signed, self._member.server_key)
        if config is None or config.round != opening.round:
            raise PolicyError("a round must be signed by the policy's server.")
        view = load_view(self._whole(config.model_hash), self._door.catalogue)
        if query_of(view) != config.query.name:
            raise PolicyError("a round must come with the view of its own query.")
        directory = read_directory(
            self._whole(opening.directory), self._member.run, self._member.server_key
        )
        identity = self._member.identity
        if directory.get(identity.name) != identity.key.public_key().public_bytes_raw():
            raise _NotEnrolled("the directory must list this device with its own key.")
        enrolment = Enrolment(bytes.fromhex(self._member.server_key), directory)
        return _Checked(config, view, terms_of(config), enrolment)

    def _charged(self, signed: Signed, checked: "_Checked") -> _Live:
        """Begin a round: from here on it is charged, whatever becomes of it."""
        config = checked.config
        session = f"{config.run}/{config.round}/{secrets.token_hex(8)}"
        answer = self._door.answer(signed, checked.view, session)
        if isinstance(answer, Refusal):
            raise answer
        try:
            vector = from_residues(answer.residues)
            masking = Masking(
                checked.terms,
                checked.enrolment,
                self._member.identity,
                vector,
                random=self._random,
            )
            receipt = self._door.commitment(session)
        except Exception:
            with suppress(StoreLocked):
                self._door.abort(session)
            raise
        return _Live(signed.payload, config.round, session, masking, receipt)

    def _continue(self, question: wire.Question) -> wire.Message:
        """Answer a later stage of the round under way."""
        self._own_run(question)
        live = self._live
        if live is None or live.round != question.round:
            raise _NotReady
        if question.body[:1] != bytes([ASKED_BY[question.stage]]):
            raise ProtocolRefusal("a stage must be asked with its own message.")
        self._look_closed()
        body = live.masking.answer(question.body)
        if question.stage == "mask":
            return wire.Contribution(question.run, question.round, question.attempt, body)
        return wire.Answer(question.run, question.round, question.stage, question.attempt, body)

    def _look_closed(self) -> None:
        """Leave the round under way where the owner paused, left or moved meanwhile."""
        if self._door.closed() is not None:
            self.drop()
            raise _Paused

    def _whole(self, name: str) -> bytes:
        """Fetch a public file and check it by its hash."""
        data = self._fetch(name)
        if sha256(data).hexdigest() != name:
            raise VerificationError("a public file must have the hash that was signed.")
        return data


class _NotReady(Exception):
    """The device has nothing to answer with: it restarted, or the file is not there yet."""


class _Paused(Exception):
    """The owner wants nothing to leave."""


class _NotEnrolled(Exception):
    """The directory lacks the device's own entry."""


_NO_REFUSAL = (StoreLocked, NetworkError)
"""The store cannot be written, or a file did not come: nothing was refused."""

_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (ProtocolRefusal, "protocol refused"),
    (BudgetExceeded, "budget exceeded"),
    (CohortTooSmall, "cohort too small"),
    (PolicyError, "policy refused"),
    (VerificationError, "policy refused"),
    (DataError, "policy refused"),
    (Refusal, "round refused"),
    (_NotEnrolled, "not enrolled"),
    (_Paused, "paused"),
    (NetworkError, "not ready"),
)


def _reason(wrong: Exception) -> str:
    """Return the agreed word for what went wrong."""
    return next((word for kind, word in _WORDS if isinstance(wrong, kind)), "not ready")
