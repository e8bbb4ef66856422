# SPDX-License-Identifier: Apache-2.0
"""kill -9 anywhere in a round: never an uncharged release, never a lost rating, always a store.

A kill leaves what the operating system has, so this tests the order of writes and the recovery,
not what a loss of power does to a disk that lies about fsync.
"""

import hashlib
import shutil
import signal
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from client.device import Device
from shared.errors import Refusal
from shared.privacy.canonical import parse
from shared.privacy.door import Contribution
from shared.privacy.policy import RoundConfig
from tests.client.killed import forked
from tests.client.made_store import question, view


def rho_of(signed: object) -> Fraction:
    return parse(RoundConfig, signed.payload).mechanism.rho


def judge(home: Path, said: list[str]) -> str:
    """Open what a kill left and hold it against what was promised; return a word for the count."""
    with Device.open(home) as device:
        verdict = device.verify()
        items = len(device.catalogue)
        entries = {entry.row: entry for entry in device.entries}
        acts = {(act.run, act.round): act for act in device.receipts()}
        for line in said:
            word, *rest = line.split()
            if word == "rated":
                assert entries[int(rest[0])].stars == float(rest[1])
            if word == "forgot":
                assert int(rest[0]) not in entries
            if word == "handed":
                round_ = {"two": 2, "three": 3}[rest[0]]
                act = acts["autumn", round_]
                assert act.rho == rho_of(question(items, round_))
                assert act.payload == rest[1]
                assert act.status in ("prepared", "sent", "charged-unused")
            if word == "sent":
                assert acts["autumn", 2].status == "sent"
        assert all(entries[row].comment == f"note {row}" for row in range(4, 12))
        rounds = sorted(act.round for act in acts.values() if act.status != "refused")
        charged = sum((rho_of(question(items, round_)) for round_ in rounds), Fraction(0))
        assert verdict.spent == charged
        handed = {line.split()[1]: line.split()[2] for line in said if line.startswith("handed")}
        if "two" in handed and 3 not in rounds:
            again = device.answer(question(items, 2), view(items), "two", now=2500)
            if 3 in entries:  # a retry gives the bytes that were handed out
                assert isinstance(again, Contribution)
                assert hashlib.sha256(again.residues.tobytes()).hexdigest() == handed["two"]
            else:  # until a rating is forgotten, and the bytes with it
                assert isinstance(again, Refusal)
        device.rate(20, 2, now=3000)  # and life goes on
        return f"after {len(said)} promises, {len(rounds)} charges"


def attack(start: Path, tmp_path: Path, mode: str, points: list[int]) -> Counter[str]:
    seen: Counter[str] = Counter()
    for number, point in enumerate(points):
        home = tmp_path / f"{mode}{number}"
        shutil.copytree(start, home)
        said, status = forked(home, mode, point)
        assert status in (0, -signal.SIGKILL)
        seen[judge(home, said)] += 1
        seen["killed"] += status == -signal.SIGKILL
        shutil.rmtree(home)
    return seen


def lines(start: Path, tmp_path: Path) -> int:
    shutil.copytree(start, tmp_path / "count")
    said, status = forked(tmp_path / "count", "count", 0)
    assert status == 0
    assert judge(tmp_path / "count", said[:-1])
    return int(said[-1].split()[1])


def test_kill_at_thirty_points_loses_nothing(start: Path, tmp_path: Path) -> None:
    total = lines(start, tmp_path)
    points = np.linspace(1, total, 30).astype(int).tolist()
    seen = attack(start, tmp_path, "line", points)
    assert seen["killed"] >= 29
    assert len(seen) > 5


@pytest.mark.slow
def test_kill_at_four_hundred_points_loses_nothing(start: Path, tmp_path: Path) -> None:
    total = lines(start, tmp_path)
    points = np.linspace(1, total, 300).astype(int).tolist()
    seen = attack(start, tmp_path, "line", points)
    assert seen["killed"] >= 299
    moments = np.random.default_rng(0).integers(100, 250_000, 100).tolist()
    seen += attack(start, tmp_path, "time", moments)
    assert seen["killed"] >= 340
    assert len(seen) > 8
