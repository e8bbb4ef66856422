# SPDX-License-Identifier: Apache-2.0
"""Devices wait at the door, and hear what is for them at once."""

import asyncio
import os
from pathlib import Path

import pytest

from server.bell import CALLERS_MAX, Bell, ring


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bell"


def waited(path: Path, *, hold_s: float, before: int = 0, rings: bool = False) -> bool:
    """Let one caller ask ``before`` times and once more; say whether the last asking waited."""

    async def act() -> bool:
        bell = Bell(path, hold_s)
        async with bell.listening():
            for _ in range(before):
                await bell.wait("device")
            task = asyncio.create_task(bell.wait("device"))
            await asyncio.sleep(0.01)
            had_to_wait = not task.done()
            if rings:
                rung(path)
                async with asyncio.timeout(5):
                    await task
            task.cancel()
            return had_to_wait

    return asyncio.run(act())


def rung(path: Path) -> None:
    """Ring, with a time that surely differs."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    ring(path)
    if path.stat().st_mtime_ns == before:
        os.utime(path, ns=(before + 1, before + 1))


def test_the_first_asking_is_passed_on_at_once(path: Path) -> None:
    assert not waited(path, hold_s=60)


def test_the_next_asking_waits_for_the_bell(path: Path) -> None:
    assert waited(path, hold_s=60, before=1, rings=True)


def test_an_asking_waits_only_so_long(path: Path) -> None:
    waited(path, hold_s=0.02, before=3)


def test_a_caller_that_missed_the_bell_is_passed_on_at_once(path: Path) -> None:
    async def act() -> bool:
        bell = Bell(path, 60)
        async with bell.listening():
            await bell.wait("device")
            rung(path)
            while bell._last == 0:
                await asyncio.sleep(0.01)
            async with asyncio.timeout(5):
                await bell.wait("device")
            return True

    assert asyncio.run(act())


def test_strangers_cannot_fill_the_memory(path: Path) -> None:
    async def act() -> int:
        bell = Bell(path, 0.0)
        for number in range(CALLERS_MAX + 10):
            await bell.wait(str(number))
        return len(bell._passed)

    assert asyncio.run(act()) <= CALLERS_MAX
