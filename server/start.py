# SPDX-License-Identifier: Apache-2.0
"""The supervisor: everything of the operator's side in one place, and up again whatever dies.

    guard        a thread of this process; the one port that devices reach
    SuperLink    carries messages, on loopback; restarted with its database
    SuperExec    starts the ServerApp; restarted
    run          submitted to Flower; submitted again when it failed, because Flower resumes nothing

State lives in the operator's folder alone, so the supervisor may die as well: its next start ends
what it left behind and goes on.
"""

import fcntl
import json
import logging
import os
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx

from server.control import Control
from server.folder import STOPPED, OperatorFolder
from server.operate import names_of
from server.street import Street
from server.superlink import start_superexec, start_superlink, stop
from shared import errors
from shared.errors import EnvironmentFault, NetworkError, StoreLocked
from shared.logs import fields

log = logging.getLogger("privet.server")

LOOK_S = 2.0
START_TIMEOUT_S = 60.0
STARTS_MAX = 5
"""Starts in a row of a process that ends at once, before the supervisor gives up."""
FAILURES_MAX = 20
"""Runs in a row that may fail, without getting on, before the supervisor gives up and says so."""
MISSING_LOOKS = 3
"""Looks in a row that find a run without its ServerApp before it is submitted again."""
ENDED = "finished:completed"


class Supervisor:
    """Starts and watches the processes of one operator's folder."""

    def __init__(self, folder: OperatorFolder, *, look_s: float = LOOK_S) -> None:
        self._folder, self._look_s = folder, look_s
        self._flower = folder.flower
        self._stop = threading.Event()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = _only_one(folder.path / "supervisor.lock")

    def run(self) -> str:
        """Supervise until the run has released its model, or `stop` is called.

        Returns:
            `released` or `stopped`.

        Raises:
            EnvironmentFault: A port is taken, or the run failed again and again.
        """
        config = self._folder.config
        (self._folder.path / STOPPED).unlink(missing_ok=True)
        street = Street(
            config.listen,
            config.port,
            self._flower,
            self._folder.files,
            hold_s=config.hold_s,
        )
        try:
            for name in ("superlink", "superexec"):
                _end_stale(self._pid(name), str(self._flower.keys))
            self._up()
            street.start()
            address = f"{config.listen}:{config.port}"
            log.info("listening on %s", address, extra=fields(address=address))
            return self._watch()
        finally:
            street.stop()
            for name in ("superexec", "superlink"):
                if name in self._processes:
                    stop(self._processes[name])
                    self._pid(name).unlink(missing_ok=True)
            os.close(self._lock)

    def stop(self) -> None:
        """End all processes in order; `run` returns."""
        self._stop.set()

    def _watch(self) -> str:
        """Keep processes and run alive."""
        run_id, failures, mark = 0, 0, 0
        self._missing = 0
        while not self._stop.is_set():
            self._up()
            with suppress(NetworkError), Control(self._flower.address, self._ca) as control:
                known = control.nodes()
                for key in names_of(self._folder):
                    if key.encode() not in known:
                        control.register(key.encode())
                status = control.run(run_id).status if run_id else "none"
                if self._forsaken(status):
                    control.stop(run_id)
                    status = "finished:stopped"
                if status == ENDED:
                    return "released"
                if (came := self._came()) != mark:  # it gets on: what failed before is made up for
                    mark, failures = came, 0
                if status == "none" or status.startswith("finished"):
                    failures += run_id != 0
                    self._raise_stopped()
                    if failures > FAILURES_MAX:
                        raise EnvironmentFault(
                            f"the run must go on, and failed {failures} times.",
                            hint=f"see {self._flower.path}/flower-superexec.log.",
                        )
                    run_id = control.submit({"folder": str(self._folder.path)})
                    again = " again" * (failures > 0)
                    log.info(
                        "submitted run %d to Flower%s", run_id, again, extra=fields(run=run_id)
                    )
            self._stop.wait(self._look_s * (1 + failures))
        return "stopped"

    def _forsaken(self, status: str) -> bool:
        """Say whether a run has no ServerApp any more; Flower itself takes a minute to notice."""
        there = serverapp(self._processes["superexec"].pid)
        self._missing = 0 if there or status != "running" else self._missing + 1
        return self._missing >= MISSING_LOOKS

    def _came(self) -> int:
        """Return something that changes whenever a device enrols, a stage or a record is closed."""
        parts = ("devices/*", "rounds/*", "ledger/*")
        came = 0
        for entry in (entry for part in parts for entry in self._folder.path.glob(part)):
            with suppress(OSError):  # a file that is being replaced
                came = max(came, entry.stat().st_mtime_ns)
        return came

    def _raise_stopped(self) -> None:
        """Give up where the run said that it cannot go on, in its own words."""
        path = self._folder.path / STOPPED
        if path.exists():
            words = json.loads(path.read_bytes())
            raise getattr(errors, words["kind"])(words["message"], hint=words["hint"])

    def _up(self) -> None:
        """Start what is not running."""
        starts: dict[str, Callable[[], subprocess.Popen[bytes]]] = {
            "superlink": lambda: start_superlink(self._flower),
            "superexec": lambda: start_superexec(self._flower),
        }
        for name, start in starts.items():
            for _ in range(STARTS_MAX):
                if self._runs(name):
                    break
                self._processes[name] = start()
                self._pid(name).write_text(str(self._processes[name].pid))
                if name == "superlink":
                    self._await_link()
            else:
                raise EnvironmentFault(
                    f"the {name} must keep running on port {self._flower.port}, and does not.",
                    hint=f"see {self._flower.path}/flower-{name}.log; is the port free?",
                )

    def _runs(self, name: str) -> bool:
        """Say whether a process is alive; log if it ended."""
        running = self._processes.get(name)
        if running is None or running.poll() is None:
            return running is not None
        ended = fields(process=name, code=running.returncode)
        log.warning("%s ended with code %s; started again", name, running.returncode, extra=ended)
        return False

    def _await_link(self) -> None:
        """Wait until the SuperLink answers, or has died."""
        until = time.monotonic() + START_TIMEOUT_S
        trust = ssl.create_default_context(cafile=str(self._ca))
        with httpx.Client(verify=trust, trust_env=False) as client:
            while time.monotonic() < until and self._processes["superlink"].poll() is None:
                with suppress(httpx.HTTPError):
                    if client.get(f"https://{self._flower.address}/health").status_code == 200:
                        return
                self._stop.wait(0.1)

    @property
    def _ca(self) -> Path:
        return self._flower.keys / "ca.pem"

    def _pid(self, name: str) -> Path:
        return self._flower.path / f"{name}.pid"


