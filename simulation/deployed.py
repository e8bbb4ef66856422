# SPDX-License-Identifier: Apache-2.0
"""`make federation`: a whole deployment on one machine, with everything that may go wrong in it.

Nothing is simulated but the people: an operator's folder, TLS, node keys, Flower's SuperLink and
SuperExec, the guard, and devices with sealed stores that join by invitation and answer through
their doors and real secure sums. One device and then the whole server are killed inside a round.

    python -m simulation.deployed --devices 24 --out FOLDER
"""

import argparse
import csv
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import httpx
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.flower import quiet_flower
from shared.ledger.replay import Replay, replay
from shared.privacy.accountant import epsilon

SHARES = {"item_sums": 0.6, "population_prior": 0.1, "trunk_items": 0.3}
EPSILON = 7.0
WAIT_S = 240.0
PLANTED = "planted-7c1f0a"
"""A word in every comment: it must be found nowhere outside the devices."""


@dataclass
class Times:
    """What took how long, and what was seen on the way."""

    began: float = field(default_factory=time.monotonic)
    rows: list[tuple[str, str]] = field(default_factory=list)

    def say(self, what: str, value: str) -> None:
        """Keep one row of the table, and show it at once."""
        self.rows.append((what, value))
        sys.stderr.write(f"{time.monotonic() - self.began:6.1f} s  {what}: {value}\n")


@dataclass(frozen=True)
class Street:
    """Folders and keys of the demonstration."""

    root: Path
    operator: Path
    officer: Ed25519PrivateKey

    def device(self, index: int) -> Path:
        """Folder of one device."""
        return self.root / "devices" / f"{index:03d}"


def deploy(root: Path, devices: int, *, kill: bool = True, delay_ms: int = 2000) -> Times:
    """Run the whole demonstration below a new folder; return its table.

    Raises:
        RuntimeError: Something that must hold does not.
    """
    quiet_flower(root / "flower")
    times = Times()
    dataset, street = found(root, devices, delay_ms, times)
    from server import enrolment
    from server.folder import OperatorFolder

    folder = OperatorFolder(street.operator)
    invitations = list(enrolment.invite(folder, devices))
    with Server(street.operator) as server:
        server.await_health(invitations[0].address, invitations[0].ca)
        settle(street, invitations, dataset, times)
        with neighbours(street, devices - 1) as running:
            lone = Lone(street.device(devices - 1))
            if kill:
                await_round(street, 2, "2-share", server)
                lone.kill()
                times.say("device killed", "round 2, after it had dealt its shares (SIGKILL)")
                await_round(street, 3, "1-advertise", server)
                server.kill()
                times.say("server killed", "round 3, after its first stage (SIGKILL, all of it)")
                server.start()
            await_end(street, server)
            well = sum(not one.errors for one in running)
            times.say("devices at work", f"{well} of {devices} at the end")
            lone.kill()
    times.say("time", f"{time.monotonic() - times.began:.0f} s")
    look(street, devices, times)
    return times


def found(  # type: ignore[no-untyped-def]
    root: Path, devices: int, delay_ms: int, times: Times, **choices: object
):
    """Make the people, the catalogue, the operator's folder and the signed policy.

    ``choices`` are the operator's, instead of those below.
    """
    from server import setup
    from server.folder import Deployment
    from server.street import free_port
    from shared.catalogue import save_catalogue
    from shared.features import build_catalogue, item_text
    from shared.text.encoder import load_encoder
    from simulation.village import village

    dataset = village(devices, 60, seed=24)
    vectors = np.asarray(load_encoder("characters").encode(item_text(dataset.items)))
    catalogue, basis = build_catalogue(dataset.items, vectors)
    save_catalogue(root / "catalogue.safetensors", catalogue, basis)
    made: dict[str, object] = {
        "operator": "The village",
        "run": "24" * 16,
        "address": f"127.0.0.1:{free_port()}",
        "listen": "127.0.0.1",
        "link_port": free_port(),
        "users": devices,
        "target_epsilon": EPSILON,
        "rounds": 1,
        "budget": SHARES,
        "dropout": 0.1 if devices >= 20 else 0.35,
        "min_separation_s": 0,
        "answer_after_ms": delay_ms,
        "stage_s": max(12.0, 15 * delay_ms / 1000),
        "gather_s": WAIT_S,
    }
    config = Deployment(**{**made, **choices})
    folder = setup.init(root / "operator", config, datetime.now(UTC))
    setup.take_catalogue(folder, root / "catalogue.safetensors")
    officer = Ed25519PrivateKey.generate()
    setup.sign_policy(folder.path / "policy.json", officer)
    times.say("devices", str(devices))
    times.say("items", str(len(catalogue)))
    return dataset, Street(root, folder.path, officer)


