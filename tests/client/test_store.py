# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to its files, a store gives its data or a typed error, never other data."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client import store as module
from client.store import DATABASE, SEGMENT, Store
from shared.errors import (
    DataError,
    EnvironmentFault,
    PrivetError,
    StoreLocked,
    VerificationError,
)

KEY = bytes(range(32))
ROWS = [{"n": n, "text": f"row {n}"} for n in range(3 * SEGMENT + 7)]


def made(folder: Path, **tables: list) -> Store:
    return Store.create(folder, KEY, tables or {"rows": ROWS, "one": [{"a": 1}]})


def opened(folder: Path) -> Store:
    return Store.open(folder, lambda: KEY)


def content(folder: Path) -> dict[str, list]:
    store = opened(folder)
    try:
        store.verify()
        return {name: store.table(name) for name in store.names}
    finally:
        store.close()


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A store with three commits, closed."""
    store = made(tmp_path / "s")
    store.commit({"one": [{"a": 2}]})
    store.commit({"one": [{"a": 3}], "rows": ROWS[:-1]})
    store.close()
    return tmp_path / "s"


def test_store_gives_back_what_was_committed(closed: Path) -> None:
    assert content(closed) == {"rows": ROWS[:-1], "one": [{"a": 3}]}


def test_commit_seals_only_the_segments_that_differ(tmp_path: Path) -> None:
    store = made(tmp_path)
    before = dict(store._db.execute("SELECT seg, sealed FROM segments WHERE tab = 'rows'"))
    changed = [*ROWS[:SEGMENT], {"n": -1}, *ROWS[SEGMENT + 1 :]]
    store.commit({"rows": changed})
    after = dict(store._db.execute("SELECT seg, sealed FROM segments WHERE tab = 'rows'"))
    assert [seg for seg in before if before[seg] != after[seg]] == [1]


@settings(max_examples=20)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["a", "b"]), st.lists(st.integers(0, 9), max_size=2 * SEGMENT + 3)
        ),
        max_size=5,
    )
)
def test_store_is_the_last_content_of_every_table(tmp_path_factory, commits) -> None:
    folder = tmp_path_factory.mktemp("s")
    store, expected = made(folder, a=[], b=[]), {"a": [], "b": []}
    for commit in commits:
        tables = {name: [{"v": v} for v in values] for name, values in commit.items()}
        store.commit(tables)
        expected |= tables
    store.close()
    assert content(folder) == {name: rows for name, rows in expected.items() if rows}


def test_every_flipped_bit_is_a_typed_error_or_changes_nothing(closed: Path) -> None:
    """One bit of every 64 bytes of every file, so every page and every segment many times."""
    expected, rng = content(closed), np.random.default_rng(0)
    db = sqlite3.connect(closed / DATABASE)
    (sealed,) = db.execute("SELECT sum(length(sealed)) FROM segments").fetchone()
    db.close()
    noticed = total = 0
    for name in (DATABASE, "head"):
        good = (closed / name).read_bytes()
        for start in range(0, len(good), 64):
            place = start + int(rng.integers(min(64, len(good) - start)))
            bad = bytearray(good)
            bad[place] ^= 1 << int(rng.integers(8))
            (closed / name).write_bytes(bad)
            total += 1
            try:
                assert content(closed) == expected
            except PrivetError:
                noticed += 1
            restore_file(closed, name, good)
    assert total > 500
    assert noticed >= sealed // 64 - 20  # the rest lies in unused parts of pages


def restore_file(folder: Path, name: str, good: bytes) -> None:
    for left in ("-wal", "-shm", "-journal"):
        (folder / f"{DATABASE}{left}").unlink(missing_ok=True)
    (folder / name).write_bytes(good)


def test_every_sealed_byte_is_noticed(closed: Path) -> None:
    """A bit in any 16 bytes of any sealed segment, written through SQLite itself."""

    def put(rowid: int, sealed: bytes) -> None:
        db = sqlite3.connect(closed / DATABASE)
        db.execute("UPDATE segments SET sealed = ? WHERE rowid = ?", (sealed, rowid))
        db.commit()
        db.close()

    db = sqlite3.connect(closed / DATABASE)
    rows = db.execute("SELECT rowid, sealed FROM segments").fetchall()
    db.close()
    flips = 0
    for rowid, sealed in rows:
        for place in range(0, len(sealed), max(16, len(sealed) // 40)):
            bad = bytearray(sealed)
            bad[place] ^= 1
            put(rowid, bytes(bad))
            with pytest.raises(VerificationError):
                content(closed)
            flips += 1
        put(rowid, sealed)
    assert flips > 80
    assert content(closed)


@pytest.mark.parametrize("name", [DATABASE, "head"])
def test_truncated_file_is_a_typed_error(closed: Path, name: str) -> None:
    good = (closed / name).read_bytes()
    cuts = {0, 1, len(good) - 1, *range(0, len(good), 4096), *range(100, len(good), 5000)}
    for cut in sorted(cuts - {len(good)}):
        (closed / name).write_bytes(good[:cut])
        with pytest.raises(VerificationError):
            content(closed)
        restore_file(closed, name, good)


@pytest.mark.parametrize("name", [DATABASE, "head"])
def test_missing_file_is_a_typed_error(closed: Path, name: str) -> None:
    (closed / name).unlink()
    with pytest.raises(VerificationError):
        opened(closed)


def test_torn_write_ahead_log_is_noticed(tmp_path: Path) -> None:
    """As a kill leaves it: commits in the log alone; each cut of it loses an acknowledged one."""
    store = made(tmp_path / "s")
    for n in range(3):
        store.commit({"one": [{"a": n}]})
    log = (tmp_path / "s" / f"{DATABASE}-wal").read_bytes()
    assert log
    for cut in range(0, len(log), len(log) // 25):
        copy = tmp_path / f"c{cut}"
        shutil.copytree(tmp_path / "s", copy)
        (copy / f"{DATABASE}-wal").write_bytes(log[:cut])
        with pytest.raises(VerificationError):
            content(copy)
    shutil.copytree(tmp_path / "s", tmp_path / "whole")
    assert content(tmp_path / "whole")["one"] == [{"a": 2}]
    store.close()


def test_older_database_put_back_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    made(folder).close()
    for _ in range(3):
        old = (folder / DATABASE).read_bytes()
        store = opened(folder)
        store.commit({"one": [{"a": store.generation}]})
        store.close()
        new = (folder / DATABASE).read_bytes()
        (folder / DATABASE).write_bytes(old)
        with pytest.raises(VerificationError, match="older copy"):
            opened(folder)
        (folder / DATABASE).write_bytes(new)
        assert content(folder)


def test_newer_database_under_an_older_head_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    made(folder).close()
    old = (folder / "head").read_bytes()
    store = opened(folder)
    store.commit({"one": [{"a": 2}]})
    store.commit({"one": [{"a": 3}]})
    store.close()
    (folder / "head").write_bytes(old)
    with pytest.raises(VerificationError):
        opened(folder)


def test_whole_folder_put_back_is_not_noticed_as_the_docs_say(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    made(folder).close()
    shutil.copytree(folder, tmp_path / "old")
    store = opened(folder)
    store.commit({"one": [{"a": 2}]})
    store.close()
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "old", folder)
    assert content(folder)["one"] == [{"a": 1}]


def test_older_segment_put_back_is_refused(tmp_path: Path) -> None:
    store = made(tmp_path)
    (old,) = store._db.execute("SELECT sealed FROM segments WHERE tab = 'one'").fetchone()
    store.commit({"one": [{"a": 2}]})
    store._db.execute("UPDATE segments SET sealed = ? WHERE tab = 'one'", (old,))
    store.close()
    with pytest.raises(VerificationError):
        content(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM segments WHERE tab = 'one'",
        "UPDATE segments SET tab = 'two' WHERE tab = 'one'",
        "UPDATE segments SET seg = 9 WHERE tab = 'rows' AND seg = 1",
        "INSERT INTO segments VALUES ('more', 0, x'00')",
        "DELETE FROM root",
        "DROP TABLE segments",
        "UPDATE segments SET sealed = 'text'",
        "UPDATE root SET sealed = 7",
        "PRAGMA user_version = 0",
    ],
)
def test_rows_changed_from_outside_are_refused(closed: Path, change: str) -> None:
    db = sqlite3.connect(closed / DATABASE)
    db.execute(change)
    db.commit()
    db.close()
    with pytest.raises(VerificationError):
        content(closed)


def test_two_segments_cannot_change_places(tmp_path: Path) -> None:
    store = made(tmp_path)
    parts = dict(store._db.execute("SELECT seg, sealed FROM segments WHERE tab = 'rows'"))
    for here, there in ((0, 1), (1, 0)):
        store._db.execute(
            "UPDATE segments SET sealed = ? WHERE tab = 'rows' AND seg = ?", (parts[there], here)
        )
    store.close()
    with pytest.raises(VerificationError):
        content(tmp_path)


def test_wrong_key_is_a_typed_error(closed: Path) -> None:
    with pytest.raises(VerificationError):
        Store.open(closed, lambda: bytes(32))


def test_folder_without_a_store_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        opened(tmp_path)


def test_create_refuses_a_second_store(closed: Path) -> None:
    with pytest.raises(DataError):
        made(closed)
    assert content(closed)


def test_second_process_is_refused(tmp_path: Path) -> None:
    store = made(tmp_path)
    code = (
        "import sys; from pathlib import Path; from client.store import Store\n"
        "from shared.errors import StoreLocked\n"
        "try: Store.open(Path(sys.argv[1]), lambda: bytes(range(32)))\n"
        "except StoreLocked as wrong: sys.exit(wrong.exit_code)"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.run(words, check=False).returncode == 16
    with pytest.raises(StoreLocked):
        opened(tmp_path)
    store.close()
    assert subprocess.run(words, check=False).returncode == 0


def test_newer_schema_is_refused(closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = sqlite3.connect(closed / DATABASE)
    db.execute(f"PRAGMA user_version = {module.SCHEMA + 1}")
    db.close()
    with pytest.raises(DataError, match="or older, got"):
        opened(closed)


def test_older_schema_is_carried_over_whole(closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def doubled(tables: dict) -> dict:
        return {"rows": [{**row, "n": 2 * row["n"]} for row in tables["rows"]], "new": [{"b": 1}]}

    monkeypatch.setattr(module, "SCHEMA", module.SCHEMA + 1)
    monkeypatch.setattr(module, "MIGRATIONS", {module.SCHEMA - 1: doubled})
    rows = [{**row, "n": 2 * row["n"]} for row in ROWS[:-1]]
    for _ in range(2):  # the second time there is nothing left to do
        assert content(closed) == {"rows": rows, "new": [{"b": 1}]}


def test_failed_migration_leaves_the_store_as_it_was(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(tables: dict) -> dict:
        raise DataError("no.")

    with monkeypatch.context() as patch:
        patch.setattr(module, "SCHEMA", module.SCHEMA + 1)
        patch.setattr(module, "MIGRATIONS", {module.SCHEMA - 1: fails})
        with pytest.raises(DataError):
            opened(closed)
    assert content(closed)["one"] == [{"a": 3}]


def test_full_database_loses_nothing(tmp_path: Path) -> None:
    store = made(tmp_path)
    pages = store._one("PRAGMA page_count")
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    big = [{"n": n, "text": "x" * 200} for n in range(2000)]
    for _ in range(3):
        with pytest.raises(EnvironmentFault):
            store.commit({"big": big})
        assert store.table("rows") == ROWS
    store._db.execute("PRAGMA max_page_count = 100000")
    store.commit({"big": big})
    store.close()
    assert content(tmp_path) == {"rows": ROWS, "one": [{"a": 1}], "big": big}


def test_full_disk_loses_nothing(tmp_path: Path) -> None:
    """Every limit of a file's size from a few bytes up, as a disk that is full at that point."""
    folder = tmp_path / "s"
    made(folder).close()
    failed = 0
    for limit in [0, 50, 200, 1000, 5000, 20_000, 50_000, 80_000, 120_000, 10**7]:
        pid = os.fork()
        if pid == 0:
            code = 9
            try:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
                store = opened(folder)
                store.commit({"one": [{"a": limit}], "rows": ROWS[::-1]})
                code = 0
            except EnvironmentFault:
                code = 1
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in (0, 1)
        failed += code
        found = content(folder)
        if code == 0:
            assert found == {"one": [{"a": limit}], "rows": ROWS[::-1]}
        assert sorted(row["n"] for row in found["rows"]) == list(range(len(ROWS)))
    assert failed >= 3


