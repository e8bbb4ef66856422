# SPDX-License-Identifier: Apache-2.0
"""`privet client recommend | explain | ui`: what a device does for its owner, all of it at home."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from client.owner import Owner
from client.page.shown import Shown
from client.reading import Readable, readable
from client.recommending import DIVERSITY, Recommendation, explain, recommend
from client.shell import Folder, FormatOption, open_device
from client.texts import Texts, texts
from shared.errors import UsageError
from shared.model.history import History
from shared.terminal import harmless, harmless_json

Count = Annotated[int, typer.Option("-k", min=1, max=1000, help="Most items to show.")]
Diversity = Annotated[float, typer.Option(help="0: by score alone; 1: as mixed as can be.")]


def recommend_(
    folder: Folder,
    comments: Annotated[
        bool, typer.Option("--comments", help="Comments worth reading instead of items.")
    ] = False,
    k: Count = 10,
    diversity: Diversity = DIVERSITY,
    style: FormatOption = "text",
) -> None:
    """Recommend items, or public comments worth reading; computed here, told to nobody."""
    if not 0.0 <= diversity <= 1.0:
        raise UsageError(f"--diversity must lie in [0, 1], got {diversity:g}.", hint="try 0.3.")
    with open_device(folder) as device:
        shown = Shown(device, texts("en"))
        if comments:
            chosen = readable(device, k, diversity=diversity)
            rows, lines = comment_rows(shown, chosen), comment_lines(shown, chosen)
            _tell(style, {"comments": rows}, list(lines))
            return
        found = recommend(device.model, device.history, k, diversity=diversity, less=device.hidden)
        _tell(style, {"items": item_rows(shown, found)}, list(item_lines(shown, found)))


def explain_(
    folder: Folder,
    item: Annotated[str, typer.Argument(help="Id of an item, or the beginning of its title.")],
    style: FormatOption = "text",
) -> None:
    """Explain what an item is expected to get, as a sum over the owner's own ratings."""
    with open_device(folder) as device:
        row = device.find(item)
        value, lines = explained(device, row, texts("en"))
    _tell(style, value, lines)


def ui(
    folder: Folder,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
) -> None:
    """Open the page of this device for one browser on this machine, until it is closed."""
    from client.page.serve import serve  # starlette and uvicorn, for this command alone

    say = texts("en")

    def announce(address: str) -> None:
        typer.echo(address)
        typer.echo(say("page.open"), err=True)

    with open_device(folder) as device:
        serve(device, str(folder), announce, port)


def item_rows(shown: Shown, found: Sequence[Recommendation]) -> list[dict[str, Any]]:
    """Return recommendations as scripts read them."""
    device = shown.device
    return [
        {
            "item": device.catalogue.item_ids[one.item],
            "title": device.catalogue.titles[one.item],
            "stars": round(float(device.scale.from_unit(one.rating)), 3),
            "score": round(one.score, 6),
            "reasons": [shown.reason(reason) for reason in one.reasons],
        }
        for one in found
    ]


def item_lines(shown: Shown, found: Sequence[Recommendation]) -> Iterator[str]:
    """Say what to look at next, and why."""
    for place, one in enumerate(found, 1):
        card = shown.card(one.item, one.rating, one.reasons)
        kinds = f"  ({', '.join(card.categories)})" if card.categories else ""
        yield f"{place:>3}  {card.title}{kinds}"
        yield f"     {shown.say('today.expected', stars=card.stars)}. {' '.join(card.reasons)}"
    if not found:
        yield shown.say("today.none")


def comment_rows(shown: Shown, chosen: Sequence[Readable]) -> list[dict[str, Any]]:
    """Return comments as scripts read them."""
    catalogue = shown.device.catalogue
    return [
        {
            "item": catalogue.item_ids[one.comment.row],
            "title": catalogue.titles[one.comment.row],
            "text": one.comment.text,
            "score": round(one.score, 6),
            "reasons": list(shown.comment(one)["reasons"]),
        }
        for one in chosen
    ]


def comment_lines(shown: Shown, chosen: Sequence[Readable]) -> Iterator[str]:
    """Say which comments are worth reading, and why."""
    for place, one in enumerate(chosen, 1):
        card = shown.comment(one)
        yield f"{place:>3}  {shown.say('comments.on')} {card['title']}:"
        yield f"     “{' '.join(one.comment.text.split())}”"
        yield f"     {' '.join(card['reasons'])}".rstrip()
    if not chosen:
        yield shown.say("comments.none")


def explained(device: Owner, row: int, say: Texts) -> tuple[dict[str, Any], list[str]]:
    """Return why an item is expected to please, for scripts and for people.

    A rating of the item itself is left out: it would explain itself.
    """
    shown, scale, titles = Shown(device, say), device.scale, device.catalogue.titles
    history = without(device.history, row)
    found = explain(device.model, history, row)
    why = shown.why_of(found, history)
    value = {
        "item": device.catalogue.item_ids[row],
        "title": titles[row],
        "stars": round(float(scale.from_unit(found.rating)), 3),
        "base": round(scale.centre + found.base / scale.unit, 6),
        "because": [
            {"item": device.catalogue.item_ids[item], "title": titles[item],
             "adds": round(part / scale.unit, 6)}
            for item, part in found.because
        ],
        "rest": round(found.rest / scale.unit, 6),
        "sum": round(scale.centre + found.rating / scale.unit, 6),
        "reasons": list(why.reasons),
    }  # fmt: skip
    lines = [f"{titles[row]}: {say('item.about', stars=why.stars, high=f'{scale.high:g}')}"]
    if row in shown.mine:
        lines.append(say("item.own", stars=shown.stars(shown.mine[row].stars)))
    lines += [f"  {reason}" for reason in why.reasons]
    lines.append(f"{say('item.because')}:")
    lines += [f"  {adds:>7}  {name}" for name, adds in why.lines]
    return value, [*lines, f"  {why.total:>7}  {say('item.sum')}"]


def without(history: History, row: int) -> History:
    """Return a history as if one item had never been rated."""
    kept = history.items != row
    lengths, acts = history.comment_lengths, history.comment_acts
    return replace(
        history,
        items=history.items[kept],
        ratings=history.ratings[kept],
        comment_lengths=None if lengths is None else lengths[kept],
        comment_acts=None if acts is None else acts[kept],
    )


def _tell(style: str, value: dict[str, Any], lines: Sequence[str]) -> None:
    """Print one JSON object, or lines."""
    if style == "json":
        typer.echo(harmless_json(json.dumps(value, ensure_ascii=False, allow_nan=False)))
        return
    for line in lines:
        typer.echo(harmless(line))
