# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each process at random moments: the run goes on, and every promise holds."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from client.device import Device
from server import enrolment
from server.folder import OperatorFolder
from server.start import children
from shared.flower import quiet_flower
from shared.ledger.replay import replay
from simulation.deployed import Lone, Server, Times, found, neighbours, settle

DEVICES, KILLS = 5, 10
pytestmark = pytest.mark.slow


def pid_of(operator: Path, target: str, server: Server) -> int:
    """The process to kill; 0 while it is not there."""
    if target == "supervisor":
        return server.process.pid
    with suppress(OSError, ValueError):
        named = "superlink" if target == "superlink" else "superexec"
        pid = int((operator / "flower" / f"{named}.pid").read_text())
        if target != "serverapp":
            return pid
        return next(iter(children(pid)), 0)
    return 0


@pytest.mark.parametrize("target", ["superlink", "superexec", "serverapp", "supervisor", "device"])
def test_kill_at_random_moments(target: str, tmp_path: Path) -> None:
    quiet_flower(tmp_path / "flower")
    rng = np.random.default_rng(len(target))
    dataset, street = found(tmp_path, DEVICES, 1500, Times(), reserve=0.8)
    folder = OperatorFolder(street.operator)
    invitations = list(enrolment.invite(folder, DEVICES))
    kills = 0
    with Server(street.operator) as server:
        server.await_health(invitations[0].address, invitations[0].ca)
        settle(street, invitations, dataset, Times())
        with neighbours(street, DEVICES - 1):
            lone, until = Lone(street.device(DEVICES - 1)), time.monotonic() + 900
            while time.monotonic() < until:
                time.sleep(float(rng.uniform(1.0, 8.0)))
                if server.process.poll() == 0:
                    break
                if kills == KILLS:
                    continue
                kills += 1
                if target == "device":
                    lone.kill()
                    lone = Lone(street.device(DEVICES - 1))
                    continue
                pid = pid_of(street.operator, target, server)
                if pid:
                    os.kill(pid, signal.SIGKILL)
                if target == "supervisor":
                    server.process.wait()
                    server.start()
            lone.kill()
            assert server.process.poll() == 0, (street.operator / "start.log").read_text()[-2000:]
    book = replay(street.operator / "ledger").book
    assert len(book.releases) == 1
    assert book.rho <= folder.draft.floor.rho_cap
    for index in range(DEVICES):
        with Device.open(street.device(index)) as device:
            verdict = device.verify(street.operator / "ledger")
            rounds = [r.round for r in device.receipts() if r.rho and r.status != "refused"]
            assert len(rounds) == len(set(rounds)) <= book.rounds
            assert (verdict.closed or 0) + (verdict.open or 0) == len(rounds)
            assert device.status().ratings == (dataset.interactions.users == index).sum()
    print(f"{target}: {kills} kills, {book.rounds} rounds, {book.discarded} discarded")
