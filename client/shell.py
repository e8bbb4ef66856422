# SPDX-License-Identifier: Apache-2.0
"""What the commands of a device share: opening it, asking for a passphrase, words for people."""

import os
import sys
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from client.custody import WARNING, read_custody
from client.device import Device
from shared.errors import StoreLocked, UsageError

Style = Literal["text", "json"]
FormatOption = Annotated[Style, typer.Option("--format", help="Text for people, JSON for scripts.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The device's folder.")]
PASSPHRASE_FILE = "PRIVET_PASSPHRASE_FILE"  # noqa: S105 - the name of a variable
"""Environment variable that names a file with the passphrase of the store."""


def open_device(folder: Path) -> Device:
    """Open a device; ask for its passphrase if that is what opens it.

    Raises:
        PrivetError: see `Device.open`.
    """
    passphrase = None
    if (folder / "custody.json").exists() and read_custody(folder)["level"] == "passphrase":
        passphrase = given_passphrase("Passphrase of this device")
    return Device.open(folder, passphrase=passphrase)


def given_passphrase(question: str, variable: str = PASSPHRASE_FILE, *, twice: bool = False) -> str:
    """Return a passphrase from the file that the environment names, or from the terminal.

    Raises:
        StoreLocked: there is neither.
    """
    named = os.environ.get(variable)
    if named:
        try:
            return Path(named).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            raise StoreLocked(
                f"{variable} must name a readable text file.", hint="check the file's name."
            ) from None
    if not sys.stdin.isatty():
        raise StoreLocked(
            "a passphrase must be given, there is no terminal to ask on.",
            hint=f"set {variable} to a file that holds it.",
        )
    return str(typer.prompt(question, hide_input=True, confirmation_prompt=twice, err=True))


def confirmed(yes: bool, warning: str) -> None:
    """Go on if the owner says yes, by the flag or on a terminal.

    Raises:
        UsageError: they did not.
    """
    if yes:
        return
    if sys.stdin.isatty() and typer.confirm(f"{warning} Go on?", err=True):
        return
    raise UsageError(f"{warning.rstrip('.')}: this needs --yes.", hint="add --yes if you mean it.")


def warn(level: str) -> None:
    """Warn of a key that lies beside the data."""
    if level == "file":
        typer.echo(f"warning: {WARNING}", err=True)


def plain(value: Any) -> Any:
    """Turn a value of `Device` into what JSON can say; NaN becomes null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, Fraction):
        return float(value)
    return None if isinstance(value, float) and value != value else value


def day(seconds: int) -> str:
    """Spell a time; "-" where there is none."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%-d %b %Y") if seconds else "-"


def size(count: int) -> str:
    """Spell a number of bytes.

    Example:
        >>> size(512), size(336_000)
        ('512 bytes', '336 KB')
    """
    for unit, name in ((10**6, "MB"), (10**3, "KB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"


def many(count: int, word: str) -> str:
    """Spell a number of things.

    Example:
        >>> many(1, "rating"), many(1284, "rating")
        ('1 rating', '1,284 ratings')
    """
    return f"{count:,} {word}{'' if count == 1 else 's'}"
