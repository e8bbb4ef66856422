# SPDX-License-Identifier: Apache-2.0
"""A federation on the table: real door, secure sums and ledger; no network, no sealed store."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client.holding import hold_out
from client.session import Fetch, Member, Rounds
from client.training import Cohort
from server.asking import Asking, Pace, Questions
from server.book import Book
from server.plan import Plan
from server.rounds import RoundShelf
from shared import wire
from shared.catalogue import Catalogue
from shared.enrolment import device_name
from shared.errors import Refusal
from shared.ledger.chain import LedgerWriter
from shared.ledger.records import receipt_commitment
from shared.model.history import History
from shared.model.view import View
from shared.privacy.canonical import Signed, digest, parse, sign
from shared.privacy.door import Charge, Contribution, authorise, release
from shared.privacy.noise import RandomSource
from shared.privacy.policy import DeviceState, Floor, Policy, RoundConfig
from shared.publication import Statement

RUN = "5e" * 16


def seeded_key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())


def public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


OFFICER, SERVER = seeded_key("officer"), seeded_key("server")
OPEN_FLOOR = Floor(
    rho_cap=Fraction(100),
    rho_round_max=Fraction(100),
    participations_max=1000,
    min_separation_s=0,
    aborts_max=100,
    min_noise_shares=2,
    min_survivors_above=Fraction(1, 2),
    trusts=("distributed",),
)


def policy_for(plan: Plan, users: int, spare: int = 1) -> Policy:
    """A policy with room for the plan and a few rounds more."""
    most = max(r.mechanism.rho for r in plan.releases if r.mechanism)
    rounds = sum(r.rounds for r in plan.releases)
    floor = replace(OPEN_FLOOR, rho_cap=plan.rho + spare * most, participations_max=rounds + spare)
    return Policy(
        run=RUN,
        operator="A village",
        server_key=public(SERVER),
        users=users,
        delta=Fraction(1, 10**6),
        queries=tuple(r.query.name for r in plan.releases),
        floor=floor,
        text_alpha=Fraction(7, 10),
    )


class PaperDoor:
    """A device's door without a sealed store: the state is a field, receipts are a list."""

    def __init__(
        self, own: History, policy: Signed, policy_hash: str, *, source: RandomSource | None = None
    ) -> None:
        self.own, self.policy, self.source = own, policy, source
        self.state = DeviceState(public(OFFICER), policy_hash)
        self.charges: list[tuple[str, int, str]] = []
        """Session, round, commitment."""
        self.uploads: list[str] = []
        self.aborted: list[str] = []
        self.refusals: list[str] = []
        self.paused = False
        self.now_s = 1_000_000
        self.model = b""
        self.listed: bytes | None = None
        self.spoken: bytes | None = None
        self.told: tuple[Statement, ...] = ()
        """What the owner published."""
        self.uploaded: list[int] = []
        self.known: Catalogue | None = None
        self.released: dict[int, np.ndarray] = {}
        self.salt = sha256(id(self).to_bytes(8, "big")).digest()

    def answer(self, config: Signed, view: View, session: str) -> Contribution | Refusal:
        verdict = authorise(OPEN_FLOOR, self.state, self.policy, config, self.now_s)
        if not isinstance(verdict, Charge):
            return verdict
        self.state = verdict.state
        asked = verdict.config
        self.charges.append((session, asked.round, self._commit(asked)))
        (vector,) = self.cohort().answers(view)
        given = release(vector, asked.query, verdict, np.random.default_rng(7), self.source)
        self.released[asked.round] = given.residues
        return given

    def refuse(self, config: Signed, why: str) -> None:
        self.refusals.append(why)

    def closed(self) -> Refusal | None:
        return Refusal("paused") if self.paused else None

    def cohort(self) -> Cohort:
        """The owner: what answers are made of, and what is held out where metrics are agreed."""
        if self.known is None or "metrics" not in parse(Policy, self.policy.payload).queries:
            return Cohort([self.own])
        kept, held = hold_out(self.own, self.known.item_ids, self.salt)
        return Cohort([kept], [held])

    def catalogue(self) -> Catalogue:
        assert self.known is not None, "no view here names a catalogue"
        return self.known

    def _commit(self, asked: RoundConfig) -> str:
        fields: dict[str, str | int] = {
            "run": asked.run,
            "round": asked.round,
            "query": asked.query.name,
            "config": digest(asked),
            "model": asked.model_hash,
            "rho": str(asked.mechanism.rho),
            "seq": len(self.charges) + 1,
        }
        return receipt_commitment(self.salt, fields)

    def commitment(self, session: str) -> str:
        return next(found for name, _, found in self.charges if name == session)

    def sent(self, session: str, upload_bytes: int) -> None:
        self.uploads.append(session)

    def abort(self, session: str) -> None:
        self.aborted.append(session)

    def held(self) -> tuple[str, str]:
        return "", ""

    def take_release(self, model: bytes, catalogue: bytes | None, comments: bytes | None) -> None:
        self.model, self.listed, self.spoken = model, catalogue, comments

    def statements(self, run: str, held: int) -> tuple[Statement, ...]:
        return tuple(one for one in self.told if one.number > held)

    def published(self, numbers: Sequence[int]) -> None:
        self.uploaded.extend(numbers)


