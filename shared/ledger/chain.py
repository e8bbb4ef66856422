# SPDX-License-Identifier: Apache-2.0
"""The ledger on disk: read exactly, written by one writer, each record on disk before it counts.

A folder holds `records.jsonl`, `checkpoints.jsonl` and, if anybody cosigned, `cosignatures.jsonl`.
A record is acknowledged when `append` returns, after fsync. A crash can leave at most a line
without its newline: the next start of the writer cuts it off, and nothing acknowledged is in it.
Whatever else is wrong is never repaired: the writer refuses to start.

Source: docs/spec/ledger.md, sections "Files" and "Crash".
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.errors import PrivetError, StoreLocked
from shared.ledger.checkpoint import CHECKPOINT_LABEL, Checkpoint, public_hex, read_chain
from shared.ledger.merkle import Frontier, leaf_hash
from shared.ledger.records import NO_PREVIOUS, LedgerFault, Record, check_body, read_record
from shared.ledger.rules import Book

RECORDS, CHECKPOINTS, COSIGNATURES = "records.jsonl", "checkpoints.jsonl", "cosignatures.jsonl"


def split(content: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole lines of a file, and what stands after the last newline (torn)."""
    *lines, torn = content.split(b"\n")
    return lines, torn


def read_checkpoints(folder: Path) -> tuple[list[Checkpoint], bytes]:
    """Read the keeper's checkpoints, chained and signed, and the torn tail of their file."""
    path = folder / CHECKPOINTS
    lines, torn = split(path.read_bytes() if path.exists() else b"")
    return read_chain(lines, CHECKPOINT_LABEL, CHECKPOINTS), torn


def walk(lines: list[bytes], checkpoints: list[Checkpoint]) -> Iterator[tuple[Record, Frontier]]:
    """Yield each record with the tree up to it, and hold every checkpoint against that tree.

    Raises:
        LedgerFault: A record does not follow the one before, a checkpoint does not fit the
            records, or a round was closed and not signed before the next record.
    """
    tree, prev, waiting, due = Frontier(), NO_PREVIOUS, iter(checkpoints), False
    coming, number, run, key = next(waiting, None), 1, "", ""
    for seq, line in enumerate(lines):
        if due:
            raise LedgerFault("the round_close before has no checkpoint.", record=seq)
        record, leaf = read_record(line, seq, prev), leaf_hash(line)
        tree.append(leaf)
        prev, due = leaf.hex(), record.kind == "round_close"
        if seq == 0:
            run, key = str(record.body.get("run", "")), str(record.body.get("key", ""))
        while coming is not None and coming.size <= tree.size:
            _hold(coming, number, tree, run, key)
            coming, number, due = next(waiting, None), number + 1, False
        yield record, tree
    if coming is not None:
        raise LedgerFault(
            f"{CHECKPOINTS} line {number} signs {coming.size} records, {len(lines)} are here.",
            record=len(lines),
        )


def _hold(mark: Checkpoint, number: int, tree: Frontier, run: str, key: str) -> None:
    """Hold one checkpoint against the tree of its size."""
    place = f"{CHECKPOINTS} line {number}"
    if mark.size != tree.size:
        raise LedgerFault("checkpoints must grow.", field=f"{place}, size")
    if mark.root != tree.root().hex():
        raise LedgerFault(
            "is not the root of the records up to here.",
            record=tree.size - 1,
            field=f"{place}, root",
        )
    if mark.run != run or mark.key != key:
        raise LedgerFault("is not what run_open names.", field=f"{place}, run or key")


