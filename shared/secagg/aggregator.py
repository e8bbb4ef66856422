# SPDX-License-Identifier: Apache-2.0
"""The aggregator in one session: a pure state machine that ends with the sum and nothing else.

It collects the answers of one stage until its caller, who owns the clock, closes the stage; who
has not answered by then has dropped out. Masked vectors are added as they come and never kept, so
memory is one vector plus the shares. All of it lives in memory: a restart loses the session, which
stays charged and reveals nothing.

    Advertising ─► Dealing ─► Summing ─► Consenting ─► Unmasking ─► the sum

Source: Bonawitz et al. (2017), "Practical Secure Aggregation for Privacy-Preserving Machine
Learning", figure 4, the server's side.
"""

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from cryptography.hazmat.primitives.constant_time import bytes_eq
from numpy.typing import NDArray

from shared.secagg.keys import KEY_BYTES, agree, commit, private_key, public_key
from shared.secagg.masks import WORD, add_mask
from shared.secagg.messages import (
    CONTEXT_BYTES,
    SEALED_BYTES,
    SHARE_BYTES,
    Kind,
    Message,
    encode_positions,
    records,
    sign,
)
from shared.secagg.refusals import (
    BadShare,
    Disagreement,
    Equivocation,
    TermsRefused,
    UnknownDevice,
    WrongStage,
)
from shared.secagg.roster import Roster, check_advert, require_threshold
from shared.secagg.shamir import SYMBOL, recover
from shared.secagg.terms import Enrolment, Identity, Terms

_PROBE = private_key(bytes(32))
"""Any private key: agreeing with a public key of small order fails for all of them."""

_Questions = dict[bytes, bytes]
"""Device id to the body of the question that it gets next."""


class _Advertising:
    """Collects adverts; each device that sends one is a candidate for U1."""

    expects = Kind.ADVERT
    asks = Kind.ROSTER

    def __init__(self, terms: Terms, enrolment: Enrolment) -> None:
        self.terms, self.enrolment = terms, enrolment
        self.context = terms.digest
        self.heard: dict[bytes, bytes] = {}

    def check(self, message: Message) -> None:
        """Verify an advert; a key of small order would make every honest device refuse."""
        check_advert(message, self.terms, self.enrolment)
        for key in records(message.body, KEY_BYTES)[:2]:
            agree(_PROBE, key)
        if message.sender not in self.heard and len(self.heard) == self.terms.cohort_size:
            raise TermsRefused(f"cohort must have at most {self.terms.cohort_size} devices.")

    def accept(self, message: Message) -> None:
        """Keep the whole message: the roster relays it."""
        self.heard[message.sender] = message.encode()

    def close(self) -> "tuple[_Questions, _Dealing]":
        """Show every device the same roster."""
        body = b"".join(self.heard[name] for name in sorted(self.heard))
        roster = Roster.read(body, self.terms, self.enrolment)
        return dict.fromkeys(roster.names, body), _Dealing(roster)


class _Seated:
    """A stage after the first: members sit on the roster and send bodies of one size."""

    expects: Kind
    body_bytes: int

    def __init__(self, roster: Roster, members: Sequence[int]) -> None:
        self.roster, self.members = roster, members
        self.context = roster.session
        self.heard: dict[bytes, bytes] = {}

    def check(self, message: Message) -> None:
        """Verify who speaks, in which session, at what length."""
        position = self.roster.position(message.sender)
        if position not in self.members:
            raise UnknownDevice("device must have taken part in the stage before.")
        message.check(
            context=self.context,
            public_key=self.roster.signing_keys[position],
            body_bytes=self.body_bytes,
        )

    def accept(self, message: Message) -> None:
        """Keep what the message brings."""
        self.heard[message.sender] = message.body

    @property
    def present(self) -> tuple[int, ...]:
        """Positions of those who answered, ascending, at least the threshold.

        Raises:
            TooFewDevices: Below it; the session aborts.
        """
        require_threshold(len(self.heard), self.roster.terms)
        return tuple(p for p, name in enumerate(self.roster.names) if name in self.heard)


