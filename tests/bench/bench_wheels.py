# SPDX-License-Identifier: Apache-2.0
"""Does every package that a device installs have a wheel for 64-bit ARM? Asks the package index.

    python -m pytest tests/bench/bench_wheels.py

The closure of the dependencies is read off this machine's installation; the index is asked for
their metadata alone (`pip install --dry-run`), so that nothing large is fetched. It needs a network
and so stands beside the benchmarks, not among the tests.
"""

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux2014_aarch64", "manylinux_2_17_aarch64")
DEVICE = {
    "platform_machine": "aarch64",
    "platform_system": "Linux",
    "sys_platform": "linux",
    "os_name": "posix",
    "extra": "",
}


def closure() -> dict[str, str]:
    """Return what `pip install privet[client]` brings to an ARM device, with installed versions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = [*project["dependencies"], *project["optional-dependencies"]["client"]]
    found: dict[str, str] = {}
    while waiting:
        wanted = Requirement(waiting.pop())
        name = wanted.name.lower().replace("_", "-")
        if name in found or (wanted.marker and not wanted.marker.evaluate(DEVICE)):
            continue
        try:
            found[name] = version(name).split("+")[0]
        except PackageNotFoundError:  # a marker of another machine
            continue
        waiting += requires(name) or []
    return found


@pytest.mark.slow
def test_every_device_dependency_has_a_wheel_for_arm(tmp_path: Path) -> None:
    wanted = [f"{name}=={number}" for name, number in sorted(closure().items())]
    assert len(wanted) > 20
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps",
         "--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp", *platforms,
         "--target", str(tmp_path), "--disable-pip-version-check", *wanted],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    print(f"{len(wanted)} packages: " + " ".join(wanted))
