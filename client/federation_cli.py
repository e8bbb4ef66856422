# SPDX-License-Identifier: Apache-2.0
"""`privet client join` and `run`: the two commands of a device that need a server."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from client.conditions import Conditions
from client.custody import CUSTODY, read_custody
from client.shell import Folder, FormatOption, given_passphrase
from shared.errors import DataError, UsageError
from shared.flower import quiet_flower
from shared.logs import LogStyle, log_to_stderr
from shared.terminal import harmless


def join_(
    folder: Folder,
    invitation: Annotated[Path, typer.Option(help="The file that the operator gave you.")],
    yes: Annotated[bool, typer.Option("--yes", help="Accept what is shown, do not ask.")] = False,
    demo: Annotated[
        bool, typer.Option(help="Accept a policy with too little protection, with made-up ratings.")
    ] = False,
    officer: Annotated[
        str, typer.Option(help="The officer's public key as you were told it; another is refused.")
    ] = "",
    custody: Annotated[
        str,
        typer.Option(help="Of a new device's key: auto, credential, passphrase or file."),
    ] = "auto",
    style: FormatOption = "text",
) -> None:
    """Show what a federation asks, and take part in it if the owner says so."""
    from client.join import join, left_in, read_offer

    offer = read_offer(invitation, officer)
    there = (folder / "custody.json").exists()
    given = _passphrase(folder, custody) if there else None
    for line in offer.words():
        typer.echo(harmless(line), err=True)
    if warning := offer.warning(left_in(folder, given)):
        typer.echo(f"warning: {warning}", err=True)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                "taking part must be the owner's decision, there is no terminal to ask on.",
                hint="read what is shown; --yes accepts it.",
            )
        if not typer.confirm("Take part?", err=True):
            raise UsageError("the owner must accept, and did not.", hint="nothing was changed.")
    given = given if there else _passphrase(folder, custody)
    join(folder, offer, passphrase=given, custody=custody, demo=demo)
    if style == "json":
        typer.echo('{"joined": true}')
    else:
        typer.echo(f"This device takes part. Next: `privet client run {folder}`.")


def run_(
    folder: Folder,
    hours: Annotated[str, typer.Option(help="FROM-TO: take part in these hours.")] = "0-24",
    on_power: Annotated[
        bool, typer.Option("--on-power", help="Take part only while no battery is used.")
    ] = False,
    network: Annotated[
        list[str] | None,
        typer.Option(help="Take part only while this interface is in use, e.g. wlan0; repeatable."),
    ] = None,
    log_format: Annotated[
        LogStyle, typer.Option("--log-format", help="Log lines for people, or JSON, one a line.")
    ] = "text",
    style: FormatOption = "text",
) -> None:
    """Take part in rounds until it is stopped; all commands but `ui` work meanwhile."""
    if not (folder / CUSTODY).exists():
        raise DataError(
            f"{folder} must hold a device, got none.",
            hint="`privet client join DIR --invitation FILE` makes one that takes part.",
        )
    quiet_flower(folder / "flower")
    from client.run import resident

    log_to_stderr(log_format)
    allowed = Conditions.of(hours, on_power=on_power, networks=network or ())
    device = resident(folder, passphrase=_passphrase(folder, ""), free=allowed.free)
    for word in (signal.SIGTERM, signal.SIGINT):
        signal.signal(word, lambda *_: device.stop())
    device.run()
    typer.echo('{"outcome": "stopped"}' if style == "json" else "Stopped.")


def _passphrase(folder: Path, custody: str) -> str | None:
    """Return the passphrase that opens, or will open, the store."""
    if (folder / "custody.json").exists():
        if read_custody(folder)["level"] == "passphrase":
            return given_passphrase("Passphrase of this device")
        return None
    if custody == "passphrase":
        return given_passphrase("Passphrase for this device", twice=True)
    return None
