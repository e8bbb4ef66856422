# SPDX-License-Identifier: Apache-2.0
"""What crosses, and when, says nothing about what a device holds."""

from hashlib import shake_256
from pathlib import Path

import numpy as np
import pytest

from client.session import Member, Rounds
from server.plan import make_plan
from shared import wire
from shared.catalogue import Catalogue
from shared.config import RunConfig
from shared.model.history import History
from shared.model.view import ItemSumsView
from tests.federation.made import Files, Village, asking, open_ledger, policy_for, settle

USERS = 4
CONFIG = RunConfig(budget={"item_sums": 1.0}, dropout=0.2)


def stream(seed: str):  # type: ignore[no-untyped-def]
    """Uniform bytes that a seed names."""
    position = 0

    def read(count: int) -> bytes:
        nonlocal position
        position += count
        return shake_256(seed.encode()).digest(position)[position - count :]

    return read


def conversation(folder: Path, catalogue: Catalogue, first: History) -> Village:
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
        village.rounds[name] = Rounds(member, door, files.fetch, random=stream(f"device {index}"))
        door.salt = bytes([index]) * 32
    with open_ledger(folder) as writer:
        server = asking(folder, village, policy, writer)
        server.ask(plan["item_sums"], 1, ItemSumsView(len(catalogue)))
    return village


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


def test_a_masked_vector_looks_uniform(tmp_path: Path, catalogue: Catalogue, rich: History) -> None:
    """Chi-square of the bytes of one upload, 255 degrees; false alarm about 1 in 10,000."""
    village = conversation(tmp_path / "rich", catalogue, rich)
    bodies = [r.body for _, _, r in village.said if isinstance(r, wire.Contribution)]
    payload = np.frombuffer(b"".join(body[49:-64] for body in bodies), np.uint8)
    counts = np.bincount(payload, minlength=256)
    expected = len(payload) / 256
    assert ((counts - expected) ** 2 / expected).sum() < 350
