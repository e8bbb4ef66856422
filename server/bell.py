# SPDX-License-Identifier: Apache-2.0
"""A bell between the ServerApp and the guard: devices wait at the door instead of knocking.

A device asks for messages again and again, and each asking costs the SuperLink about 9 ms. The
guard therefore lets an asking wait until the ServerApp has sent something to anybody, or a few
seconds are over, and only then passes it on. The bell is a file that the one touches and the other
looks at: it carries no content, and if it never rings the devices still ask every few seconds.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

LOOK_S = 0.1
CALLERS_MAX = 4096


def ring(path: Path) -> None:
    """Say that there is something for somebody."""
    path.touch()


class Bell:
    """What the guard hears.

    Args:
        path: The file.
        hold_s: How long an asking waits at most.
    """

    def __init__(self, path: Path, hold_s: float) -> None:
        self._path, self._hold_s = path, hold_s
        self._rings = asyncio.Condition()
        self._last = self._time()
        self._passed: dict[str, int] = {}
        """Caller to the ring that it was last passed on for."""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen while the guard runs."""
        task = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            task.cancel()

    async def wait(self, caller: str) -> None:
        """Return once something was sent since this caller was last passed on, or after a while."""
        if self._passed.get(caller, -1) == self._last:
            try:
                async with asyncio.timeout(self._hold_s), self._rings:
                    await self._rings.wait()
            except TimeoutError:
                pass
        if len(self._passed) >= CALLERS_MAX:
            self._passed.clear()
        self._passed[caller] = self._last

    async def _listen(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            now = self._time()
            if now != self._last:
                self._last = now
                async with self._rings:
                    self._rings.notify_all()

    def _time(self) -> int:
        """When the bell last rang, 0 before the first time."""
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return 0
