# SPDX-License-Identifier: Apache-2.0
"""Flower's two processes on the operator's machine: SuperLink on loopback, SuperExec beside it.

The SuperLink carries messages and keeps them in a database; the SuperExec starts the ServerApp.
Isolation is `process` with a secret, because under `subprocess` anybody who reaches the port can
take the ServerApp's task and become the server of the run. Devices never reach this port: they
speak with `server.guard`.
"""

import os
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from server.keys import write_secret
from shared.errors import EnvironmentFault
from shared.flower import quiet_flower

LOOPBACK = "127.0.0.1"
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class FlowerFolder:
    """Where Flower's processes keep their things, below the operator's folder."""

    path: Path
    keys: Path
    """Holds `ca.pem`, `tls.pem`, `tls.key`."""
    port: int
    """Of the SuperLink, on loopback."""

    @property
    def address(self) -> str:
        """Host and port of the SuperLink."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def database(self) -> Path:
        """Registered devices and messages under way survive a restart here."""
        return self.path / "superlink.db"

    @property
    def bell(self) -> Path:
        """Rings when something was sent to a device, see `server.bell`."""
        return self.path / "bell"

    def environment(self) -> dict[str, str]:
        """Return the environment of Flower's processes: quiet, at home, with this very Privet."""
        env = quiet_flower(self.path / "home")
        env["PATH"] = os.pathsep.join((str(_programs()), env.get("PATH", "")))
        root = str(Path(__file__).resolve().parent.parent)
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (root, env.get("PYTHONPATH", ""))))
        return env

    def secret(self) -> Path:
        """Return the file with the secret between SuperLink and SuperExec, made once."""
        path = self.keys / "superexec.secret"
        if not path.exists():
            write_secret(path, secrets.token_hex(32).encode())
        return path


def start_superlink(folder: FlowerFolder) -> subprocess.Popen[bytes]:
    """Start the SuperLink; devices registered before are known again."""
    return _start(
        folder,
        "flower-superlink",
        *("--host", LOOPBACK, "--port", str(folder.port)),
        *("--ssl-certfile", str(folder.keys / "tls.pem")),
        *("--ssl-keyfile", str(folder.keys / "tls.key")),
        *("--ssl-ca-certfile", str(folder.keys / "ca.pem")),
        *("--enable-supernode-auth", "--database", str(folder.database)),
        *("--isolation", "process", "--superexec-auth-secret-file", str(folder.secret())),
        "--disable-runtime-dependency-installation",
    )


def start_superexec(folder: FlowerFolder) -> subprocess.Popen[bytes]:
    """Start the process that runs the ServerApp when a run is submitted."""
    return _start(
        folder,
        "flower-superexec",
        *("--root-certificates", str(folder.keys / "ca.pem")),
        *("--runtime-api-address", folder.address),
        *("--superexec-auth-secret-file", str(folder.secret())),
        *("--parent-pid", str(os.getpid())),
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that this one started, gently, then not."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _start(folder: FlowerFolder, program: str, *words: str) -> subprocess.Popen[bytes]:
    """Start one of Flower's programs with its output in a log of its own."""
    path = _programs() / program
    if not path.exists():
        raise EnvironmentFault(
            f"{program} must be installed beside Python, and is not.",
            hint="install Privet with its server extra.",
        )
    env = folder.environment()
    with (folder.path / f"{program}.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - a fixed program, words of our own
            [str(path), *words], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def _programs() -> Path:
    """Return where Flower's commands are: beside the Python that runs."""
    return Path(sys.executable).parent