@dataclass
class Village:
    """Devices, their keys, and what each of them was told and said."""

    doors: dict[bytes, PaperDoor]
    rounds: dict[bytes, Rounds]
    directory: dict[bytes, bytes]
    said: list[tuple[bytes, str, wire.Message]] = field(default_factory=list)
    silent: Callable[[bytes, str, int], bool] = lambda name, stage, number: False
    """Who does not answer: device, stage, round."""
    twice: bool = False
    """Whether every question is put twice."""
    crash: Callable[[str, int], bool] = lambda stage, number: False
    """Whether the server dies once all answers of this stage of this round are in."""

    def online(self, cohort: Mapping[bytes, bytes]) -> set[bytes]:
        return set(cohort) & set(self.rounds)

    def ask(
        self, action: str, questions: Questions, deadline_s: float
    ) -> Iterator[tuple[bytes, wire.Message]]:
        stage = action.partition(".")[2]
        number = 0
        for name, question in questions.items():
            number = getattr(question, "round", 0)
            if name not in self.rounds or self.silent(name, stage, number):
                continue
            table = wire.pack(question)
            replies = [self.rounds[name].handle(wire.unpack(table))]
            if self.twice:
                replies.append(self.rounds[name].handle(wire.unpack(table)))
            for reply in replies:
                self.said.append((name, stage, reply))
                yield name, wire.unpack(wire.pack(reply))
            self.rounds[name].delivered(replies[0])
        if self.crash(stage, number):
            raise Died


class Died(BaseException):
    """The server's process is gone."""


class Files:
    """Public files of a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(exist_ok=True)

    def publish(self, data: bytes) -> str:
        name = sha256(data).hexdigest()
        (self.path / name).write_bytes(data)
        return name

    def fetch(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


def settle(
    owners: list[History], policy: Policy, fetch: Fetch, source: RandomSource | None = None
) -> Village:
    """Give every owner a device that has joined."""
    signed = sign(policy, OFFICER)
    doors: dict[bytes, PaperDoor] = {}
    rounds: dict[bytes, Rounds] = {}
    directory: dict[bytes, bytes] = {}
    for index, own in enumerate(owners):
        key = seeded_key(f"device {index}")
        raw = key.public_key().public_bytes_raw()
        name = device_name(raw)
        directory[name] = raw
        doors[name] = PaperDoor(own, signed, digest(policy), source=source)
        rounds[name] = Rounds(Member(policy.run, policy.server_key, key), doors[name], fetch)
    return Village(doors, rounds, directory)


def asking(
    folder: Path, village: Village, policy: Policy, writer: LedgerWriter, **changes: object
) -> Asking:
    """The server's side, on what lies in the folder."""
    files = Files(folder / "files")
    found = Asking(
        run=policy.run,
        policy_hash=digest(policy),
        key=SERVER,
        directory=village.directory,
        shelf=RoundShelf(folder / "rounds"),
        book=Book(writer, policy, run=policy.run, code="privet test", now=lambda: 1_000_000),
        publish=files.publish,
        exchange=village,
        pace=Pace(gather_s=0),
        sleep=lambda _: None,
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def open_ledger(folder: Path) -> LedgerWriter:
    return LedgerWriter.open(folder / "ledger", SERVER)
