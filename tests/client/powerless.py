# SPDX-License-Identifier: Apache-2.0
"""What a disk may hold after the power went, read off a trace of system calls.

The model: a write is on disk once its file was synced after it; before that each 512-byte sector of
it may be there or not. A new name, a rename or a removal is on disk once its folder was synced; of
those since, any number of the first may be there, in order, as journalling file systems keep them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SECTOR = 512
_CALL = re.compile(r"^\d+\s+(\w+)\((.*)\)\s+= (\d+)")
_FD = re.compile(r"^\d+<([^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_NUMBER = re.compile(r", (\d+)(?:<[^>]*>)?$")


@dataclass
class File:
    """One file: what is surely on disk, what the system has, and the writes between the two."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    end: int = 0
    """Where an appending write goes."""


class Disk:
    """The files of one folder under a trace."""

    def __init__(self, folder: Path) -> None:
        self.names: dict[str, File] = {}
        for path in folder.iterdir():
            data = bytearray(path.read_bytes())
            self.names[path.name] = File(data, [], 0)
        self.durable_names = dict(self.names)
        self.changes: list[dict[str, File]] = []

    def write(self, name: str, place: int, data: bytes) -> None:
        self.names[name].pending.append((place, data))

    def cut(self, name: str, size: int) -> None:
        self.names[name].pending.append((size, None))

    def sync(self, name: str) -> None:
        file = self.names[name]
        for change in file.pending:
            _apply(file.durable, change)
        file.pending.clear()

    def renamed(self) -> None:
        self.changes.append(dict(self.names))

    def sync_folder(self) -> None:
        self.durable_names = dict(self.names)
        self.changes.clear()

    def lost(self, rng: np.random.Generator, to: Path) -> None:
        """Write one state that a loss of power could leave."""
        steps = [self.durable_names, *self.changes]
        for name, file in steps[int(rng.integers(len(steps)))].items():
            data = bytearray(file.durable)
            for place, written in file.pending:
                if written is None:
                    if rng.random() < 0.5:
                        _apply(data, (place, None))
                    continue
                for start in range(0, len(written), SECTOR):
                    if rng.random() < 0.5:
                        _apply(data, (place + start, written[start : start + SECTOR]))
            path = to / name
            path.write_bytes(data)
            path.chmod(0o600)


def _apply(data: bytearray, change: tuple[int, bytes | None]) -> None:
    place, written = change
    if written is None:
        del data[place:]
        data.extend(bytes(place - len(data)))
        return
    data.extend(bytes(max(0, place + len(written) - len(data))))
    data[place : place + len(written)] = written


def _decoded(text: str) -> bytes:
    """Read a string as strace spells it, all in hexadecimal."""
    return bytes.fromhex(text.replace("\\x", ""))


def replay(trace: Path, folder: Path, disk: Disk) -> Iterator[str]:
    """Apply a trace call by call; yield what was said on the standard output at each, or ""."""
    for line in trace.read_text().splitlines():
        called = _CALL.match(line)
        if not called:
            continue
        call, words = called[1], called[2]
        texts = [_decoded(text) for text in _TEXT.findall(words)]
        opened = _FD.match(words)
        path = Path(_decoded(opened[1]).decode()) if opened else Path()
        name = path.name if path.parent == folder else ""
        if call == "write" and words.startswith("1<"):
            yield texts[0].decode().strip()
            continue
        if call in ("openat", "unlink", "rename"):
            inside = [Path(text.decode()) for text in texts]
            if not all(one.parent == folder for one in inside):
                continue
            if call == "openat" and inside[0].name not in disk.names and "O_CREAT" in words:
                disk.names[inside[0].name] = File()
                disk.renamed()
            elif call == "openat" and "O_TRUNC" in words:
                disk.names[inside[0].name].end = 0
                disk.cut(inside[0].name, 0)
            elif call == "unlink":
                disk.names.pop(inside[0].name, None)
                disk.renamed()
            elif call == "rename":
                disk.names[inside[1].name] = disk.names.pop(inside[0].name)
                disk.renamed()
            else:
                continue
        elif call in ("fsync", "fdatasync") and path == folder:
            disk.sync_folder()
        elif not name or name not in disk.names:
            continue
        elif call in ("fsync", "fdatasync"):
            disk.sync(name)
        elif call == "pwrite64":
            disk.write(name, int(_NUMBER.search(words)[1]), texts[0])
        elif call == "write":
            disk.write(name, disk.names[name].end, texts[0])
            disk.names[name].end += len(texts[0])
        elif call == "ftruncate":
            disk.cut(name, int(_NUMBER.search(words)[1]))
        else:
            continue
        yield ""
