# SPDX-License-Identifier: Apache-2.0
"""What crosses, and when, says nothing about what a device holds."""

import time
from collections.abc import Callable
from hashlib import shake_256
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, RecordDict
from scipy.stats import chisquare

from client.app import move_in, move_out
from client.run import Beat, Resident
from client.session import Member, Rounds
from server.plan import make_plan
from shared import wire
from shared.catalogue import Catalogue
from shared.config import RunConfig
from shared.features import build_catalogue
from shared.model.history import History
from shared.model.view import ItemSumsView
from shared.schema import Items
from shared.secagg import device as masking
from shared.secagg.messages import SIGNATURE_BYTES
from tests.client.test_run import Clock, Line
from tests.federation.made import Died, Files, Village, asking, open_ledger, policy_for, settle

USERS, HEAD = 4, 49
"""Devices, and the bytes before a masked vector."""
CONFIG = RunConfig(budget={"item_sums": 1.0}, dropout=0.2)


def stream(seed: str):  # type: ignore[no-untyped-def]
    """Uniform bytes that a seed names."""
    position = 0

    def read(count: int) -> bytes:
        nonlocal position
        position += count
        return shake_256(seed.encode()).digest(position)[position - count :]

    return read


def conversation(
    folder: Path,
    catalogue: Catalogue,
    first: History,
    keep: list[Village] | None = None,
    pace: Callable[[Rounds], object] = lambda rounds: rounds,
) -> Village:
    """Run one round in which the first device holds ``first``; everything else is the same."""
    rng = np.random.default_rng(3)
    others = [
        History(rng.permutation(len(catalogue))[:9], rng.choice([-1.0, 1.5], 9))
        for _ in range(USERS - 1)
    ]
    plan = make_plan(CONFIG, USERS, catalogue)
    policy = policy_for(plan, USERS)
    folder.mkdir()
    files = Files(folder / "files")
    village = settle([first, *others], policy, files.fetch)
    for index, (name, rounds) in enumerate(list(village.rounds.items())):
        member: Member = rounds._member
        door = village.doors[name]
        fresh = Rounds(member, door, files.fetch, random=stream(f"device {index}"))
        village.rounds[name] = pace(fresh)  # type: ignore[assignment]
        door.salt = bytes([index]) * 32
    if keep is not None:
        keep.append(village)
    with open_ledger(folder) as writer:
        server = asking(folder, village, policy, writer)
        server.ask(plan["item_sums"], 1, ItemSumsView(len(catalogue)))
    return village


@pytest.fixture(scope="module")
def shop() -> Catalogue:
    """A catalogue in which somebody can rate five thousand items."""
    count = 5000
    ids = tuple(f"thing-{n}" for n in range(count))
    items = Items(ids, ids, ("",) * count, ((),) * count, np.full(count, np.nan))
    return build_catalogue(items, np.random.default_rng(0).standard_normal((count, 8)))[0]


@pytest.fixture
def poor() -> History:
    return History(np.array([3]), np.array([1.5]))


@pytest.fixture
def rich(catalogue: Catalogue) -> History:
    rng = np.random.default_rng(1)
    return History(np.arange(len(catalogue)), rng.choice([-2.5, -1.0, 0.5, 1.5], len(catalogue)))


def test_control_bytes_are_the_same_whatever_a_device_rated(
    tmp_path: Path, catalogue: Catalogue, poor: History, rich: History
) -> None:
    said = [
        conversation(tmp_path / name, catalogue, first).said
        for name, first in (("poor", poor), ("rich", rich))
    ]
    assert len(said[0]) == len(said[1]) == 5 * USERS
    for one, other in zip(*said, strict=True):
        if one[2].kind == "control":
            assert wire.pack(one[2]) == wire.pack(other[2])
        else:
            assert len(one[2].body) == len(other[2].body)  # type: ignore[union-attr]


FALSE_ALARM = 1e-6


def nibble_chance(body: bytes) -> float:
    """The chance that uniform bytes look as uneven, by chi-square of 16 nibbles."""
    data = np.frombuffer(body[HEAD:-SIGNATURE_BYTES], np.uint8)
    counts = np.bincount(np.concatenate((data >> 4, data & 15)), minlength=16)
    return float(chisquare(counts).pvalue)


