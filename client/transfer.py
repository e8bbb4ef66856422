# SPDX-License-Identifier: Apache-2.0
"""Moving a device, never cloning it, and ending it.

An export is one file: public files and the content of all tables, sealed with a passphrase. The
source is marked `moving` before the file is written and `moved` after; from the first mark on it
answers no question, so that one budget is never spent in two places. Whoever keeps the file and its
passphrase could restore it twice; no file can prevent that, and the exporter is told so.
"""

import io
import json
import os
import shutil
import struct
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from client.books import Books
from client.custody import (
    CUSTODY,
    KEY_FILE,
    LANES,
    MEMORY_KIB,
    PASSES,
    destroy_key,
    make_key,
    passphrase_key,
)
from client.guard import LOCK, sync_folder, take_lock
from client.head import HEAD
from client.sealing import open_sealed, seal
from client.settings import Settings
from client.store import DATABASE, SCHEMA, Store, Tables
from shared.atomic import replace_file
from shared.errors import DataError, EnvironmentFault, UsageError, VerificationError

MAGIC = b"privet-export/1\n"
CATALOGUE, MODEL, COMMENTS = "catalogue.safetensors", "model.safetensors", "comments.csv"
PUBLIC = (CATALOGUE, MODEL, COMMENTS)
TABLES = "tables.json"
JOINED = ("files", "flower")
"""Folders of a device that takes part: public files of its federation, and Flower's."""
MIN_PASSPHRASE = 8
_HEADER = struct.Struct(">16sII")


def export(books: Books, file: Path, passphrase: str) -> None:
    """Write the export and mark this device as moved.

    Raises:
        UsageError: the passphrase is shorter than 8 characters, or the file is there already.
        EnvironmentFault: the file cannot be written; the device stays as it was.
    """
    if len(passphrase) < MIN_PASSPHRASE:
        raise UsageError(
            f"the passphrase of an export must have at least {MIN_PASSPHRASE} characters.",
            hint="choose a longer one; whoever has it can read the file.",
        )
    if file.exists():
        raise UsageError(f"{file} must be a new file.", hint="name another one.")
    before = books.settings
    books.commit(settings=replace(before, moved="moving"))
    try:
        replace_file(file, _sealed(books, replace(before, moved="no"), passphrase))
        sync_folder(file.absolute().parent)
    except BaseException:
        with suppress(OSError):
            file.unlink(missing_ok=True)
        books.commit(settings=before)
        raise
    books.commit(settings=replace(before, moved="moved"))


def unpacked(file: Path, passphrase: str) -> tuple[Tables, dict[str, bytes]]:
    """Open an export; return the tables and the public files.

    Raises:
        DataError: it is no export, or one of a newer Privet.
        VerificationError: the passphrase is wrong, or a bit differs.
    """
    try:
        data = file.read_bytes()
    except OSError as wrong:
        raise DataError(
            f"{file} must be a readable file, got: {wrong.strerror}.", hint="check its name."
        ) from None
    if not data.startswith(MAGIC) or len(data) < len(MAGIC) + _HEADER.size:
        raise DataError(f"{file} must be an export of a device.", hint="name the exported file.")
    header = data[len(MAGIC) : len(MAGIC) + _HEADER.size]
    salt, passes, memory = _HEADER.unpack(header)
    if passes != PASSES or memory != MEMORY_KIB:
        raise DataError(f"{file} must be an export that this Privet can read.", hint="update it.")
    key = passphrase_key(passphrase, salt, _cost())
    try:
        plain = open_sealed(key, data[len(MAGIC) + _HEADER.size :], "export", header.hex())
    except VerificationError:
        raise VerificationError(
            f"{file} must open with this passphrase, it does not: another passphrase, or a "
            "damaged file.",
            hint="type it again, or copy the file again.",
        ) from None
    with zipfile.ZipFile(io.BytesIO(plain)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    told = json.loads(content.pop(TABLES))
    if told["schema"] != SCHEMA:
        raise DataError(
            f"an export must have schema {SCHEMA}, got {told['schema']}.",
            hint="restore it with the Privet that wrote it, update that, and export again.",
        )
    return told["tables"], {name: content[name] for name in PUBLIC if name in content}


def settle(
    folder: Path, tables: Tables, files: dict[str, bytes], level: str, word: str | None
) -> Store:
    """Make a store with this content, under a key of its own; public files go beside it.

    Raises:
        DataError: the folder holds a device already, or is not empty.
        EnvironmentFault: the folder cannot be written.
    """
    empty_folder(folder)
    for name, data in files.items():
        replace_file(folder / name, data)
    key, _ = make_key(folder, level, word)
    return Store.create(folder, key, tables)


def empty_folder(folder: Path) -> None:
    """Make a folder for a device, mode 0700.

    Raises:
        DataError: something lies in it.
        EnvironmentFault: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise DataError(
                f"{folder} must be a new or empty folder, got one with files in it.",
                hint="use the device in it, erase it, or name another folder.",
            )
        folder.chmod(0o700)
    except OSError as wrong:
        raise EnvironmentFault(
            f"{folder} must be a folder that you may write to, got: {wrong.strerror}.",
            hint="check its rights, or name another folder.",
        ) from None


def erase(folder: Path, *, locked: bool = False) -> None:
    """Destroy the key first, then every file of the device; works on a damaged one too.

    Args:
        folder: The device's folder.
        locked: Whether the caller holds its lock.

    Raises:
        DataError: the folder holds no device.
        StoreLocked: another process holds it.
        EnvironmentFault: a file cannot be removed.
    """
    if not any((folder / name).exists() for name in (CUSTODY, DATABASE, HEAD)):
        raise DataError(f"{folder} must hold a device, got none.", hint="check its name.")
    lock = -1 if locked else take_lock(folder)
    try:
        destroy_key(folder)
        names = [DATABASE + end for end in ("", "-wal", "-shm", "-journal")]
        own = (CUSTODY, *PUBLIC, f"{MODEL}.next")
        for name in (
            *names,
            HEAD,
            f"{HEAD}.next",
            KEY_FILE,
            *own,
            *(file.name for file in folder.glob("vectors-*.safetensors")),
            *(file.name for part in own for file in folder.glob(f".{part}.*")),  # a kill left them
            LOCK,
        ):
            (folder / name).unlink(missing_ok=True)
        for name in JOINED:
            if (folder / name).is_dir():
                shutil.rmtree(folder / name)
        sync_folder(folder)
        with suppress(OSError):  # other files in it are the owner's
            folder.rmdir()
    except OSError as wrong:
        raise EnvironmentFault(
            f"{folder} must be writable to be erased, got: {wrong.strerror}.",
            hint="the key is destroyed, what is left cannot be read; remove it by hand.",
        ) from None
    finally:
        if lock >= 0:
            os.close(lock)


def _sealed(books: Books, settings: Settings, passphrase: str) -> bytes:
    """Return the bytes of an export."""
    names = books.store.names
    tables: Tables = {name: books.store.table(name) for name in names}
    tables["settings"] = [settings.record()]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(TABLES, json.dumps({"schema": SCHEMA, "tables": tables}))
        for name in PUBLIC:
            if (books.store.folder / name).exists():
                archive.writestr(name, (books.store.folder / name).read_bytes())
    header = _HEADER.pack(os.urandom(16), PASSES, MEMORY_KIB)
    key = passphrase_key(passphrase, header[:16], _cost())
    return MAGIC + header + seal(key, buffer.getvalue(), "export", header.hex())


def _cost() -> dict[str, int]:
    return {"passes": PASSES, "lanes": LANES, "memory_kib": MEMORY_KIB}
