# SPDX-License-Identifier: Apache-2.0
"""A whole run over real Flower in which processes are killed, and what it leaves to be judged."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from client import door
from client.device import Device
from client.receipts import Receipt
from server import enrolment
from server.folder import OperatorFolder
from server.rounds import RoundShelf
from server.start import serverapp
from shared.errors import StoreLocked
from shared.flower import quiet_flower
from shared.ledger.replay import Replay, replay
from simulation.dataset import Dataset
from simulation.deployed import Lone, Server, Street, Times, found, neighbours, settle

TARGETS = ("superlink", "superexec", "serverapp", "supervisor", "device")
PATIENCE_S = 900.0


@dataclass
class Traffic:
    """Everything that crosses between this process's devices and the server, outside of TLS."""

    said: bytearray = field(default_factory=bytearray)

    @contextmanager
    def recorded(self) -> Iterator["Traffic"]:
        """Listen below every HTTP client of this process."""
        honest = httpx.HTTPTransport.handle_request

        def handle(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            self.said += f"{request.method} {request.url}".encode() + b"\n"
            self.said += repr(request.headers.raw).encode() + b"\n" + request.read() + b"\n"
            response = honest(transport, request)
            self.said += repr(response.headers.raw).encode() + b"\n" + response.read() + b"\n"
            return response

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(httpx.HTTPTransport, "handle_request", handle)
            yield self


@dataclass
class Life:
    """A run that is over, with its deaths."""

    street: Street
    dataset: Dataset
    kills: list[str] = field(default_factory=list)
    rated: dict[int, dict[str, float]] = field(default_factory=dict)
    """Device to what its owner rated while the run went on, item to stars."""
    traffic: Traffic = field(default_factory=Traffic)
    released: list[tuple[Any, Any]] = field(default_factory=list)
    """Vector and noised residues of each answer that this process's devices gave. Private."""
    errors: list[BaseException] = field(default_factory=list)

    @property
    def folder(self) -> OperatorFolder:
        return OperatorFolder(self.street.operator)

    @property
    def devices(self) -> range:
        return range(len(self.dataset.users))

    def replay(self) -> Replay:
        return replay(self.street.operator / "ledger")

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Bodies of the ledger's records of one kind."""
        lines = (self.street.operator / "ledger" / "records.jsonl").read_text().splitlines()
        return [r["body"] for r in map(json.loads, lines) if r.get("kind") == kind]

    def charged(self, index: int) -> list[Receipt]:
        """A device's charges, each by its newest receipt."""
        with Device.open(self.street.device(index)) as device:
            return [r for r in device.receipts() if r.rho and r.status != "refused"]


@contextmanager
def _released(life: Life) -> Iterator[None]:
    """Note what passes the doors of this process."""
    honest = door._keep

    def keep(books: Any, outbox: Any, vector: Any, given: Any) -> Any:
        life.released.append((vector, given.residues.copy()))
        return honest(books, outbox, vector, given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, "_keep", keep)
        yield


def pid_of(operator: Path, target: str, server: Server, lone: Lone) -> int:
    """The process to kill; 0 while it is not there."""
    if target in ("supervisor", "device"):
        process = server.process if target == "supervisor" else lone.process
        return process.pid if process.poll() is None else 0
    named = "superlink" if target == "superlink" else "superexec"
    with suppress(OSError, ValueError):
        pid = int((operator / "flower" / f"{named}.pid").read_text())
        os.kill(pid, 0)
        return serverapp(pid) if target == "serverapp" else pid
    return 0


def until(holds: Callable[[], Any], server: Server, what: str) -> Any:
    """Wait until something holds while the server's command runs."""
    end = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        if server.process.poll() is not None or time.monotonic() > end:
            raise AssertionError(f"{what}, and the server ended with {server.process.poll()}.")
        time.sleep(0.05)
    return found


def live(
    place: Path, users: int, targets: Sequence[str], seed: int, pause_s: float, **choices: object
) -> Life:
    """Run a federation to its release and kill one process after another on the way.

    A kill comes at a random moment up to ``pause_s`` after the one before; every other one waits
    for the run to close a stage first, so that kills meet recovery as well as work.

    Args:
        place: A new folder.
        users: Devices; all but one are threads of this process, the last is a process.
        targets: What is killed, in this order; one of `TARGETS` each.
        seed: Of the moments.
        pause_s: The longest pause.
        choices: The operator's.
    """
    rng = np.random.default_rng(seed)
    quiet_flower(place / "flower")
    dataset, street = found(place, users, 500, Times(), **{"stage_s": 30.0, **choices})
    life = Life(street, dataset)
    invitations = list(enrolment.invite(life.folder, users))
    with Server(street.operator) as server, life.traffic.recorded(), _released(life):
        server.await_health(invitations[0].address, invitations[0].ca)
        settle(street, invitations, dataset, Times())
        with neighbours(street, users - 1) as running:
            lone = Lone(street.device(users - 1))
            for number, target in enumerate(targets):
                if number % 2 == 0:
                    before = stages(street)
                    until(lambda before=before: stages(street) != before, server, "it stands still")
                time.sleep(float(rng.uniform(0.0, pause_s)))
                pid = until(
                    lambda target=target, lone=lone: pid_of(street.operator, target, server, lone),
                    server,
                    f"no {target} to kill",
                )
                os.kill(pid, signal.SIGKILL)
                life.kills.append(target)
                if target == "supervisor":
                    server.process.wait()
                    server.start()
                if target == "device":
                    lone.process.wait()
                    lone = Lone(street.device(users - 1))
                rate_one_more(life, int(rng.integers(users)))
                rate_one_more(life, users - 1)
            assert server.process.wait(PATIENCE_S) == 0, log(street)
            lone.kill()
            life.errors += [wrong for one in running for wrong in one.errors]
    return life


def stages(street: Street) -> set[tuple[str, str]]:
    """What is closed of the rounds so far."""
    return {
        (entry.parent.name, entry.name)
        for entry in (street.operator / "rounds").glob("*/*")
        if not entry.name.startswith(".")
    }


def log(street: Street) -> str:
    return (street.operator / "start.log").read_text()[-3000:]


def rate_one_more(life: Life, index: int) -> None:
    """Let an owner rate one more item while the device takes part."""
    mine = life.rated.setdefault(index, {})
    for _ in range(200):
        with suppress(StoreLocked), Device.open(life.street.device(index)) as device:
            held = {entry.item for entry in device.entries}
            row = next(r for r, i in enumerate(device.catalogue.item_ids) if i not in held)
            entry = device.rate(row, 1 + len(mine) % 5)
            mine[entry.item] = entry.stars
            return
        time.sleep(0.05)
    raise AssertionError("an owner must be able to rate while the device takes part.")


def judge(life: Life) -> str:
    """Hold what is left against every promise; return the figures in words."""
    book, released = life.replay().book, life.records("release")
    # released once, within the cap, and each question's sum used once
    assert len(book.releases) == len(released) == 1
    assert book.rho <= life.folder.draft.floor.rho_cap
    shelf = list(RoundShelf(life.street.operator / "rounds"))
    used = [(r.decided.query, r.decided.server_round) for r in shelf if r.outcome == "released"]
    assert len(used) == len(set(used)) == book.released
    # no round opened twice
    opened = [body["round"] for body in life.records("round_open")]
    assert opened == [folder.number for folder in shelf] == list(range(1, len(shelf) + 1))
    closed = [body["round"] for body in life.records("round_close")]
    assert closed == opened
    # no double charge; the ledger's receipts are the devices', each once
    booked = [
        (body["round"], name) for body in life.records("round_close") for name in body["receipts"]
    ]
    held: dict[str, Receipt] = {}
    for index in life.devices:
        mine = life.charged(index)
        assert len({receipt.round for receipt in mine}) == len(mine)
        held |= {receipt.commitment: receipt for receipt in mine}
        with Device.open(life.street.device(index)) as device:
            device.verify(life.street.operator / "ledger")
    assert len(booked) == len(set(booked))
    assert all(held[name].round == number for number, name in booked)
    missing = held.keys() - {name for _, name in booked}
    assert not [name for name in missing if held[name].status == "sent"]
    # no lost rating
    for index in life.devices:
        rows = life.dataset.interactions
        first = rows.users == index
        ids = [life.dataset.items.ids[item] for item in rows.items[first]]
        expected = dict(zip(ids, rows.ratings[first], strict=True)) | life.rated.get(index, {})
        with Device.open(life.street.device(index)) as device:
            assert {entry.item: entry.stars for entry in device.entries} == expected
    return (
        f"{len(life.kills)} kills, {book.rounds} rounds, {book.discarded} discarded, "
        f"{len(held)} charges, {len(booked)} of them in the ledger"
    )
