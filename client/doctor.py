# SPDX-License-Identifier: Apache-2.0
"""`privet doctor DIR` for a device: custody, store, public files, authority, clock, reach.

It never asks for a passphrase, prints no rating, no count of them and no key, and asks the server
only with `--online`.
"""

import os
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from client.books import Books
from client.custody import KEY_FILE, WARNING, load_key, read_custody
from client.guard import take_lock
from client.shell import PASSPHRASE_FILE, given_passphrase
from client.store import DATABASE, Store
from client.transfer import CATALOGUE, MODEL
from shared.catalogue import load_catalogue
from shared.errors import DataError, StoreLocked
from shared.health import (
    GIB,
    Check,
    check_certificate,
    check_clock,
    check_flower,
    check_free,
    check_private,
    looked,
)
from shared.model.file import load_model

DISK_FLOOR = GIB // 4
"""A device holds a model, a catalogue and what its owner wrote."""
REACH_S = 5.0
CLOSED = "the store could not be looked into"


@dataclass(frozen=True, repr=False)
class _Inside:
    """What the looks need of the open store."""

    catalogue: str
    model: str
    line: dict[str, Any]
    last_s: int
    """When the newest receipt was written, 0 where there is none."""


def is_device(folder: Path) -> bool:
    """Say whether a folder is a device's."""
    return any((folder / name).exists() for name in (DATABASE, "custody.json"))


def examine_device(folder: Path, *, online: bool = False) -> Iterator[Check]:
    """Look at a device's folder, in the order that is shown."""
    inside: list[_Inside] = []

    def store() -> Check:
        found, check = _store(folder)
        inside.extend([found] if found else [])
        return check

    looks: dict[str, Callable[[], Check]] = {
        "custody": lambda: _custody(folder),
        "files": lambda: check_private("files", _files(folder)),
        "store": store,
        "catalogue": lambda: _catalogue(folder, inside),
        "model": lambda: _model(folder, inside),
        "authority": lambda: _authority(inside),
        "flower": check_flower,
        "disk": lambda: check_free(folder, DISK_FLOOR),
        "clock": lambda: check_clock(
            int(time.time()), inside[0].last_s if inside else 0, "the last receipt"
        ),
    }
    if online:
        looks["server"] = lambda: _server(inside)
    return (looked(name, look) for name, look in looks.items())


def _custody(folder: Path) -> Check:
    """Look at who keeps the key."""
    level = read_custody(folder)["level"]
    return Check("custody", True, level, WARNING if level == "file" else "")


def _files(folder: Path) -> list[Path]:
    """Return the folder and what in it is private."""
    return [folder, *(folder / name for name in (DATABASE, "custody.json", KEY_FILE, "head"))]


def _store(folder: Path) -> tuple[_Inside | None, Check]:
    """Open the store where that asks nobody, and note what the other looks need."""
    passphrase = None
    if read_custody(folder)["level"] == "passphrase":
        if not os.environ.get(PASSPHRASE_FILE):
            word = f"set {PASSPHRASE_FILE} to a file with the passphrase to have it looked into."
            return None, Check("store", True, "sealed by a passphrase, not opened", word)
        passphrase = given_passphrase("")
    try:
        os.close(take_lock(folder))
    except StoreLocked as busy:
        return None, Check("store", True, "in use by another process, not opened", busy.hint)
    store = Store.open(folder, lambda: load_key(folder, passphrase))
    try:
        store.verify()
        books = Books(store)
        lines, receipts = store.table("line"), books.chain.receipts
        books.chain.check(books.settings.key.public_key().public_bytes_raw().hex())
        found = _Inside(
            books.settings.catalogue,
            books.settings.model,
            dict(lines[0]) if lines else {},
            receipts[-1].created_at if receipts else 0,
        )
    finally:
        store.close()
    return found, Check("store", True, "opens, whole; receipts are linked and signed")


def _catalogue(folder: Path, inside: list[_Inside]) -> Check:
    """Look whether the catalogue is the one that was pinned."""
    listed, _, version = load_catalogue(folder / CATALOGUE)
    if not inside:
        return Check("catalogue", True, f"{len(listed)} items; {CLOSED}")
    if version != inside[0].catalogue:
        raise DataError("another than the device pinned", hint="join again, or import an export.")
    return Check("catalogue", True, f"{len(listed)} items, version {version[:16]}…")


def _model(folder: Path, inside: list[_Inside]) -> Check:
    """Look whether the model is the one that was pinned."""
    path = folder / MODEL
    if not path.exists():
        ok = not (inside and inside[0].model)
        return Check("model", ok, "none yet" if ok else "missing", "" if ok else "run the device.")
    data = path.read_bytes()
    name = sha256(data).hexdigest()
    if inside and name != inside[0].model:
        raise DataError("another than the device took", hint="the next round brings it again.")
    load_model(data, load_catalogue(folder / CATALOGUE)[0])
    return Check("model", True, f"sha256 {name[:16]}…")


def _authority(inside: list[_Inside]) -> Check:
    """Look at the server's certificate authority, as the invitation gave it."""
    if not inside:
        return Check("authority", True, CLOSED)
    if not inside[0].line:
        return Check("authority", True, "takes part in no federation")
    ask = "ask the operator for a new invitation."
    return check_certificate("authority", inside[0].line["ca"].encode(), datetime.now(UTC), ask)


def _server(inside: list[_Inside]) -> Check:
    """Ask the server's health, under its own authority."""
    import httpx

    if not inside or not inside[0].line:
        return Check("server", True, CLOSED if not inside else "takes part in no federation")
    line = inside[0].line
    try:
        trust = ssl.create_default_context(cadata=line["ca"])
        with httpx.Client(verify=trust, timeout=REACH_S, trust_env=False) as client:
            code = client.get(f"https://{line['address']}/health").status_code
    except (httpx.HTTPError, ssl.SSLError):
        code = 0
    if code == 200:
        return Check("server", True, f"{line['address']} answers")
    return Check("server", False, f"{line['address']} does not answer", "look at this machine's "
                 "network; the device goes on recommending meanwhile.")  # fmt: skip
