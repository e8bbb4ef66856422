# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each process at ten random moments: the run goes on, and every promise holds.

Two moments each are in `test_whole_run.py`, which every change runs.
"""

import time
from pathlib import Path

import pytest

from tests.federation.lives import TARGETS, judge, live

KILLS = 10
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("target", TARGETS)
def test_kill_at_random_moments(target: str, tmp_path: Path) -> None:
    began = time.monotonic()
    choices = {"rounds": 3, "reserve": 0.8, "spare_rounds": 8}
    life = live(tmp_path, 5, [target] * KILLS, seed=len(target), pause_s=4.0, **choices)
    assert len(life.kills) == KILLS
    print(f"{target}: {judge(life)}, {time.monotonic() - began:.0f} s")