def test_old_seals_are_overwritten_when_scrubbed(tmp_path: Path) -> None:
    store = made(tmp_path)
    (old,) = store._db.execute("SELECT sealed FROM segments WHERE tab = 'one'").fetchone()
    inner = old[100:164]
    assert any(inner in path.read_bytes() for path in tmp_path.iterdir())
    store.commit({"one": []}, scrub=True)
    assert not any(inner in path.read_bytes() for path in tmp_path.iterdir())
    store.close()


def test_files_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    store = made(tmp_path / "s")
    store.commit({"one": []})
    assert (tmp_path / "s").stat().st_mode & 0o077 == 0
    assert [p.name for p in (tmp_path / "s").iterdir() if p.stat().st_mode & 0o077] == []
    store.close()


def test_closed_store_refuses(tmp_path: Path) -> None:
    store = made(tmp_path)
    store.close()
    with pytest.raises(StoreLocked):
        store.commit({"one": []})


class Interrupted:
    """A connection that is interrupted right after, or right before, it commits."""

    def __init__(self, db: sqlite3.Connection, *, after: bool) -> None:
        self._db, self._after = db, after

    def execute(self, statement: str, *words: object) -> sqlite3.Cursor:
        if statement != "COMMIT":
            return self._db.execute(statement, *words)
        if self._after:
            self._db.execute(statement)
        raise KeyboardInterrupt

    def close(self) -> None:
        self._db.close()


@pytest.mark.parametrize("after", [False, True])
def test_interrupted_commit_is_whole_and_the_store_goes_on(tmp_path: Path, after: bool) -> None:
    store = made(tmp_path)
    db = store._db
    store._db = Interrupted(db, after=after)
    with pytest.raises(KeyboardInterrupt):
        store.commit({"rows": ROWS[:3]})
    store._db = db
    assert len(store.table("rows")) == (3 if after else len(ROWS))
    store.commit({"one": [{"a": 2}]})
    store.close()
    assert content(tmp_path)["one"] == [{"a": 2}]