class Server:
    """The operator's command in a process of its own."""

    def __init__(self, operator: Path) -> None:
        self.operator = operator

    def start(self) -> None:
        """Run `privet server start`."""
        words = [sys.executable, "-m", "privet", "server", "start", str(self.operator)]
        log = (self.operator / "start.log").open("ab")
        self.process = subprocess.Popen(words, stdout=log, stderr=log)  # noqa: S603
        log.close()

    def await_health(self, address: str, ca: str) -> None:
        """Wait until devices can reach it."""
        trust = ssl.create_default_context(cadata=ca)
        with httpx.Client(verify=trust, trust_env=False) as client:
            for _ in range(int(WAIT_S / 0.2)):
                with suppress(httpx.HTTPError):
                    if client.get(f"https://{address}/health").status_code == 200:
                        return
                time.sleep(0.2)
        raise RuntimeError(f"the server must listen, see {self.operator}/start.log.")

    def kill(self) -> None:
        """Kill supervisor, SuperLink, SuperExec and ServerApp at once."""
        from server.start import children

        flower = self.operator / "flower"
        pids = [int((flower / f"{name}.pid").read_text()) for name in ("superlink", "superexec")]
        for pid in (self.process.pid, *pids, *children(pids[1])):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)


class Lone:
    """One device as a process, to be killed."""

    def __init__(self, folder: Path) -> None:
        words = [sys.executable, "-m", "privet", "client", "run", str(folder)]
        with (folder / "run.log").open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log)  # noqa: S603

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.process.wait()


def settle(street: Street, invitations, dataset, times: Times) -> None:  # type: ignore[no-untyped-def]
    """Let every owner join by invitation and add their ratings."""
    from client.device import Device
    from client.join import join, read_offer
    from shared.enrolment import write_invitation

    began = time.monotonic()
    rows = dataset.interactions
    for index, invitation in enumerate(invitations):
        home = street.device(index)
        file = street.root / f"invitation-{index}.json"
        file.write_bytes(write_invitation(invitation))
        offer = read_offer(file)
        join(home, offer, custody="file", demo=offer.policy.floor.demo)
        mine = rows.users == index
        table = street.root / f"ratings-{index}.csv"
        with table.open("w", newline="") as out:
            words = csv.writer(out)
            words.writerow(("item_id", "rating", "comment"))
            for item, rating in zip(rows.items[mine], rows.ratings[mine], strict=True):
                words.writerow((dataset.items.ids[item], f"{rating:g}", f"{PLANTED} {item}"))
        with Device.open(home) as device:
            device.add(table)
        table.unlink()
    each = (time.monotonic() - began) / len(invitations)
    times.say("joined by invitation", f"{len(invitations)}, {each:.2f} s each")


@dataclass
class Neighbour:
    """One device as a thread."""

    stop: Callable[[], None]
    thread: threading.Thread
    errors: list[BaseException] = field(default_factory=list)


