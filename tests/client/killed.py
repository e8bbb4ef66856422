# SPDX-License-Identifier: Apache-2.0
"""One round of a device in a process that is killed: at a chosen line, or at a chosen moment.

It writes what it was promised to a pipe, unbuffered, one line each, the moment a call returned:
`rated ROW STARS`, `handed SESSION SHA256`, `sent SESSION`. Mode `line` kills at the point-th line
of Privet's own code that runs, `time` after so many microseconds, `count` not at all and says how
many lines there were. What a kill leaves is for the parent to judge.
"""

import contextlib
import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from client.device import Device
from shared.privacy.door import Contribution
from tests.client.made_store import question, view

ROOMS = tuple(str(Path(__file__).parents[2] / room) for room in ("client", "shared"))


def promise(line: str) -> None:
    """Say that something was acknowledged."""
    os.write(1, line.encode() + b"\n")


def live(home: Path) -> None:
    """Open the device; rate, answer twice, upload, rate, forget, answer again, give up."""
    with Device.open(home) as device:
        items = len(device.catalogue)
        promise("opened")
        device.rate(1, 5, "a comment that stays", now=600)
        promise("rated 1 5.0")
        for _ in range(2):
            given = device.answer(question(items, 2), view(items), "two", now=2000)
            if isinstance(given, Contribution):
                promise(f"handed two {hashlib.sha256(given.residues.tobytes()).hexdigest()}")
        device.sent("two", 999, now=2001)
        promise("sent two")
        device.rate(2, 1, now=700)
        promise("rated 2 1.0")
        device.forget(3)
        promise("forgot 3")
        given = device.answer(question(items, 3), view(items), "three", now=2002)
        if isinstance(given, Contribution):
            promise(f"handed three {hashlib.sha256(given.residues.tobytes()).hexdigest()}")
        device.abort("three", now=2003)
        promise("aborted three")


class LineCounter:
    """Counts lines of Privet's own code and kills the process at one of them."""

    def __init__(self, point: int | None) -> None:
        self.point, self.count = point, 0

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(ROOMS):
            return None
        if event == "line":
            self.count += 1
            if self.count == self.point:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def run(home: Path, mode: str, point: int, live: Callable[[Path], None] = live) -> None:
    """Live until killed."""
    if mode == "time":

        def reaper() -> None:
            time.sleep(point / 1e6)
            os.kill(os.getpid(), signal.SIGKILL)

        threading.Thread(target=reaper, daemon=True).start()
        live(home)
        return
    counter = LineCounter(point if mode == "line" else None)
    sys.settrace(counter)
    try:
        live(home)
    finally:
        sys.settrace(None)
    if mode == "count":
        promise(f"lines {counter.count}")


def forked(
    home: Path, mode: str, point: int, live: Callable[[Path], None] = live
) -> tuple[list[str], int]:
    """Run in a forked process; return its promises and its exit status."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.close(read)
            os.dup2(write, 1)
            run(home, mode, point, live)
            os._exit(0)
        os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode().splitlines()
    return said, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