class _Dealing(_Seated):
    """Collects sealed shares; who deals is in U2."""

    expects = Kind.SHARES
    asks = Kind.DELIVERY

    def __init__(self, roster: Roster) -> None:
        super().__init__(roster, range(len(roster)))
        self.body_bytes = (len(roster) - 1) * SEALED_BYTES

    def close(self) -> "tuple[_Questions, _Summing]":
        """Hand each participant what the others sealed for it."""
        present = self.present
        dealt = {p: records(self.heard[self.roster.names[p]], SEALED_BYTES) for p in present}
        questions = {
            self.roster.names[recipient]: b"".join(
                encode_positions([dealer]) + dealt[dealer][recipient - (dealer < recipient)]
                for dealer in present
                if dealer != recipient
            )
            for recipient in present
        }
        return questions, _Summing(self.roster, present)


class _Summing(_Seated):
    """Adds masked vectors as they come; whose vector is in the sum is in U3."""

    expects = Kind.MASKED
    asks = Kind.SURVIVORS

    def __init__(self, roster: Roster, members: Sequence[int]) -> None:
        super().__init__(roster, members)
        self.total = np.zeros(roster.terms.dimension, WORD)
        self.body_bytes = self.total.nbytes

    def accept(self, message: Message) -> None:
        """Add the vector and forget it."""
        self.total += np.frombuffer(message.body, WORD)
        self.heard[message.sender] = b""

    def close(self) -> "tuple[_Questions, _Consenting]":
        """Tell every survivor who survived."""
        present = self.present
        body = encode_positions(present)
        questions = {self.roster.names[p]: body for p in present}
        return questions, _Consenting(self, present)


class _Consenting(_Seated):
    """Collects signatures over the one statement."""

    expects = Kind.CONSENT
    asks = Kind.AGREEMENT
    body_bytes = CONTEXT_BYTES

    def __init__(self, summing: _Summing, survivors: tuple[int, ...]) -> None:
        super().__init__(summing.roster, survivors)
        self.total, self.participants = summing.total, summing.members
        self.statement = self.roster.statement(self.participants, survivors)

    def check(self, message: Message) -> None:
        """Verify the signature, and that it is over this session's statement."""
        super().check(message)
        if not bytes_eq(message.body, self.statement):
            raise Disagreement("survivor must sign this session's statement, and signed another.")

    def accept(self, message: Message) -> None:
        """Keep the signature."""
        self.heard[message.sender] = message.signature

    def close(self) -> "tuple[_Questions, _Unmasking]":
        """Show every signer all signatures."""
        present = self.present
        names = self.roster.names
        body = b"".join(encode_positions([p]) + self.heard[names[p]] for p in present)
        return {names[p]: body for p in present}, _Unmasking(self, present)


class _Unmasking(_Seated):
    """Collects one share of each participant from each signer."""

    expects = Kind.UNMASK

    def __init__(self, consenting: _Consenting, signers: Sequence[int]) -> None:
        super().__init__(consenting.roster, signers)
        self.total, self.participants = consenting.total, consenting.participants
        self.survivors = consenting.members
        self.body_bytes = len(self.participants) * SHARE_BYTES

    def unmask(self) -> NDArray[np.int64]:
        """Recover one secret a participant and take every mask off the sum."""
        for participant, secret in self._recover().items():
            if participant in self.survivors:
                key = self.roster.self_mask_key(secret, participant)
                add_mask(self.total, key, negative=True)
                continue
            private = private_key(secret)
            for survivor in self.survivors:  # undo what it added for the one that dropped out
                key = self.roster.pair_mask_key(private, participant, survivor)
                add_mask(self.total, key, negative=survivor < participant)
        return self.total.astype(np.uint32).view(np.int32).astype(np.int64)

    def _recover(self) -> dict[int, bytes]:
        """Interpolate each secret from ``t`` shares, and again from others while one is wrong.

        The window of holders turns by one a time, so one liar among more than ``t`` is left out
        by some window.
        """
        holders = np.array(self.present)
        threshold = self.roster.terms.min_survivors
        rows = [self.heard[self.roster.names[holder]] for holder in holders]
        table = np.frombuffer(b"".join(rows), SYMBOL).reshape(len(rows), len(self.participants), -1)
        secrets: dict[int, bytes] = {}
        missing = list(range(len(self.participants)))
        for turn in range(len(rows) if len(rows) > threshold else 1):
            window = np.arange(turn, turn + threshold) % len(rows)
            shares = table[window][:, missing].reshape(threshold, -1)
            values = recover(holders[window], shares).astype(SYMBOL).tobytes()
            for column, secret in zip(missing, records(values, SHARE_BYTES), strict=True):
                if self._fits(self.participants[column], secret):
                    secrets[self.participants[column]] = secret
            missing = [c for c in missing if self.participants[c] not in secrets]
            if not missing:
                return secrets
        raise BadShare(
            f"shares must give the committed secrets, and {len(missing)} do not.",
            hint="A device dealt or released wrong shares; the round reveals nothing.",
        )

    def _fits(self, participant: int, secret: bytes) -> bool:
        """Compare a recovered secret with what its owner advertised."""
        if participant in self.survivors:
            expected = self.roster.commitment(participant)
            return bytes_eq(commit(self.roster.names[participant], secret), expected)
        return bytes_eq(public_key(secret), self.roster.mask_public(participant))


