# SPDX-License-Identifier: Apache-2.0
"""What a round costs over Flower: seconds, bytes, memory, and whose processor it is.

    python -m tests.bench.bench_federation [--devices 24 60]

Each size runs by itself in a fresh process: one server, all devices as threads of one process, no
kills. Processor seconds and peak memory are read from /proc, bytes from the devices' receipts,
times from the files of each round.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from client.device import Device
from server.start import children
from simulation.deployed import Street, deploy

TICK = os.sysconf("SC_CLK_TCK")


class Watch:
    """Processor seconds and peak memory of processes, looked at once a second until `stop`."""

    def __init__(self, operator: Path) -> None:
        self.seconds: dict[str, float] = {}
        self.peak_mb: dict[str, float] = {}
        self._operator, self._done = operator, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(1.0):
            for name, pid in self._processes():
                self._read(name, pid)

    def _processes(self) -> list[tuple[str, int]]:
        found = [("devices", os.getpid())]
        for name in ("superlink", "superexec"):
            file = self._operator / "flower" / f"{name}.pid"
            if file.exists():
                found.append((name, int(file.read_text())))
        for pid in children(os.getpid()):
            if b"server\0start" in _command(pid):
                found.append(("supervisor and guard", pid))
        for name, pid in found[:]:
            if name == "superexec":
                found += [("serverapp", child) for child in children(pid)]
        return found

    def _read(self, name: str, pid: int) -> None:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return
        self.seconds[name] = (int(fields[11]) + int(fields[12])) / TICK
        if "VmHWM:" in status:
            self.peak_mb[name] = int(status.split("VmHWM:")[1].split()[0]) / 1024


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def measure(devices: int, root: Path) -> dict[str, object]:
    """Run one federation to its release and return its figures."""
    operator = root / "operator"
    watch = Watch(operator)
    deploy(root, devices, kill=False)
    watch.stop()
    rounds = sorted((operator / "rounds").iterdir())
    stages = [sorted(path.stat().st_mtime for path in each.iterdir()) for each in rounds]
    whole = stages[-1][-1] - stages[0][0]
    street = Street(root, operator, None)  # type: ignore[arg-type]
    sent = uploads = 0
    for index in range(devices):
        with Device.open(street.device(index)) as device:
            status = device.status()
            sent, uploads = sent + status.upload_bytes, uploads + status.updates
    return {
        "devices": devices,
        "rounds": len(rounds),
        "seconds_a_round": round(whole / len(rounds), 1),
        "rounds_an_hour": round(3600 * len(rounds) / whole, 1),
        "masked_bytes_a_device_a_round": sent // max(uploads, 1),
        "cpu_seconds": {name: round(value, 1) for name, value in watch.seconds.items()},
        "peak_mb": {name: round(value) for name, value in watch.peak_mb.items()},
    }


def main(argv: list[str]) -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--devices", type=int, nargs="+", default=[24, 60])
    words.add_argument("--here", type=Path)
    args = words.parse_args(argv)
    if args.here:
        sys.stdout.write(json.dumps(measure(args.devices[0], args.here)) + "\n")
        return
    for count in args.devices:
        with tempfile.TemporaryDirectory() as place:
            command = [sys.executable, "-m", "tests.bench.bench_federation"]
            words_ = ["--devices", str(count), "--here", place]
            subprocess.run([*command, *words_], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