def running_supervisor(folder: OperatorFolder) -> int:
    """Return the process id of the supervisor at work, 0 where there is none."""
    path = folder.path / "supervisor.lock"
    if not path.exists():
        return 0
    handle = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return int(path.read_text() or 0)
    finally:
        os.close(handle)
    return 0


def _only_one(path: Path) -> int:
    """Take the folder's lock and write down who holds it.

    Raises:
        StoreLocked: Another supervisor runs.
    """
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise StoreLocked(
            "a federation must have one supervisor, another runs.",
            hint="`privet server status DIR` shows it, `privet server stop DIR` ends it.",
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def _end_stale(path: Path, mark: str) -> None:
    """End a process that a killed supervisor left, if it is still the one that was meant."""
    if not path.exists():
        return
    pid = int(path.read_text() or 0)
    with suppress(OSError, ValueError):
        if mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
            for _ in range(100):
                os.kill(pid, 0)
                time.sleep(0.1)
            os.kill(pid, signal.SIGKILL)
    path.unlink(missing_ok=True)


def children(pid: int) -> list[int]:
    """Return the processes that a process started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError, ValueError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == pid:
                    found.append(int(entry.name))
    return found


def serverapp(superexec: int) -> int:
    """Return the process id of the ServerApp that a SuperExec runs, 0 where there is none."""
    for pid in children(superexec):
        with suppress(OSError):
            if b"flwr-serverapp" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    return 0
