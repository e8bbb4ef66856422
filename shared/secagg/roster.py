# SPDX-License-Identifier: Apache-2.0
"""The roster: who takes part with which round keys, and the session id that names all of it.

The session id hashes the terms and every advert, so two devices that were shown different keys,
devices or numbers derive different keys from then on and never sign the same statement.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import pairwise

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shared.secagg import labels
from shared.secagg.keys import KEY_BYTES, agree, derive
from shared.secagg.messages import (
    ADVERT_BODY_BYTES,
    ADVERT_BYTES,
    POSITION_BYTES,
    Kind,
    Message,
    encode_positions,
    records,
)
from shared.secagg.refusals import Malformed, TermsRefused, TooFewDevices, UnknownDevice
from shared.secagg.terms import Enrolment, Terms


def check_advert(advert: Message, terms: Terms, enrolment: Enrolment) -> None:
    """Check an advert against the directory.

    Raises:
        Malformed, WrongSession, BadSignature: As ``Message.check``.
        UnknownDevice: The sender is not enrolled.
    """
    if advert.kind != Kind.ADVERT:
        raise Malformed(f"message must be an advert, got kind {advert.kind}.")
    if advert.sender not in enrolment.directory:
        raise UnknownDevice("advert must come from an enrolled device.")
    key = enrolment.directory[advert.sender]
    advert.check(context=terms.digest, public_key=key, body_bytes=ADVERT_BODY_BYTES)


@dataclass(frozen=True)
class Roster:
    """The devices of a session in ascending order of name; a position is an index into it."""

    terms: Terms
    names: tuple[bytes, ...]
    """Device ids."""
    signing_keys: tuple[bytes, ...]
    """Their enrolled Ed25519 keys."""
    bodies: tuple[bytes, ...]
    """What they advertised: seal key, mask key, commitment to the seed."""

    @classmethod
    def read(cls, body: bytes, terms: Terms, enrolment: Enrolment) -> "Roster":
        """Check the body of a ROSTER message, every advert in it included.

        Raises:
            ProtocolRefusal: As ``check_advert`` and ``of``.
        """
        adverts = [Message.decode(data) for data in records(body, ADVERT_BYTES)]
        for advert in adverts:
            check_advert(advert, terms, enrolment)
        return cls.of(adverts, terms, enrolment)

    @classmethod
    def of(cls, adverts: Sequence[Message], terms: Terms, enrolment: Enrolment) -> "Roster":
        """Seat checked adverts.

        Raises:
            TermsRefused, TooFewDevices: More devices than the cohort, fewer than the threshold.
            Malformed: Names do not strictly ascend.
            UnknownDevice: Two names share one enrolled key: one device would count twice.
        """
        if len(adverts) > terms.cohort_size:
            raise TermsRefused(f"roster must name at most {terms.cohort_size}, got {len(adverts)}.")
        require_threshold(len(adverts), terms)
        names = tuple(advert.sender for advert in adverts)
        if any(low >= high for low, high in pairwise(names)):
            raise Malformed("roster must name devices in strictly ascending order.")
        keys = tuple(enrolment.directory[name] for name in names)
        if len(set(keys)) != len(keys):
            raise UnknownDevice("each device must have an enrolled key of its own.")
        return cls(terms, names, keys, tuple(advert.body for advert in adverts))

    @cached_property
    def session(self) -> bytes:
        """Session id: SHA-256 over label, terms, names and advertised keys, 32 bytes."""
        seats = (name + body for name, body in zip(self.names, self.bodies, strict=True))
        return sha256(labels.SESSION + self.terms.digest + b"".join(seats)).digest()

    def __len__(self) -> int:
        return len(self.names)

    def position(self, name: bytes) -> int:
        """Where a device sits.

        Raises:
            UnknownDevice: It does not.
        """
        if name not in self.names:
            raise UnknownDevice("device must be on the roster of this session.")
        return self.names.index(name)

    def seal_public(self, position: int) -> bytes:
        """X25519 key under which shares are sealed for a device."""
        return self.bodies[position][:KEY_BYTES]

    def mask_public(self, position: int) -> bytes:
        """X25519 key behind a device's pair masks."""
        return self.bodies[position][KEY_BYTES : 2 * KEY_BYTES]

    def commitment(self, position: int) -> bytes:
        """Commitment to a device's seed."""
        return self.bodies[position][2 * KEY_BYTES :]

    def statement(self, participants: Iterable[int], survivors: Sequence[int]) -> bytes:
        """What every survivor signs: one digest of session, U2 and U3, 32 bytes."""
        return sha256(
            labels.STATEMENT
            + self.session
            + len(survivors).to_bytes(POSITION_BYTES, "little")
            + encode_positions(survivors)
            + encode_positions(participants)
        ).digest()

    def seal_key(self, secret: bytes, sender: int, recipient: int) -> bytes:
        """AES-GCM key for the one message from ``sender`` to ``recipient``."""
        return derive(labels.SEAL, self.session, secret, self.names[sender], self.names[recipient])

    def seal_context(self, sender: int, recipient: int) -> bytes:
        """AES-GCM associated data of that message."""
        return self.session + self.names[sender] + self.names[recipient]

    def pair_mask_key(self, private: X25519PrivateKey, mine: int, peer: int) -> bytes:
        """Key of the mask that two devices share; the lower position adds it."""
        low, high = sorted((self.names[mine], self.names[peer]))
        secret = agree(private, self.mask_public(peer))
        return derive(labels.PAIR_MASK, self.session, secret, low, high)

    def self_mask_key(self, seed: bytes, position: int) -> bytes:
        """Key of a device's own mask."""
        return derive(labels.SELF_MASK, self.session, seed, self.names[position])


def require_threshold(count: int, terms: Terms) -> None:
    """Refuse to go on with fewer devices than ``min_survivors``.

    Raises:
        TooFewDevices: Always below the threshold; nothing is revealed.
    """
    if count < terms.min_survivors:
        raise TooFewDevices(
            f"at least {terms.min_survivors} devices must answer, got {count}.",
            hint="The round is charged and reveals nothing; wait for more devices.",
        )
