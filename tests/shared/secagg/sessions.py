# SPDX-License-Identifier: Apache-2.0
"""A session on the table: reproducible devices, an aggregator, and the server's key to lie with."""

from collections.abc import Callable, Iterable
from hashlib import shake_256

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.secagg.aggregator import Aggregator
from shared.secagg.device import Device
from shared.secagg.keys import Random
from shared.secagg.messages import Kind, Message, encode_positions, sign
from shared.secagg.terms import SERVER_NAME, Enrolment, Identity, Terms

ANSWERS = (Kind.ADVERT, Kind.SHARES, Kind.MASKED, Kind.CONSENT, Kind.UNMASK)
QUESTIONS = (Kind.ROSTER, Kind.DELIVERY, Kind.SURVIVORS, Kind.AGREEMENT)


def seeded(seed: str) -> Random:
    """SHAKE-256 of the seed, read in order: the stream that the vector file names."""
    position = 0

    def read(count: int) -> bytes:
        nonlocal position
        position += count
        return shake_256(seed.encode()).digest(position)[position - count :]

    return read


def signing_key(seed: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seeded(seed)(32))


def name(index: int) -> bytes:
    return index.to_bytes(16, "big")


class Session:
    """n devices and an aggregator; ``play`` runs the honest protocol up to a kind of message."""

    def __init__(
        self,
        n: int = 4,
        t: int | None = None,
        d: int = 5,
        *,
        server_round: int = 7,
        config: bytes = bytes(range(32)),
        vectors: list[np.ndarray] | None = None,
        salt: str = "",
    ) -> None:
        self.salt = salt
        self.terms = Terms(config, server_round, n, t or n // 2 + 1, 0, d)
        self.server = Identity(SERVER_NAME, signing_key("server"))
        self.identities = [Identity(name(i), signing_key(f"device {i}")) for i in range(n)]
        self.enrolment = Enrolment(
            self.server.key.public_key().public_bytes_raw(),
            {i.name: i.key.public_key().public_bytes_raw() for i in self.identities},
        )
        rng = np.random.default_rng(n)
        self.vectors = vectors or [rng.integers(-(2**28), 2**28, d) for _ in range(n)]
        self.devices = [self.device(i) for i in range(n)]
        self.aggregator = Aggregator(self.terms, self.enrolment, self.server)
        self.questions: dict[bytes, bytes] = {}
        self.seen: list[bytes] = []

    def device(self, index: int, terms: Terms | None = None) -> Device:
        return Device(
            terms or self.terms,
            self.enrolment,
            self.identities[index],
            self.vectors[index],
            random=seeded(f"round secrets {index}{self.salt}"),
        )

    def stage(
        self,
        kind: Kind,
        silent: Iterable[int] = (),
        change: Callable[[int, bytes], bytes] = lambda _, answer: answer,
    ) -> None:
        """Let every device that was asked give its answer of this kind."""
        for index, device in enumerate(self.devices):
            if index in silent or (kind is not Kind.ADVERT and name(index) not in self.questions):
                continue
            answer = (
                device.advertise()
                if kind is Kind.ADVERT
                else device.answer(self.questions[name(index)])
            )
            self.seen.append(change(index, answer))
            self.aggregator.receive(self.seen[-1])

    def play(self, until: Kind, silent: Iterable[int] = ()) -> "Session":
        """Run honestly until the questions of kind ``until`` are on the table, unanswered."""
        for answer, question in zip(ANSWERS, QUESTIONS, strict=False):
            self.stage(answer, silent)
            self.questions = self.aggregator.close_stage()
            if question is until:
                return self
        raise AssertionError(until)

    def ask(self, kind: Kind, body: bytes, *, context: bytes | None = None) -> bytes:
        """Sign any question as the server: what a hostile one can do."""
        return sign(self.server, kind, self.context(kind) if context is None else context, body)

    def context(self, kind: Kind) -> bytes:
        if kind is Kind.ROSTER:
            return self.terms.digest
        return Message.decode(next(iter(self.questions.values()))).context

    def body(self, index: int) -> bytes:
        """Body of the question that lies on the table for a device."""
        return Message.decode(self.questions[name(index)]).body

    def plain_sum(self, survivors: Iterable[int]) -> np.ndarray:
        total = np.sum([self.vectors[i] for i in survivors], axis=0)
        return total.astype(np.uint32).view(np.int32).astype(np.int64)


def positions(*members: int) -> bytes:
    return encode_positions(members)