def uploads(village: Village) -> list[bytes]:
    return [r.body for _, _, r in village.said if isinstance(r, wire.Contribution)]


@pytest.mark.statistical
def test_one_devices_masked_upload_looks_uniform(
    tmp_path: Path, catalogue: Catalogue, rich: History
) -> None:
    """Each of four uploads by itself; false alarm 4 in a million, and the bytes are seeded."""
    village = conversation(tmp_path / "rich", catalogue, rich)
    assert len(uploads(village)) == USERS
    assert min(map(nibble_chance, uploads(village))) > FALSE_ALARM


@pytest.mark.statistical
def test_an_upload_without_its_mask_does_not_look_uniform(
    tmp_path: Path, catalogue: Catalogue, rich: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the very same test fails where the mask is left out."""
    monkeypatch.setattr(masking, "add_mask", lambda *words, **more: None)
    monkeypatch.setattr(Village, "ask", until_masked(Village.ask))
    with pytest.raises(Died):
        conversation(tmp_path / "rich", catalogue, rich, keep := [])
    assert len(uploads(keep[0])) == USERS
    assert max(map(nibble_chance, uploads(keep[0]))) < FALSE_ALARM


def until_masked(honest):  # type: ignore[no-untyped-def]
    """Ask no further than to the masked vectors: what is not masked cannot be opened."""

    def ask(village: Village, action: str, questions, deadline_s: float):  # type: ignore[no-untyped-def]
        if action == "train.consent":
            raise Died
        return honest(village, action, questions, deadline_s)

    return ask


# ---- instants ----------------------------------------------------------------------------------


class Paced:
    """A device behind its own pace: time passes by what its work costs, and by waiting."""

    def __init__(self, rounds: Rounds) -> None:
        self.clock = Clock()
        self.rounds, self.line = rounds, Line(self.clock)
        rounds._clock = self.clock
        beat = Beat(answer_after_s=600.0)
        self.resident = Resident("paced", self.line, self, beat, clock=self.clock)  # type: ignore[arg-type]
        self.resident._stop.wait = self.wait  # type: ignore[method-assign,assignment]
        self.instants: list[float] = []
        self.works: list[float] = []

    @property
    def since(self) -> float:
        return self.rounds.since

    def wait(self, seconds: float) -> bool:
        self.clock.now += seconds
        return False

    def work(self, message: wire.Message) -> wire.Message:
        began = time.perf_counter()
        reply = self.rounds.handle(message)
        self.works.append(time.perf_counter() - began)
        self.clock.now += self.works[-1]
        return reply

    def delivered(self, reply: wire.Message) -> None:
        self.rounds.delivered(reply)

    def drop(self) -> None:
        self.rounds.drop()

    def handle(self, message: wire.Message) -> wire.Message:
        asked = self.clock.now
        self.line.waiting.append(message)
        move_in("paced", self.work)
        try:
            assert self.resident._step(Context(0, 7, {"device": "paced"}, RecordDict(), {}))
        finally:
            move_out("paced")
        at, reply = self.line.sent.pop()
        self.instants.append(at - asked)
        return reply


def test_one_rating_and_five_thousand_are_answered_at_the_same_instants(
    tmp_path: Path, shop: Catalogue, poor: History
) -> None:
    rng = np.random.default_rng(1)
    rich = History(np.arange(5000), rng.choice([-2.5, -1.0, 0.5, 1.5], 5000))
    said, instants = [], []
    for name, first in (("poor", poor), ("rich", rich)):
        village = conversation(tmp_path / name, shop, first, pace=Paced)
        paced = next(iter(village.rounds.values()))
        assert isinstance(paced, Paced)
        instants.append([round(at, 6) for at in paced.instants])
        said.append([reply for who, _, reply in village.said if who == next(iter(village.rounds))])
    assert instants[0] == instants[1] == [600.0] * 5
    for one, other in zip(*said, strict=True):
        assert type(one) is type(other)
        assert len(one.body) == len(other.body)  # type: ignore[union-attr]