class LedgerWriter:
    """The only writer of a ledger.

    A record that the rules refuse is not written: `append` raises and the ledger is as before.

    Example:
        with LedgerWriter.open(run / "ledger", key) as ledger:
            ledger.append("run_open", {...})
            ledger.append("round_close", {...})  # signs a checkpoint by itself
    """

    def __init__(self, folder: Path, signing_key: Ed25519PrivateKey, lock: int) -> None:
        """Use `open`."""
        self.folder, self._key, self._lock = folder, signing_key, lock
        self.book, self.tree, self.head = Book(), Frontier(), NO_PREVIOUS
        self.repaired_bytes = 0
        """How much of a torn tail this start cut off."""
        self._signed, self._at, self._mark = 0, 0, NO_PREVIOUS

    @classmethod
    def open(cls, folder: Path, signing_key: Ed25519PrivateKey) -> Self:
        """Open a ledger, new or old, for writing; verify it and cut off a torn tail.

        Raises:
            StoreLocked: Another writer holds it.
            LedgerFault: It does not verify, or is signed by another key.
        """
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise StoreLocked(
                "the ledger must have one writer, another holds it.", hint="stop the other run."
            ) from None
        writer = cls(folder, signing_key, lock)
        try:
            writer._start()
        except BaseException:
            writer.close()
            raise
        return writer

    def _start(self) -> None:
        marks, torn_mark = read_checkpoints(self.folder)
        path = self.folder / RECORDS
        lines, torn = split(path.read_bytes() if path.exists() else b"")
        last = None
        for last, tree in walk(lines, marks):
            self.book.add(last)
            self.tree, self.head = tree, leaf_hash(lines[last.seq]).hex()
            self._at = last.at
        if self.book.run is not None and self.book.run["key"] != public_hex(self._key):
            raise LedgerFault("the ledger is kept by another key.", record=0, field="key")
        self._signed = marks[-1].size if marks else 0
        self._mark = leaf_hash(marks[-1].line()).hex() if marks else NO_PREVIOUS
        for name, tail in ((RECORDS, torn), (CHECKPOINTS, torn_mark)):
            if tail:
                _cut(self.folder / name, len(tail))
                self.repaired_bytes += len(tail)
        if last is not None and last.kind == "round_close" and self._signed < self.tree.size:
            self.checkpoint()

    def append(self, kind: str, fields: Mapping[str, Any], *, at: int = 0) -> Record:
        """Write one record and return it once it is on disk; a round_close is signed as well.

        Args:
            kind: One of `records.SCHEMA`.
            fields: Exactly the fields of the kind; `key` of a run_open may be left out.
            at: Seconds since 1970; 0 says nothing about time.

        Raises:
            LedgerFault: The record is malformed or cannot follow.
            ClaimExceeded: It would record a broken claim.
        """
        body = dict(fields)
        if kind == "run_open":
            body.setdefault("key", public_hex(self._key))
        record = Record(self.tree.size, kind, at, self.head, body)
        check_body(kind, body, record.seq)
        line = record.line()
        read_record(line, record.seq, self.head)
        self._take(record)
        _append(self.folder / RECORDS, line)
        leaf = leaf_hash(line)
        self.tree.append(leaf)
        self.head, self._at = leaf.hex(), at
        if kind == "round_close":
            self.checkpoint()
        return record

    def _take(self, record: Record) -> None:
        """Apply the rules; after a refusal read the book again, as it stands on disk."""
        try:
            self.book.add(record)
        except PrivetError:
            self.book, self.tree, self.head = Book(), Frontier(), NO_PREVIOUS
            self._start()
            raise

    def checkpoint(self) -> None:
        """Sign the tree as it stands, unless it is signed already."""
        if self.book.run is None:
            raise LedgerFault("a ledger without run_open cannot be signed.", field=RECORDS)
        if self._signed == self.tree.size:
            return
        mark = Checkpoint.sign(
            self._key,
            CHECKPOINT_LABEL,
            run=self.book.run["run"],
            size=self.tree.size,
            root=self.tree.root().hex(),
            at=self._at,
            prev=self._mark,
        )
        _append(self.folder / CHECKPOINTS, mark.line())
        self._signed, self._mark = self.tree.size, leaf_hash(mark.line()).hex()

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _append(path: Path, line: bytes) -> None:
    """Append a line and wait until file and, when new, folder entry are on disk."""
    new = not path.exists()
    with path.open("ab") as file:
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if new:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _cut(path: Path, tail: int) -> None:
    """Cut ``tail`` bytes off the end of a file."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - tail)
        os.fsync(file.fileno())
