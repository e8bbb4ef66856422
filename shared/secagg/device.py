# SPDX-License-Identifier: Apache-2.0
"""A device in one session: a pure state machine, one state a stage.

Each state holds just the secrets that the stages still to come need, so moving on is what drops a
secret: the seal key after dealing, the vector and every mask key after masking, and, on signing
who survived, the one share of each peer that this fate forbids to release. A refusal changes
nothing; an answer is given once, and a repeated question gets the very same bytes.

    Advertised ─roster─► Dealt ─delivery─► Masked ─survivors─► Consented ─agreement─► Done

Source: Bonawitz et al. (2017), "Practical Secure Aggregation for Privacy-Preserving Machine
Learning", figure 4, the variant with consistency checks, on a complete graph.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from shared.secagg.keys import Random, RoundSecrets, agree, os_random, private_key, seal, unseal
from shared.secagg.masks import WORD, add_mask
from shared.secagg.messages import (
    POSITION_BYTES,
    SEALED_BYTES,
    SHARE_BYTES,
    SIGNATURE_BYTES,
    Kind,
    Message,
    decode_positions,
    records,
    sign,
)
from shared.secagg.refusals import (
    BadSignature,
    Disagreement,
    Equivocation,
    Malformed,
    OwnIdMissing,
    TermsRefused,
    UnknownDevice,
    WrongStage,
)
from shared.secagg.roster import Roster, require_threshold
from shared.secagg.shamir import deal
from shared.secagg.terms import SERVER_NAME, Enrolment, Identity, Terms

_NO_QUESTION = b""
_QUESTIONS = (Kind.ROSTER, Kind.DELIVERY, Kind.SURVIVORS, Kind.AGREEMENT)


@dataclass(frozen=True, repr=False)
class _Seat:
    """What a device knows before a session and keeps through it."""

    terms: Terms
    enrolment: Enrolment
    identity: Identity
    random: Random


@dataclass(frozen=True, repr=False)
class _Advertised:
    """Waits for the roster."""

    seat: _Seat
    secrets: RoundSecrets
    vector: NDArray[np.uint32]
    expects = Kind.ROSTER

    @property
    def context(self) -> bytes:
        return self.seat.terms.digest

    def answer(self, body: bytes) -> tuple[bytes, "_Dealt"]:
        """Check the roster, agree on every key, deal and seal the shares of both secrets."""
        roster = Roster.read(body, self.seat.terms, self.seat.enrolment)
        me = _own_position(roster, self.seat.identity, self.secrets)
        peers = [peer for peer in range(len(roster)) if peer != me]
        seal_private, mask_private = private_key(self.secrets.seal), private_key(self.secrets.mask)
        agreed = {peer: agree(seal_private, roster.seal_public(peer)) for peer in peers}
        dealt = deal(
            self.secrets.mask + self.secrets.seed,
            shares=len(roster),
            threshold=self.seat.terms.min_survivors,
            random=self.seat.random,
        )
        sealed = (
            seal(
                roster.seal_key(agreed[peer], me, peer), roster.seal_context(me, peer), dealt[peer]
            )
            for peer in peers
        )
        state = _Dealt(
            seat=self.seat,
            roster=roster,
            me=me,
            own_share=dealt[me],
            opening={peer: roster.seal_key(agreed[peer], peer, me) for peer in peers},
            pair_masks={p: roster.pair_mask_key(mask_private, me, p) for p in peers},
            self_mask=roster.self_mask_key(self.secrets.seed, me),
            vector=self.vector,
        )
        return sign(self.seat.identity, Kind.SHARES, roster.session, b"".join(sealed)), state


@dataclass(frozen=True, repr=False)
class _Dealt:
    """Waits for what the peers sealed for this device."""

    seat: _Seat
    roster: Roster
    me: int
    own_share: bytes
    opening: Mapping[int, bytes]
    pair_masks: Mapping[int, bytes]
    self_mask: bytes
    vector: NDArray[np.uint32]
    expects = Kind.DELIVERY

    @property
    def context(self) -> bytes:
        return self.roster.session

    def answer(self, body: bytes) -> tuple[bytes, "_Masked"]:
        """Open every share, then mask the vector for exactly the peers that dealt."""
        fields = records(body, POSITION_BYTES + SEALED_BYTES)
        peers = decode_positions(fields, len(self.roster))
        require_threshold(len(peers) + 1, self.roster.terms)
        if self.me in peers:
            raise Malformed("delivery must hold the shares of peers alone.")
        held = {
            peer: unseal(
                self.opening[peer],
                self.roster.seal_context(peer, self.me),
                field[POSITION_BYTES:],
            )
            for peer, field in zip(peers, fields, strict=True)
        }
        masked = self.vector.copy()
        add_mask(masked, self.self_mask)
        for peer in peers:
            add_mask(masked, self.pair_masks[peer], negative=peer < self.me)
        shares = dict(sorted({**held, self.me: self.own_share}.items()))
        state = _Masked(seat=self.seat, roster=self.roster, me=self.me, shares=shares)
        reply = sign(self.seat.identity, Kind.MASKED, self.roster.session, masked.tobytes())
        return reply, state


@dataclass(frozen=True, repr=False)
class _Masked:
    """Waits for the set of survivors."""

    seat: _Seat
    roster: Roster
    me: int
    shares: Mapping[int, bytes]
    """For each participant in order: its share of the mask key, then of the seed."""
    expects = Kind.SURVIVORS

    @property
    def context(self) -> bytes:
        return self.roster.session

    def answer(self, body: bytes) -> tuple[bytes, "_Consented"]:
        """Sign the set, and drop for each participant the share that must never be released."""
        survivors = decode_positions(records(body, POSITION_BYTES), len(self.roster))
        require_threshold(len(survivors), self.roster.terms)
        if self.me not in survivors:
            raise OwnIdMissing("survivors must include the device that is asked.")
        if not self.shares.keys() >= set(survivors):
            raise UnknownDevice("survivors must have dealt shares to this device.")
        statement = self.roster.statement(self.shares, survivors)
        state = _Consented(
            seat=self.seat,
            roster=self.roster,
            survivors=survivors,
            statement=statement,
            released=b"".join(
                share[SHARE_BYTES:] if peer in survivors else share[:SHARE_BYTES]
                for peer, share in self.shares.items()
            ),
        )
        return sign(self.seat.identity, Kind.CONSENT, self.roster.session, statement), state


@dataclass(frozen=True, repr=False)
class _Consented:
    """Waits for proof that the survivors signed the same statement."""

    seat: _Seat
    roster: Roster
    survivors: tuple[int, ...]
    statement: bytes
    released: bytes
    """One share for each participant, all that this device can still reveal."""
    expects = Kind.AGREEMENT

    @property
    def context(self) -> bytes:
        return self.roster.session

    def answer(self, body: bytes) -> tuple[bytes, "_Done"]:
        """Verify every signature over the own statement, then release one share a peer."""
        fields = records(body, POSITION_BYTES + SIGNATURE_BYTES)
        signers = decode_positions(fields, len(self.roster))
        require_threshold(len(signers), self.roster.terms)
        if not set(signers) <= set(self.survivors):
            raise UnknownDevice("signers must be survivors.")
        for signer, field in zip(signers, fields, strict=True):
            self._verify(signer, field[POSITION_BYTES:])
        reply = sign(self.seat.identity, Kind.UNMASK, self.roster.session, self.released)
        return reply, _Done(self.roster)

    def _verify(self, signer: int, signature: bytes) -> None:
        name, key = self.roster.names[signer], self.roster.signing_keys[signer]
        consent = Message(Kind.CONSENT, self.context, name, self.statement, signature)
        try:
            consent.check(context=self.context, public_key=key)
        except BadSignature:
            raise Disagreement("all survivors must sign one statement, and one did not.") from None


@dataclass(frozen=True, repr=False)
class _Done:
    """Holds no secret and has nothing left to answer."""

    roster: Roster
    expects = Kind.UNMASK  # past every question

    @property
    def context(self) -> bytes:
        return self.roster.session


def _own_position(roster: Roster, identity: Identity, secrets: RoundSecrets) -> int:
    """Find the own seat, which must bear the very keys that this device advertised."""
    if identity.name not in roster.names:
        raise OwnIdMissing("roster must include the device that is asked.")
    me = roster.position(identity.name)
    if roster.bodies[me] != secrets.public(identity.name):
        raise Equivocation("roster must show this device's own round keys, and shows others.")
    return me


class Device:
    """One device in one session.

    Args:
        terms: The numbers that the device's floor accepted.
        enrolment: The server's key and the directory of devices.
        identity: The device's id and enrolled signing key.
        vector: Encoded, noised integers, shape ``(d,)``, int64; reduced modulo 2^32. Private.
        random: Source of the round secrets and polynomials.

    Guarantees:
        - At most one answer a stage; a repeated question gets identical bytes.
        - Of each peer at most one of the two shares ever leaves, and only under at least
          ``min_survivors`` signatures over the statement that this device signed itself.
        - A refusal is a ``ProtocolRefusal`` and changes nothing.

    Raises:
        TermsRefused: The vector has another length than the terms say.
    """

    def __init__(
        self,
        terms: Terms,
        enrolment: Enrolment,
        identity: Identity,
        vector: NDArray[np.int64],
        *,
        random: Random = os_random,
    ) -> None:
        if vector.shape != (terms.dimension,):
            raise TermsRefused(f"vector must have shape ({terms.dimension},), got {vector.shape}.")
        seat = _Seat(terms, enrolment, identity, random)
        secrets = RoundSecrets.draw(random)
        advert = sign(identity, Kind.ADVERT, terms.digest, secrets.public(identity.name))
        self._state: _Advertised | _Dealt | _Masked | _Consented | _Done
        self._state = _Advertised(seat, secrets, vector.astype(WORD))
        self._server_key = enrolment.server_key
        self._terms_digest = terms.digest
        self._sent = {_digest(_NO_QUESTION): advert}

    def advertise(self) -> bytes:
        """Return the ADVERT message, the one that answers no question."""
        return self._sent[_digest(_NO_QUESTION)]

    def answer(self, question: bytes) -> bytes:
        """Answer one message of the server.

        Raises:
            ProtocolRefusal: Its type says why; the state is as before.
        """
        known = self._sent.get(_digest(question))
        if known is not None:
            return known
        message = Message.decode(question)
        state = self._state
        if message.kind not in _QUESTIONS or message.sender != SERVER_NAME:
            raise Malformed("message must be a question of the server to a device.")
        if message.kind > state.expects:
            raise WrongStage("stage must follow the one before it, and comes too early.")
        context = self._terms_digest if message.kind == Kind.ROSTER else state.context
        message.check(context=context, public_key=self._server_key)
        if isinstance(state, _Done) or message.kind != state.expects:
            raise Equivocation("stage must be asked once, and this second question differs.")
        reply, self._state = state.answer(message.body)
        self._sent[_digest(question)] = reply
        return reply


def _digest(question: bytes) -> bytes:
    return sha256(question).digest()
