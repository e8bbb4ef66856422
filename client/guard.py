# SPDX-License-Identifier: Apache-2.0
"""One process at a time in a device's folder, and typed errors for what disks and SQLite do."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import EnvironmentFault, StoreLocked, VerificationError

LOCK = "lock"
RESTORE = "the device was damaged or changed from outside; import an export, or erase it."


def take_lock(folder: Path) -> int:
    """Take the lock of a device's folder; return its handle, to be closed.

    Raises:
        StoreLocked: another process holds it.
        EnvironmentFault: the folder cannot be made or written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as wrong:
        raise EnvironmentFault(
            f"{folder} must be a folder that you may write to, got: {wrong.strerror}.",
            hint="check its rights, or name another folder.",
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise StoreLocked(
            f"{folder} must be in use by one process, another holds it.",
            hint="stop the other command or close its page, then try again.",
        ) from None
    return lock


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def faults(path: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system raise into typed errors."""
    try:
        yield
    except sqlite3.Error as wrong:
        name = getattr(wrong, "sqlite_errorname", "") or ""
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise StoreLocked(
                f"{path} must be in use by one process, another holds it.",
                hint="stop the other program.",
            ) from None
        if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")):
            raise EnvironmentFault(
                f"{path} must be writable, got: {name}.",
                hint="free some disk space and check the rights; nothing was lost.",
            ) from None
        raise VerificationError(
            f"{path} must be an intact store, got: {name or type(wrong).__name__}.", hint=RESTORE
        ) from None
    except OSError as wrong:
        raise EnvironmentFault(
            f"{path.parent} must be writable, got: {wrong.strerror}.",
            hint="free some disk space and check the rights; nothing was lost.",
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as wrong:
        raise VerificationError(
            f"{path} must be an intact store, got: {type(wrong).__name__}.", hint=RESTORE
        ) from None
