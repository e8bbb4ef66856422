# SPDX-License-Identifier: Apache-2.0
"""Rounds on disk: each step is flushed before the next begins, so any restart goes on from there.

    folder                     holds once the step is done
    round.json                 the round is decided: number, question, configuration, cohort
    1-advertise … 5-unmask     the stage is closed: every message that was accepted in it
    sum                        the secure sum is open: total and number of survivors
    closed.json                the ledger has the round_close

A step found on disk is never taken again. The aggregator is rebuilt from the stored messages: it
is deterministic, so a restart asks the very same questions, and devices repeat the very same
answers. When the sum is stored, the messages are deleted.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.atomic import replace_file
from shared.errors import VerificationError
from shared.privacy.canonical import Signed
from shared.schema import Ints
from shared.wire import STAGES

RECEIPTS = "receipts.json"
"""Written when the first stage closes: nobody is charged for the round after that."""


@dataclass(frozen=True)
class Decided:
    """What is fixed about a round before anybody hears of it."""

    number: int
    query: str
    server_round: int
    """Which of the query's rounds, from 1."""
    config: str
    """Canonical RoundConfig."""
    signature: str
    """Of the server's key, hexadecimal."""
    directory: str
    """SHA-256 of the directory file."""
    cohort: tuple[str, ...]
    """Device ids that are invited, hexadecimal."""

    @property
    def signed(self) -> Signed:
        """The configuration as devices check it."""
        return Signed(self.config.encode("ascii"), bytes.fromhex(self.signature))


@dataclass(frozen=True)
class Opened:
    """A secure sum that was opened."""

    total: Ints
    """Sum of the survivors' integers, (d,)."""
    survivors: int


class RoundFolder:
    """One round on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def number(self) -> int:
        """The round's number."""
        return int(self.path.name)

    @property
    def decided(self) -> Decided:
        """What is fixed about the round."""
        plain = json.loads((self.path / "round.json").read_bytes())
        return Decided(**plain | {"cohort": tuple(plain["cohort"])})

    def stage(self, stage: str) -> list[bytes] | None:
        """Return the messages accepted in a closed stage, or None while it is open."""
        path = self._stage(stage)
        return list(_records(path.read_bytes())) if path.exists() else None

    def close_stage(self, stage: str, accepted: Sequence[bytes]) -> None:
        """Close a stage with what was accepted in it."""
        framed = b"".join(len(data).to_bytes(4, "little") + data for data in accepted)
        self._write(self._stage(stage), framed)

    @property
    def receipts(self) -> list[str]:
        """Commitments of devices that were charged, ascending."""
        path = self.path / RECEIPTS
        return json.loads(path.read_bytes()) if path.exists() else []

    def keep_receipts(self, receipts: Sequence[str]) -> None:
        """Keep the commitments that came with the first stage."""
        self._write(self.path / RECEIPTS, json.dumps(sorted(set(receipts))).encode())

    @property
    def opened(self) -> Opened | None:
        """The sum, once it is open."""
        path = self.path / "sum"
        if not path.exists():
            return None
        data = path.read_bytes()
        return Opened(
            np.frombuffer(data[4:], "<i8").astype(np.int64), int.from_bytes(data[:4], "little")
        )

    def open_sum(self, opened: Opened) -> None:
        """Keep the sum, then delete the messages that it was made of."""
        data = opened.survivors.to_bytes(4, "little") + opened.total.astype("<i8").tobytes()
        self._write(self.path / "sum", data)
        self._forget_messages()

    @property
    def outcome(self) -> str:
        """`released`, `discarded`, or empty while the ledger has no round_close."""
        return str(self._closed().get("outcome", ""))

    @property
    def why(self) -> str:
        """Why the round was discarded, or empty."""
        return str(self._closed().get("why", ""))

    def close(self, outcome: str, why: str = "") -> None:
        """Note that the ledger has the round_close."""
        self._write(
            self.path / "closed.json", json.dumps({"outcome": outcome, "why": why}).encode()
        )
        self._forget_messages()

    def _closed(self) -> dict[str, Any]:
        path = self.path / "closed.json"
        return dict(json.loads(path.read_bytes())) if path.exists() else {}

    def _stage(self, stage: str) -> Path:
        return self.path / f"{STAGES.index(stage) + 1}-{stage}"

    def _forget_messages(self) -> None:
        for stage in STAGES:
            self._stage(stage).unlink(missing_ok=True)

    def _write(self, path: Path, data: bytes) -> None:
        replace_file(path, data)
        sync_folder(path.parent)


class RoundShelf:
    """All rounds of a run, in order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def __iter__(self) -> Iterator[RoundFolder]:
        """Yield the rounds that were decided, in order."""
        found = sorted(entry for entry in self.path.iterdir() if entry.name.isdecimal())
        return (RoundFolder(entry) for entry in found if (entry / "round.json").exists())

    def of(self, query: str, server_round: int) -> list[RoundFolder]:
        """Return the tries at one question, in order; all but the last were discarded."""
        return [
            folder
            for folder in self
            if (folder.decided.query, folder.decided.server_round) == (query, server_round)
        ]

    @property
    def charged_at(self) -> float:
        """When devices were charged last, seconds since 1970; 0 before the first round."""
        files = self.path.glob(f"*/{RECEIPTS}")
        return max((file.stat().st_mtime for file in files), default=0.0)

    @property
    def last(self) -> int:
        """The number of the last round, 0 before the first."""
        return max((folder.number for folder in self), default=0)

    def decide(self, decided: Decided) -> RoundFolder:
        """Put a new round on disk.

        Raises:
            VerificationError: A round of this number, or a later one, is there already.
        """
        if decided.number <= self.last:
            raise VerificationError(
                f"a round must have a number after {self.last}, got {decided.number}.",
                hint="one process at a time runs the rounds of a folder.",
            )
        path = self.path / f"{decided.number:06d}"
        replace_file(path / "round.json", json.dumps(asdict(decided)).encode())
        sync_folder(path)
        sync_folder(self.path)
        return RoundFolder(path)


def sync_folder(path: Path) -> None:
    """Flush a folder's own entries to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _records(data: bytes) -> Iterator[bytes]:
    """Yield the messages of a stage's file."""
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        yield data[at + 4 : at + 4 + length]
        at += 4 + length