class _Over:
    """The session has ended: with a sum, or without one."""


class Aggregator:
    """One session on the server's side.

    Args:
        terms: The numbers of the session, from the RoundConfig.
        enrolment: The server's key and the directory of devices.
        identity: The server's name and signing key.

    Guarantees:
        - The sum is over exactly ``survivors``, modulo 2^32 and centred, or there is none.
        - A refused message changes nothing; a repeated one does nothing.
    """

    def __init__(self, terms: Terms, enrolment: Enrolment, identity: Identity) -> None:
        self._identity = identity
        self._accepted: set[bytes] = set()
        self._state: _Advertising | _Dealing | _Summing | _Consenting | _Unmasking | _Over = (
            _Advertising(terms, enrolment)
        )

    @property
    def answered(self) -> int:
        """How many devices have answered the open stage; 0 once the session is over."""
        return 0 if isinstance(self._state, _Over) else len(self._state.heard)

    def receive(self, data: bytes) -> None:
        """Take one message of a device.

        Raises:
            ProtocolRefusal: Its type says why; the session goes on without the message.
        """
        digest = sha256(data).digest()
        if digest in self._accepted:
            return
        message, state = Message.decode(data), self._state
        if isinstance(state, _Over) or message.kind != state.expects:
            raise WrongStage("message must answer the stage that is open.")
        state.check(message)
        if message.sender in state.heard:
            raise Equivocation("device must answer a stage once; the first answer stands.")
        state.accept(message)
        self._accepted.add(digest)

    def close_stage(self) -> dict[bytes, bytes]:
        """Close one of the first four stages with whoever has answered.

        Returns:
            Device id to the next question for it; who is not named has dropped out.

        Raises:
            TooFewDevices: Below the threshold; the session is over.
            WrongStage: The last stage is open (call ``finish``), or the session is over.
        """
        state = self._state
        if isinstance(state, _Over | _Unmasking):
            raise WrongStage("one of the first four stages must be open.")
        self._state = _Over()
        questions, following = state.close()
        self._state = following
        return {
            name: sign(self._identity, state.asks, state.context, body)
            for name, body in questions.items()
        }

    def finish(self) -> tuple[NDArray[np.int64], tuple[bytes, ...]]:
        """Close the last stage.

        Returns:
            The sum of the survivors' vectors, shape ``(d,)``, int64 in [-2^31, 2^31), and the
            survivors' ids. Both may be published.

        Raises:
            TooFewDevices, BadShare: No sum; the session is over.
            WrongStage: The last stage is not open.
        """
        state = self._state
        if not isinstance(state, _Unmasking):
            raise WrongStage("the unmask stage must be open.")
        self._state = _Over()
        return state.unmask(), tuple(state.roster.names[p] for p in state.survivors)