@contextmanager
def neighbours(street: Street, count: int) -> Iterator[list[Neighbour]]:
    """Run devices as threads of this process."""
    from client.fleet import Line
    from client.run import Beat, resident

    beat = Beat(slow_s=2.0, fast_s=0.2, round_s=60.0)
    line = Line(longest_wait_s=3.0, patience_s=WAIT_S)
    running: list[Neighbour] = []
    for index in range(count):
        device = resident(street.device(index), beat=beat, line=line)
        errors: list[BaseException] = []

        def live(
            run: Callable[[], None] = device.run, errors: list[BaseException] = errors
        ) -> None:
            try:
                run()
            except Exception as wrong:
                errors.append(wrong)

        thread = threading.Thread(target=live, name=f"device {index}", daemon=True)
        running.append(Neighbour(device.stop, thread, errors))
        thread.start()
    try:
        yield running
    finally:
        for one in running:
            one.stop()
        for one in running:
            one.thread.join(60)


def await_round(street: Street, number: int, stage: str, server: Server) -> None:
    """Wait until a stage of a round is closed."""
    path = street.operator / "rounds" / f"{number:06d}" / stage
    until = time.monotonic() + WAIT_S
    while not path.exists() and not (path.parent / "sum").exists():
        if time.monotonic() > until or server.process.poll() is not None:
            raise RuntimeError(f"round {number} did not come to {stage}.")
        time.sleep(0.05)


def await_end(street: Street, server: Server) -> None:
    """Wait until the run is over."""
    if server.process.wait(WAIT_S) != 0:
        raise RuntimeError(f"the server must end well, see {street.operator}/start.log.")


def look(street: Street, devices: int, times: Times) -> None:
    """Check everything that was promised, with the auditor's and the owners' own tools."""
    from client.device import Device
    from client.recommending import recommend

    ledger = street.operator / "ledger"
    book = audited(ledger, times)
    charged, unused, open_ = 0, 0, 0
    for index in range(devices):
        with Device.open(street.device(index)) as device:
            verdict = device.verify(ledger)
            status = device.status()
            charged += status.updates
            unused += status.unused
            open_ += verdict.open or 0
            if index == 0:
                cards = recommend(device.model, device.history, 3)
                times.say("model on a device", status.model[:16])
                times.say("recommended there", f"{len(cards)} items")
    times.say("receipts", f"{charged} sent, {unused} charged and unused, {open_} not in the ledger")
    size, seen = searched(street.operator)
    times.say("planted comments on the server", f"{seen} in {size / 1e6:.1f} MB")
    delta = float(Fraction(book.book.run["delta"])) if book.book.run else 1.0
    times.say("ε used, δ", f"{epsilon(book.book.rho, delta):.2f}, {delta:.0e}")


def searched(folder: Path) -> tuple[int, int]:
    """Search every byte of a folder for the planted word; return bytes and finds."""
    size = seen = 0
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            size, seen = size + len(data), seen + data.count(PLANTED.encode())
    return size, seen


def audited(ledger: Path, times: Times) -> Replay:
    """Replay the ledger as an auditor."""
    found = replay(ledger)
    book = found.book
    times.say(
        "rounds",
        f"{book.rounds}: {book.released} released, {book.discarded} discarded, at least "
        f"{book.survivors_min} survivors",
    )
    times.say("released models", str(len(book.releases)))
    return found


def main(argv: list[str] | None = None) -> int:
    """Run the demonstration and print its table."""
    words = argparse.ArgumentParser(prog="python -m simulation.deployed")
    words.add_argument("--devices", type=int, default=24)
    words.add_argument("--out", type=Path, default=Path("runs") / "federation")
    words.add_argument("--delay-ms", type=int, default=2000)
    words.add_argument("--format", choices=("text", "json"), default="text")
    args = words.parse_args(argv)
    shutil.rmtree(args.out, ignore_errors=True)
    args.out.mkdir(parents=True)
    times = deploy(args.out.resolve(), args.devices, delay_ms=args.delay_ms)
    if args.format == "json":
        sys.stdout.write(json.dumps(dict(times.rows), ensure_ascii=False) + "\n")
    else:
        width = max(len(what) for what, _ in times.rows)
        sys.stdout.write("".join(f"{what:<{width}}  {value}\n" for what, value in times.rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
