# SPDX-License-Identifier: Apache-2.0
"""The sealed store: everything about the owner that lies on disk, readable with the key alone.

One SQLite file holds named tables of JSON records, cut into segments of 256 records. A segment is
padded and sealed with AES-256-GCM-SIV under its table, number and schema version; it shows its
size and nothing else. A sealed root lists the digest of every segment, so a byte that differs, a
segment that is missing and one that was put back from an older copy are all found.

Every commit is one transaction, on disk when `commit` returns. The file `head` beside the database
names the root that counts: a database put back to an older copy is refused. A whole folder put back
to an older copy is not noticed: that needs a counter in hardware, and docs say so.

Source: Gueron, Langley, Lindell (2019), "AES-GCM-SIV", RFC 8452; SQLite, "Write-Ahead Logging".
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from client.guard import RESTORE, faults, take_lock
from client.head import HEAD, Head
from client.sealing import open_sealed, seal, subkey
from shared.errors import DataError, PrivetError, StoreLocked, VerificationError

Record = dict[str, Any]
"""One record: what JSON can say."""
Tables = dict[str, list[Record]]

SCHEMA = 1
"""Version of what the records mean; part of what every seal covers."""
MIGRATIONS: dict[int, Callable[[Tables], Tables]] = {}
"""From each older version to the next."""
SEGMENT = 256
"""Records of a segment."""
PADDING = 1024
"""Segments are padded to a multiple of this many bytes."""
DATABASE = "device.db"

_MADE = (
    "CREATE TABLE root (id INTEGER PRIMARY KEY CHECK (id = 1), sealed BLOB NOT NULL)",
    "CREATE TABLE segments (tab TEXT NOT NULL, seg INTEGER NOT NULL, sealed BLOB NOT NULL, "
    "PRIMARY KEY (tab, seg))",
)


class Store:
    """Tables of sealed records; one process at a time.

    Guarantees:
        - what `commit` returned from survives kill -9 and, on an honest disk, a loss of power
        - a commit is there whole or not at all
        - a flipped bit, a truncated file, a missing or an older segment is a typed error, never
          other data
    """

    def __init__(self, folder: Path, lock: int, key: bytes) -> None:
        """Use `create` or `open`."""
        self.folder, self._lock = folder, lock
        self._sealing = subkey(key, "segments")
        self._head = Head(folder, subkey(key, "head"))
        self._behind = False  # whether the head on disk is one commit behind the database
        self._db: sqlite3.Connection | None = None
        self._root: dict[str, Any] = {"generation": 0, "previous": "", "tables": {}}
        self._mark = ""  # digest of the sealed root
        self._schema = SCHEMA
        self._cache: Tables = {}

    @classmethod
    def create(cls, folder: Path, key: bytes, tables: Mapping[str, Sequence[Record]]) -> Self:
        """Make a store with its first content.

        Raises:
            DataError: there is one already.
            EnvironmentFault: the folder cannot be written.
        """
        store = cls(folder, take_lock(folder), key)
        try:
            with faults(folder / DATABASE):
                if (folder / DATABASE).exists():
                    raise DataError(
                        f"{folder} must hold no device yet, got one.",
                        hint="use it, erase it, or name another folder.",
                    )
                store._head.place(store._head.prepare(0, ""))
                os.close(os.open(folder / DATABASE, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
                store._connect()
            store.commit(tables)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def open(cls, folder: Path, unlock: Callable[[], bytes]) -> Self:
        """Open a store: take its lock, ask for its key, check its root and its age.

        Args:
            folder: Where it lies.
            unlock: Gives the key; called once the lock is held.

        Raises:
            DataError: there is no store, or one of a newer Privet.
            StoreLocked: another process holds it, or the key is missing or wrong.
            VerificationError: it is damaged, or an older copy was put back.
        """
        if not (folder / DATABASE).exists():
            if (folder / HEAD).exists():
                raise VerificationError(f"{folder / DATABASE} is missing.", hint=RESTORE)
            raise DataError(
                f"{folder} must hold a device, got none.",
                hint="make one: `privet client init DIR --catalogue FILE`.",
            )
        lock = take_lock(folder)
        try:
            store = cls(folder, lock, unlock())
        except BaseException:
            os.close(lock)
            raise
        try:
            with faults(folder / DATABASE):
                store._connect()
                store._load_root()
            if store._schema < SCHEMA:
                store._migrate()
        except BaseException:
            store.close()
            raise
        return store

    @property
    def generation(self) -> int:
        """Number of commits so far."""
        return int(self._root["generation"])

    @property
    def names(self) -> list[str]:
        """Names of the tables that hold anything."""
        return [name for name, digests in self._root["tables"].items() if digests]

    def table(self, name: str) -> list[Record]:
        """Return the records of a table, unsealed at first use.

        Returns:
            A new list of shared records: replace a record, never change it in place.

        Raises:
            VerificationError: a segment is damaged, missing or older than the root says.
        """
        if name not in self._cache:
            with faults(self.folder / DATABASE):
                parts = [self._segment(name, n) for n in range(len(self._listed(name)))]
            self._cache[name] = [record for part in parts for record in json.loads(part)]
        return list(self._cache[name])

    def commit(self, changes: Mapping[str, Sequence[Record]], *, scrub: bool = False) -> None:
        """Replace tables in one transaction; on disk when this returns.

        Args:
            changes: The whole new content of each table that changes; only segments that differ
                are sealed and written.
            scrub: Also overwrite what the old segments and the write-ahead log still hold.

        Raises:
            EnvironmentFault: the disk is full or cannot be written; all is as before.
        """
        for name in changes:
            self.table(name)  # what is replaced must have been intact
        plain = {name: self._cut(name, list(records)) for name, records in changes.items()}
        with faults(self.folder / DATABASE):
            if self._behind:
                self._head.place(self._head.prepare(self.generation, self._mark))
                self._behind = False
            root, mark, sealed = self._prepare(plain)
            head = self._head.prepare(root["generation"], mark)
            try:
                self._write(plain, sealed, root)
            except BaseException:
                head.unlink(missing_ok=True)
                self._look_again()
                raise
            self._behind = True
            self._root, self._mark = root, mark
            for name, records in changes.items():
                self._cache[name] = list(records)
            self._head.place(head)
            self._behind = False
            if scrub:
                self._connected.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def verify(self) -> int:
        """Unseal everything; return the number of segments.

        Raises:
            VerificationError: see `table`; or rows stand there that no root lists.
        """
        listed = {
            (name, n) for name, digests in self._root["tables"].items() for n in range(len(digests))
        }
        with faults(self.folder / DATABASE):
            for name, number in sorted(listed):
                self._segment(name, number)
            found = set(self._connected.execute("SELECT tab, seg FROM segments"))
            if found != listed or self._one("PRAGMA integrity_check") != "ok":
                raise VerificationError(
                    "the store must hold what its root lists, got more or less.", hint=RESTORE
                )
        return len(listed)

    def close(self, *, keep_lock: bool = False) -> None:
        """Close the database and let go of the lock, unless that is to be kept."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None
        if self._lock >= 0 and not keep_lock:
            os.close(self._lock)
            self._lock = -1

    # ---- database ------------------------------------------------------------------------------

    @property
    def _connected(self) -> sqlite3.Connection:
        if self._db is None:
            raise StoreLocked("the store must be open, it was closed.", hint="open it again.")
        return self._db

    def _connect(self) -> None:
        """Open the database: exclusive, write-ahead, fsynced, nothing in temporary files."""
        self._db = sqlite3.connect(
            self.folder / DATABASE, timeout=0, isolation_level=None, check_same_thread=False
        )
        for pragma in (
            "locking_mode = EXCLUSIVE",
            "journal_mode = WAL",
            "synchronous = FULL",
            "secure_delete = ON",
            "temp_store = MEMORY",
        ):
            self._db.execute(f"PRAGMA {pragma}")

    def _one(self, query: str, *words: object) -> Any:
        """Return the first column of the first row, None where there is no row."""
        row = self._connected.execute(query, words).fetchone()
        return row[0] if row else None

    def _listed(self, name: str) -> list[str]:
        return list(self._root["tables"].get(name, []))

    def _segment(self, name: str, number: int) -> bytes:
        """Return one segment's plaintext, held against the root."""
        sealed = self._one("SELECT sealed FROM segments WHERE tab = ? AND seg = ?", name, number)
        if not isinstance(sealed, bytes) or _digest(sealed) != self._listed(name)[number]:
            raise VerificationError(
                f"segment {number} of {name} must be the one that the root lists.", hint=RESTORE
            )
        return open_sealed(self._sealing, sealed, name, number, self._schema).rstrip(b" ")

    def _cut(self, name: str, records: list[Record]) -> list[bytes | None]:
        """Return the plaintext of each segment, None where it stays as it is."""
        old, cuts = self._cache[name], range(0, len(records), SEGMENT)
        parts = [(records[n : n + SEGMENT], old[n : n + SEGMENT]) for n in cuts]
        return [None if new == before else _json(new) for new, before in parts]

    def _prepare(
        self, plain: Mapping[str, list[bytes | None]]
    ) -> tuple[dict[str, Any], str, dict[tuple[str, int], bytes]]:
        """Seal what differs, and the root that lists it; return root, its digest, seals."""
        tables = {name: list(digests) for name, digests in self._root["tables"].items()}
        sealed: dict[tuple[str, int], bytes] = {}
        for name, parts in plain.items():
            tables[name] = tables.get(name, [])[: len(parts)]
            for number, part in enumerate(parts):
                if part is None:
                    continue
                blob = seal(self._sealing, _padded(part), name, number, SCHEMA)
                sealed[name, number] = blob
                tables[name][number : number + 1] = [_digest(blob)]
        root = {"generation": self.generation + 1, "previous": self._mark, "tables": tables}
        blob = seal(self._sealing, _padded(_json(root)), "root", 0, SCHEMA)
        sealed["root", 0] = blob
        return root, _digest(blob), sealed

    def _write(
        self,
        plain: Mapping[str, list[bytes | None]],
        sealed: Mapping[tuple[str, int], bytes],
        root: Mapping[str, Any],
    ) -> None:
        """Run the one transaction of a commit."""
        db = self._connected
        db.execute("BEGIN IMMEDIATE")
        try:
            if root["generation"] == 1:
                for statement in _MADE:
                    db.execute(statement)
            for (name, number), blob in sealed.items():
                if name == "root":
                    db.execute("INSERT OR REPLACE INTO root VALUES (1, ?)", (blob,))
                else:
                    row = (name, number, blob)
                    db.execute("INSERT OR REPLACE INTO segments VALUES (?, ?, ?)", row)
            for name, parts in plain.items():
                db.execute("DELETE FROM segments WHERE tab = ? AND seg >= ?", (name, len(parts)))
            db.execute(f"PRAGMA user_version = {SCHEMA}")
            db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise

    def _load_root(self) -> None:
        """Read schema, root and head, and hold them against each other."""
        self._schema = int(self._one("PRAGMA user_version"))
        if self._schema > SCHEMA:
            raise DataError(
                f"the store must have schema {SCHEMA} or older, got {self._schema}.",
                hint="it was written by a newer Privet: use that one.",
            )
        if self._schema < min([SCHEMA, *MIGRATIONS]):
            raise VerificationError("the store must name its schema.", hint=RESTORE)
        sealed = self._one("SELECT sealed FROM root WHERE id = 1")
        if not isinstance(sealed, bytes):
            raise VerificationError("the store must have a root, got none.", hint=RESTORE)
        self._root = json.loads(open_sealed(self._sealing, sealed, "root", 0, self._schema))
        self._mark = _digest(sealed)
        generation, mark = self._head.read()
        ahead = (generation + 1, mark) == (self.generation, self._root["previous"])
        if ahead:  # stopped between the transaction and the head
            self._head.place(self._head.prepare(self.generation, self._mark))
        elif (generation, mark) != (self.generation, self._mark):
            raise VerificationError(
                f"the store must be the one of commit {generation}, got that of "
                f"{self.generation}: an older copy was put back.",
                hint=RESTORE,
            )

    def _look_again(self) -> None:
        """After a failed write, go on from what is on disk: it may have been made all the same."""
        self._cache.clear()
        try:
            self._load_root()
        except (PrivetError, sqlite3.Error, OSError, ValueError):
            self.close()

    def _migrate(self) -> None:
        """Carry all tables to the current schema, in one transaction."""
        tables: Tables = {name: self.table(name) for name in self._root["tables"]}
        for version in range(self._schema, SCHEMA):
            tables = MIGRATIONS[version](tables)
        gone = [name for name in self._root["tables"] if name not in tables]
        self._schema = SCHEMA
        self._cache = {name: [] for name in self._root["tables"]}  # seal every segment anew
        self.commit({**tables, **{name: [] for name in gone}}, scrub=True)


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _padded(plain: bytes) -> bytes:
    """Pad with spaces, which JSON ignores."""
    return plain + b" " * (-len(plain) % PADDING)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
