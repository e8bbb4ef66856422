# SPDX-License-Identifier: Apache-2.0
"""`privet client …`: the commands of a device's owner.

Each opens the device, does one thing and closes it. Nothing private is printed but by the owner's
own commands; neither torch nor flwr is imported unless comments must be encoded.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from client.device import Device
from client.events import describe
from client.federation_cli import join_, run_
from client.recommend_cli import explain_, recommend_, ui
from client.shell import (
    Folder,
    FormatOption,
    Style,
    confirmed,
    given_passphrase,
    many,
    open_device,
    plain,
    warn,
)
from client.words import preview_lines, receipt_lines, status_lines
from shared.errors import UsageError
from shared.schema import Scale
from shared.terminal import harmless, harmless_json

client = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Keep and use a device: ratings and comments that never leave it.",
)
EXPORT_PASSPHRASE = "PRIVET_EXPORT_PASSPHRASE_FILE"  # noqa: S105 - the name of a variable
Item = Annotated[str, typer.Argument(help="Id of an item, or the beginning of its title.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def tell(style: Style, value: Any, *lines: str) -> None:
    """Print a result: one JSON object, or lines."""
    if style == "json":
        typer.echo(harmless_json(json.dumps(plain(value), ensure_ascii=False, allow_nan=False)))
    else:
        for line in lines:
            typer.echo(harmless(line))


@client.command()
def init(
    folder: Folder,
    catalogue: Annotated[Path, typer.Option(help="The public catalogue.")],
    model: Annotated[Path | None, typer.Option(help="The shared model, if there is one.")] = None,
    comments: Annotated[
        Path | None, typer.Option(help="Public comments: item_id,text[,user_id,helpful].")
    ] = None,
    scale: Annotated[str, typer.Option(help="Lowest:highest[:step] rating.")] = "1:5:1",
    custody: Annotated[
        str, typer.Option(help="Who keeps the key: auto, credential, passphrase or file.")
    ] = "auto",
    style: FormatOption = "text",
) -> None:
    """Make a device from a catalogue, and a model if there is one."""
    word = None
    if custody == "passphrase":
        word = given_passphrase("Passphrase for this device", twice=True)
    declared = read_scale(scale)
    with Device.create(
        folder, catalogue, model, comments=comments, scale=declared, custody=custody,
        passphrase=word,
    ) as device:  # fmt: skip
        level = device.status().custody
        warn(level)
        tell(
            style,
            {"items": len(device.catalogue), "model": model is not None, "custody": level},
            f"A device in {folder}: {many(len(device.catalogue), 'item')}, ratings from "
            f"{describe(declared)}.",
            f"Next: privet client add {folder} FILE.csv, or privet client rate {folder} ITEM STARS",
        )


def read_scale(text: str) -> Scale:
    """Read a rating scale.

    Example:
        >>> read_scale("0.5:5:0.5")
        Scale(low=0.5, high=5.0, step=0.5)
    """
    try:
        parts = [float(part) for part in text.split(":")]
        low, high, step = parts if len(parts) == 3 else (*parts, 1.0)
        if not (-1e6 < low < high < 1e6 and 0 <= step <= high - low):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"--scale must be LOWEST:HIGHEST[:STEP], got {text!r}.", hint="for instance 0.5:5:0.5"
        ) from None
    return Scale(low, high, step)


@client.command()
def add(
    folder: Folder,
    file: Annotated[Path, typer.Argument(help="CSV: item_id,rating[,timestamp,comment].")],
    style: FormatOption = "text",
) -> None:
    """Take in a table of ratings, all rows or none."""
    with open_device(folder) as device:
        taken = device.add(file)
    tell(
        style,
        taken,
        f"{many(taken.added, 'new rating')}, {taken.changed} changed, "
        f"{many(taken.comments, 'comment')}. They stay on this device.",
    )


@client.command()
def rate(
    folder: Folder,
    item: Item,
    stars: Annotated[float, typer.Argument(help="On the scale of this device.")],
    comment: Annotated[str | None, typer.Option(help="A comment; stays here too.")] = None,
    style: FormatOption = "text",
) -> None:
    """Rate an item, again if need be."""
    with open_device(folder) as device:
        entry = device.rate(device.find(item), stars, comment)
    tell(style, entry, f"{entry.title}: {entry.stars:g}{' with a comment' * bool(entry.comment)}")


@client.command()
def profile(
    folder: Folder,
    file: Annotated[Path, typer.Argument(help="TOML: one table [attributes] of numbers.")],
    style: FormatOption = "text",
) -> None:
    """Seal private attributes (age, …) into the device; they never leave, the file can go."""
    from client.profile import read_profile

    attributes = read_profile(file)
    with open_device(folder) as device:
        device.set_attributes(attributes)
    tell(
        style,
        {"attributes": len(attributes)},
        f"{many(len(attributes), 'attribute')} sealed on this device; the file can be deleted.",
    )


@client.command()
def publish(folder: Folder, item: Item, yes: Yes = False, style: FormatOption = "text") -> None:
    """Publish the comment on an item; outside any privacy guarantee, and for good."""
    confirmed(
        yes,
        "A published comment is outside any guarantee and cannot be taken back; a handful of "
        "comments under one pseudonym is enough to tell who writes.",
    )
    with open_device(folder) as device:
        entry = device.publish(device.find(item))
    tell(
        style,
        {"item": entry.item, "title": entry.title, "published": True},
        f"The comment on {entry.title} is marked as published; it leaves with the next connection.",
    )


@client.command()
def forget(folder: Folder, item: Item, style: FormatOption = "text") -> None:
    """Delete a rating and its comment as if they had never been."""
    with open_device(folder) as device:
        entry = device.forget(device.find(item))
    tell(style, {"item": entry.item, "title": entry.title}, f"{entry.title} is forgotten.")


@client.command()
def status(folder: Folder, style: FormatOption = "text") -> None:
    """Say where the device stands: what is here, what left, what of the budget is used."""
    with open_device(folder) as device:
        now = device.status()
    tell(style, now, *status_lines(now))


@client.command()
def receipts(folder: Folder, style: FormatOption = "text") -> None:
    """List what left this device, what it refused, and what was charged unused."""
    with open_device(folder) as device:
        acts = device.receipts()
    tell(style, {"receipts": acts}, *receipt_lines(acts))


@client.command()
def preview(
    folder: Folder,
    last: Annotated[bool, typer.Option("--last", help="The bytes that did leave.")] = False,
    style: FormatOption = "text",
) -> None:
    """Show what would leave, number by number, or what did."""
    with open_device(folder) as device:
        shown = device.preview(last=last)
    tell(style, shown, *preview_lines(shown))


client.command("recommend")(recommend_)
client.command("explain")(explain_)
client.command("ui")(ui)
client.command("join")(join_)
client.command("run")(run_)


@client.command()
def pause(folder: Folder, style: FormatOption = "text") -> None:
    """Answer nothing from now on; instant and local."""
    with open_device(folder) as device:
        device.pause()
    tell(style, {"paused": True}, "Paused: nothing leaves until `privet client resume`.")


@client.command()
def resume(folder: Folder, style: FormatOption = "text") -> None:
    """Answer questions again."""
    with open_device(folder) as device:
        device.resume()
    tell(style, {"paused": False}, "Resumed.")


@client.command()
def leave(folder: Folder, style: FormatOption = "text") -> None:
    """Take part no longer."""
    with open_device(folder) as device:
        device.leave()
        now = device.status()
    tell(
        style,
        {"left": True, "updates": now.updates},
        "This device takes part no longer; your ratings stay here.",
        "What was contributed cannot be taken out of a trained model; ε bounds what it reveals.",
    )


@client.command()
def erase(folder: Folder, yes: Yes = False, style: FormatOption = "text") -> None:
    """Destroy the key, then every file of this device."""
    confirmed(yes, f"Everything in {folder} will be destroyed, the key first.")
    from client.transfer import erase as erase_folder

    erase_folder(folder)
    tell(style, {"erased": True}, f"{folder} is erased: the key first, then every file.")


@client.command("export")
def export_(
    folder: Folder,
    file: Annotated[Path, typer.Argument(help="The new, sealed file.")],
    style: FormatOption = "text",
) -> None:
    """Move the device into one sealed file; this folder answers nothing afterwards."""
    word = given_passphrase("Passphrase for the export", EXPORT_PASSPHRASE, twice=True)
    with open_device(folder) as device:
        device.export(file, word)
    tell(
        style,
        {"file": str(file), "moved": True},
        f"The device is in {file}; {folder} is marked as moved.",
        "Import it once, then destroy the file and `privet client erase` this folder.",
    )


@client.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="An exported device.")],
    folder: Folder,
    custody: Annotated[
        str, typer.Option(help="Who keeps the key: auto, credential, passphrase or file.")
    ] = "auto",
    style: FormatOption = "text",
) -> None:
    """Make a device of an exported one, with its receipts and its spent budget."""
    word = given_passphrase("Passphrase of the export", EXPORT_PASSPHRASE)
    own = None
    if custody == "passphrase":
        own = given_passphrase("Passphrase for this device", twice=True)
    with Device.restore(file, folder, word, custody=custody, store_passphrase=own) as device:
        now = device.status()
        warn(now.custody)
        tell(
            style,
            {"ratings": now.ratings, "spent": now.spent, "custody": now.custody},
            f"The device is in {folder}: {many(now.ratings, 'rating')}.",
        )


@client.command()
def verify(
    folder: Folder,
    ledger: Annotated[
        Path | None, typer.Option(help="The operator's ledger: look for the receipts in it.")
    ] = None,
    style: FormatOption = "text",
) -> None:
    """Check every sealed byte, the chain of receipts, and a ledger if one is given."""
    with open_device(folder) as device:
        found = device.verify(ledger)
    lines = [
        f"{many(found.segments, 'sealed segment')} open; {many(found.receipts, 'receipt')} signed "
        f"by this device follow each other; their ρ adds up to what is spent "
        f"({float(found.spent):.3g})."
    ]
    if found.closed is not None:
        lines.append(
            f"{found.closed} charges stand in the ledger, each in one closed round; {found.open} "
            "do not."
        )
    tell(style, found, *lines)
