# SPDX-License-Identifier: Apache-2.0
"""The front door: hands each group of commands to its room, imported only when it is called.

Rules of every command. Results go to stdout, everything else to stderr. An error is one line
`error:` (what must hold, what was got) and one line `hint:` (what to do), with the exit code of
its type (`shared/errors.py`); no traceback without `--debug`.
"""

import importlib
import sys
from typing import Any

import click

from shared.errors import EXIT_BUG, PrivetError
from shared.terminal import harmless

COMMANDS = {
    "simulate": ("simulation.cli:simulate", "Run a private federation on ratings, on one machine."),
    "runs": ("simulation.cli:runs", "List, show and compare finished runs."),
    "data": ("simulation.data_cli:data", "List, inspect and generate data sets."),
    "privacy": ("simulation.privacy_cli:privacy", "Plan a privacy budget, or explain one in odds."),
    "audit": ("simulation.audit.cli:audit", "Replay, report and verify a privacy budget."),
    "client": ("client.cli:client", "Keep and use a device: ratings that never leave it."),
    "server": ("server.cli:server", "Operate a federation of devices."),
    "key": ("simulation.key_cli:key", "Make signing keys."),
    "config": ("simulation.cli:config", "Show the configuration, or its JSON Schema."),
    "doctor": (
        "simulation.doctor:doctor",
        "Check this machine, an operator's folder or a device's.",
    ),
    "version": (
        "simulation.doctor:version",
        "Print the versions of Privet and of what it builds on.",
    ),
}
"""Command or group: where its click or typer object lives, and its line of help."""

RESERVED: dict[str, str] = {}
"""Names of the contract that no release has built yet."""


class FrontDoor(click.Group):
    """A click group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the contract."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name in RESERVED:
            return _reserved(cmd_name)
        if cmd_name not in COMMANDS:
            return None
        place, _ = COMMANDS[cmd_name]
        module, name = place.split(":")
        found: Any = getattr(importlib.import_module(module), name)
        if isinstance(found, click.Command):
            return found
        return _from_typer(found, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the table of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])
        if RESERVED:
            with formatter.section("Reserved (not built yet)"):
                formatter.write_dl(list(RESERVED.items()))


def _from_typer(found: Any, name: str) -> click.Command:
    """Turn a typer application, or a plain function with typer's annotations, into a command."""
    import typer
    from typer.main import get_command

    if isinstance(found, typer.Typer):
        return get_command(found)
    app = typer.Typer(add_completion=False)
    app.command(name)(found)
    return get_command(app)


def _reserved(name: str) -> click.Command:
    """Return a command that refuses: the name is kept for what will be built."""

    def refuse() -> None:
        raise click.UsageError(f"`privet {name}` is reserved and not built yet.")

    return click.Command(
        name,
        callback=refuse,
        help=f"Reserved: {RESERVED[name]}.",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


@click.group(
    cls=FrontDoor,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Every command takes -h. `privet --debug COMMAND` shows tracebacks.",
)
def cli() -> None:
    """Privet: recommendations from ratings that never leave the device."""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        result = cli.main(words, prog_name="privet", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted.", "finished rounds are kept; run the command again.", 130)
    except click.ClickException as wrong:
        if debug:
            raise
        return _fail(wrong.format_message(), _usage_hint(wrong), 2)
    except PrivetError as wrong:
        if debug:
            raise
        return _fail(wrong.message, wrong.hint, wrong.exit_code)
    except BrokenPipeError:
        return 0
    except Exception as bug:
        if debug:
            raise
        return _fail(
            f"an unexpected {type(bug).__name__} stopped the command.",
            "this is a defect of Privet; run it again with `privet --debug` and report "
            "it; read it first, for a traceback may name what is private.",
            EXIT_BUG,
        )


def _usage_hint(wrong: click.ClickException) -> str:
    """Return the hint that goes with wrong words on the command line."""
    where = (
        wrong.ctx.command_path if isinstance(wrong, click.UsageError) and wrong.ctx else "privet"
    )
    if "reserved" in wrong.format_message():
        return "`privet -h` lists the commands that are built."
    return f"`{where} -h` lists what it takes."


def _fail(message: str, hint: str, code: int) -> int:
    """Print an error and its hint to stderr; return the exit code."""
    click.echo(harmless(f"error: {message}"), err=True)
    if hint:
        click.echo(harmless(f"hint: {hint}"), err=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
