# SPDX-License-Identifier: Apache-2.0
"""The pages: each returns its template and the values in it.

They change nothing that the owner said; that the page of an item was opened is noted on the device,
because it is what interest in its comments is learnt from.
"""

from collections.abc import Callable, Mapping
from typing import Any

from client.device import Entry
from client.owner import Owner
from client.page.outgoing import odds_of, outgoing
from client.page.shown import Shown, choices, day, item_path, size
from client.reading import readable
from client.recommending import recommend
from client.texts import Texts

Query = Mapping[str, str]
Made = tuple[str, dict[str, Any]]
Show = Callable[[Owner, Texts, Query], Made]

MIXES = (0, 3, 6)
"""Tenths of diversity that the owner can choose."""
FOUND, ROWS = 30, 50
"""Titles that a search shows; ratings on a page of "my data"."""


class Missing(Exception):
    """No such page or item."""


def today(device: Owner, say: Texts, query: Query) -> Made:
    """Recommendations with their reasons."""
    mix = next((value for value in MIXES if str(value) == query.get("mix")), 3)
    shown = Shown(device, say)
    found = recommend(device.model, device.history, diversity=mix / 10, less=device.hidden)
    cards = [shown.card(one.item, one.rating, one.reasons) for one in found]
    return "today", {
        "cards": cards,
        "rated": len(device.entries),
        "shared": bool(device.status().model),
        "mix": mix,
        "mixes": MIXES,
    }


def comments(device: Owner, say: Texts, query: Query) -> Made:
    """Public comments worth reading, with their reasons."""
    shown = Shown(device, say)
    return "comments", {"cards": [shown.comment(one) for one in readable(device)]}


def rate(device: Owner, say: Texts, query: Query) -> Made:
    """Find something to rate by its title."""
    words = query.get("query", "").strip()[:200]
    shown, rows = Shown(device, say), _search(device, words)
    found = [
        {
            "title": device.catalogue.titles[row],
            "path": item_path(device.catalogue.item_ids[row]),
            "stars": shown.stars(shown.mine[row].stars) if row in shown.mine else "",
        }
        for row in rows[:FOUND]
    ]
    return "rate", {"query": words, "found": found, "more": max(0, len(rows) - FOUND)}


def _search(device: Owner, words: str) -> list[int]:
    """Return the rows whose title contains the words, those that begin with them first."""
    wanted = words.casefold()
    if not wanted:
        return []
    titles = [title.casefold() for title in device.catalogue.titles]
    rows = [row for row, title in enumerate(titles) if wanted in title]
    return sorted(rows, key=lambda row: (not titles[row].startswith(wanted), titles[row]))


def item(device: Owner, say: Texts, query: Query) -> Made:
    """One item: rate and comment it, and see why it is expected to please."""
    row, shown = _row(device, query.get("id", "")), Shown(device, say)
    entry = shown.mine.get(row)
    comments = [comment.text for comment in device.public_comments if comment.row == row]
    status = device.status()
    if comments and not status.moved:
        device.note(row, "opened" if query.get("from") == "comments" else "seen")
    return "item", {
        "item": _item(device, row) | {"categories": shown.categories(row)},
        "mine": shown.rated(entry) if entry else None,
        "why": None if entry else shown.why(row),
        "choices": choices(device.scale, say),
        "high": f"{device.scale.high:g}",
        "comments": comments,
        "can_publish": bool(status.run) and not status.moved,
    }


def publish(device: Owner, say: Texts, query: Query) -> Made:
    """Ask before a comment is published."""
    row, shown = _row(device, query.get("item", "")), Shown(device, say)
    entry = shown.mine.get(row)
    if entry is None or not entry.comment:
        raise Missing
    return "publish", {"item": _item(device, row), "mine": shown.rated(entry)}


def data(device: Owner, say: Texts, query: Query) -> Made:
    """All that the device keeps about its owner."""
    shown, entries = Shown(device, say), device.entries
    count = max(1, -(-len(entries) // ROWS))
    asked = query.get("page", "1")
    page = min(max(int(asked), 1), count) if asked.isascii() and asked.isdigit() else 1
    newest: list[Entry] = list(reversed(entries))
    return "data", {
        "rated": len(entries),
        "published": sum(entry.published for entry in entries),
        "commented": sum(bool(entry.comment) for entry in entries),
        "rows": [shown.rated(entry) for entry in newest[(page - 1) * ROWS : page * ROWS]],
        "page": page,
        "pages_of": count,
        "less": [_item(device, int(row)) for row in device.hidden],
    }


def left(device: Owner, say: Texts, query: Query) -> Made:
    """What left the device."""
    status = device.status()
    return "left", {
        "updates": status.updates,
        "size": size(status.upload_bytes),
        "day": day(status.last_upload_at, say),
        "survivors": status.smallest_sum,
        "rows": outgoing(device.receipts(), status.spent, say),
    }


def budget(device: Owner, say: Texts, query: Query) -> Made:
    """The privacy budget as odds."""
    status = device.status()
    return "budget", {"budget": odds_of(status, say), "operator": status.operator}


def device(device: Owner, say: Texts, query: Query) -> Made:
    """Pause, leave, erase."""
    status = device.status()
    key = f"custody.{status.custody}"
    return "device", {
        "run": status.run,
        "operator": status.operator,
        "paused": status.paused,
        "custody": say(key) if key in say else status.custody,
    }


def leave(device: Owner, say: Texts, query: Query) -> Made:
    """Ask before leaving."""
    return "leave", {}


def erase(device: Owner, say: Texts, query: Query) -> Made:
    """Ask before erasing."""
    return "erase", {"rated": len(device.entries)}


def _row(device: Owner, item_id: str) -> int:
    """Return the row of an item by its id."""
    try:
        return device.catalogue.item_ids.index(item_id)
    except ValueError:
        raise Missing from None


def _item(device: Owner, row: int) -> dict[str, Any]:
    """Return id, title and address of an item."""
    item_id = device.catalogue.item_ids[row]
    return {"id": item_id, "title": device.catalogue.titles[row], "path": item_path(item_id)}
