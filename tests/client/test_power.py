# SPDX-License-Identifier: Apache-2.0
"""The power goes at any system call of a round: the same promises as after a kill."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.client.powerless import Disk, replay
from tests.client.test_kill import judge

CALLS = "write,pwrite64,fsync,fdatasync,rename,unlink,ftruncate,openat"
LIVE = """
import sys; from pathlib import Path; from tests.client.killed import live; live(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_lost_power_loses_no_promise(start: Path, tmp_path: Path) -> None:
    """Three states at each call, half of the unsynced sectors there and half not."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    home = tmp_path / "home"
    shutil.copytree(start, home)
    disk, rng = Disk(home), np.random.default_rng(0)
    trace = tmp_path / "trace"
    subprocess.run(
        ["strace", "-f", "-y", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-o", str(trace),
         sys.executable, "-c", LIVE, str(home)],
        check=True, capture_output=True,
    )  # fmt: skip
    said: list[str] = []
    states = 0
    for promise in replay(trace, home, disk):
        if promise:
            said.append(promise)
        for _ in range(3):
            after = tmp_path / "after"
            after.mkdir()
            disk.lost(rng, after)
            judge(after, said)
            shutil.rmtree(after)
            states += 1
    assert said[-1] == "aborted three"
    assert states > 500
