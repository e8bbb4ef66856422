# SPDX-License-Identifier: Apache-2.0
"""What the owner writes into a device: ratings, comments, what to see less of; all of it sealed."""

import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from client.books import Books
from client.comments import pruned
from client.events import Event, checked_stars, merged, read_events, without
from client.receipts import Receipt
from client.shelf import Shelf
from shared.errors import DataError
from shared.model.history import History
from shared.schema import MAX_COMMENT, Ints, Scale, clean_text

Act = Literal["seen", "opened", "upvoted", "replied"]
"""What an owner did with the comments of an item: saw its page alone, or one of the others."""


@dataclass(frozen=True)
class Entry:
    """One rating of the owner, with its comment; private."""

    row: int
    """Row of the catalogue; -1 where the catalogue no longer lists the item."""
    item: str
    """Id of the item."""
    title: str
    """Title, or the id where the catalogue no longer lists it."""
    stars: float
    at: int
    """Seconds since 1970; 0 where unknown."""
    comment: str
    """"" where there is none."""
    published: bool
    """Whether the owner published the comment."""


@dataclass(frozen=True)
class Added:
    """What `Device.add` took in."""

    added: int
    """Ratings of items that had none."""
    changed: int
    """Ratings that replaced an older one of the same item."""
    comments: int
    """Of all these, how many carry a comment."""


class Diary:
    """The owner's own things; every change is on disk when its method returns."""

    def __init__(self, books: Books, shelf: Shelf) -> None:
        self._books, self._shelf = books, shelf

    @property
    def _scale(self) -> Scale:
        return self._books.settings.rating_scale

    @property
    def history(self) -> History:
        """What the model computes with: rated rows, r', comment lengths, acts; oldest first."""
        known = [event for event in self._books.events if event.item in self._shelf.rows]
        acts = {record["item"]: record["act"] for record in self._books.store.table("acts")}
        lengths = np.array([len(event.comment) for event in known], dtype=np.int64)
        return History(
            np.array([self._shelf.rows[event.item] for event in known], dtype=np.int64),
            self._scale.to_unit([event.stars for event in known]),
            lengths if lengths.any() else None,
            np.array([acts.get(event.item, np.nan) for event in known]) if acts else None,
        )

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All ratings, oldest first."""
        return tuple(self._entry(event) for event in self._books.events)

    @property
    def hidden(self) -> Ints:
        """Rows that the owner wants to see less of, oldest first, (h,)."""
        rows = [
            self._shelf.rows[item]
            for item in self._books.settings.hidden
            if item in self._shelf.rows
        ]
        return np.array(rows, dtype=np.int64)

    def add(self, file: Path) -> Added:
        """Take in a CSV of ratings: item_id (or title), rating [, timestamp, comment].

        All rows or none. A bad row names file, line, column and the value's kind, never the value.

        Raises:
            DataError: the file cannot be read, or a row is bad.
        """
        new, comments = read_events(file, self._scale, self._shelf.id_of)
        old = {event.item: event for event in self._books.events}
        if not comments:  # a table of ratings alone takes no comment away
            new = [
                replace(e, comment=old[e.item].comment, published=old[e.item].published)
                if e.item in old
                else e
                for e in new
            ]
        events = merged(self._books.events, new)
        self._replace(events)
        taken = [event for event in events if old.get(event.item) != event]
        return Added(
            added=sum(event.item not in old for event in taken),
            changed=sum(event.item in old for event in taken),
            comments=sum(bool(event.comment) for event in taken),
        )

    def rate(self, row: int, stars: float, comment: str | None, now: int) -> Entry:
        """Rate an item, again if need be; None keeps the comment there was, "" removes it.

        Raises:
            DataError: the stars are not on the scale, or there is no such row.
        """
        item, old = self._item(row), self._event(row)
        stars = checked_stars(stars, self._scale)
        kept = old.comment if old else ""
        text = kept if comment is None else clean_text(comment, MAX_COMMENT)[0]
        same = bool(old and old.published and text == kept)
        newest = max((event.at for event in self._books.events), default=0)
        at = max(now, newest)  # a clock put back makes nothing older
        event = Event(item, stars, at, text, same)
        self._replace(merged(self._books.events, [event]))
        return self._entry(event)

    def forget(self, row: int) -> Entry:
        """Delete a rating, its comment and all that was noted of the item, as if never there.

        The vector of the last answer goes as well, with the bytes that were made of it.

        Raises:
            DataError: the item was not rated.
        """
        item, event = self._item(row), self._rated(row)
        acts = [record for record in self._books.store.table("acts") if record["item"] != item]
        events, outbox = without(self._books.events, item), self._books.outbox
        hidden = tuple(other for other in self._books.settings.hidden if other != item)
        self._free_to_change()
        self._books.commit(
            settings=replace(self._books.settings, hidden=hidden),
            events=events,
            outbox=None if outbox is None else {**outbox, "residues": "", "vector": None},
            tables={"acts": acts, "vectors": pruned(self._books, events)},
            scrub=True,
        )
        return self._entry(event)

    def publish(self, row: int, now: int) -> Entry:
        """Mark the comment on an item as published, and write its receipt; outside ε, for good.

        Raises:
            DataError: there is no comment on the item, or it is published already.
        """
        event = self._rated(row)
        if not event.comment or event.published:
            raise DataError(
                "an item must have a comment that is not published yet, got none.",
                hint="write one: `privet client rate DIR ITEM STARS --comment TEXT`.",
            )
        self._free_to_change()
        chain, text = self._books.chain, event.comment.encode()
        chain.add(
            Receipt(
                seq=0, prev="", act=0, created_at=now,
                status="prepared", kind="publication", upload_bytes=len(text),
                payload=hashlib.sha256(text).hexdigest(), contains=("the comment's text",),
                purpose="The owner publishes a comment.",
                protection="None: whoever reads it can tell who writes like that.",
            ),
            self._books.settings.key,
        )  # fmt: skip
        published = replace(event, published=True)
        events = [published if e.item == event.item else e for e in self._books.events]
        self._books.commit(events=events, chain=chain)
        return self._entry(published)

    def hide(self, row: int, *, undo: bool = False) -> None:
        """Remember "less like this" of an item, or take it back; stays on the device."""
        item = self._item(row)
        hidden = tuple(other for other in self._books.settings.hidden if other != item)
        self._free_to_change()
        after = replace(self._books.settings, hidden=hidden if undo else (*hidden, item))
        self._books.commit(settings=after, scrub=undo)

    def note(self, row: int, act: Act) -> None:
        """Remember what the owner did with the comments of an item; stays on the device."""
        item, records = self._item(row), self._books.store.table("acts")
        old = next((record["act"] for record in records if record["item"] == item), 0.0)
        new = 0.0 if act == "seen" else 1.0
        others = [record for record in records if record["item"] != item]
        self._free_to_change()
        self._books.commit(tables={"acts": [*others, {"item": item, "act": max(old, new)}]})

    def _item(self, row: int) -> str:
        """Return the id of a row of the catalogue."""
        if not 0 <= row < len(self._shelf.catalogue):
            raise DataError(
                f"a row must be in [0, {len(self._shelf.catalogue)}).", hint="use `find`."
            )
        return self._shelf.catalogue.item_ids[row]

    def _event(self, row: int) -> Event | None:
        item = self._item(row)
        return next((event for event in self._books.events if event.item == item), None)

    def _rated(self, row: int) -> Event:
        event = self._event(row)
        if event is None:
            raise DataError("an item must be rated, it is not.", hint="see what is: `… status`.")
        return event

    def _entry(self, event: Event) -> Entry:
        row = self._shelf.rows.get(event.item, -1)
        title = self._shelf.catalogue.titles[row] if row >= 0 else event.item
        return Entry(row, event.item, title, event.stars, event.at, event.comment, event.published)

    def _replace(self, events: list[Event]) -> None:
        """Write the events; a text that is gone is overwritten too, with its vector."""
        self._free_to_change()
        texts = {event.comment for event in events}
        gone = any(event.comment and event.comment not in texts for event in self._books.events)
        tables = {"vectors": pruned(self._books, events)} if gone else None
        self._books.commit(events=events, tables=tables, scrub=gone)

    def _free_to_change(self) -> None:
        free_to_change(self._books)


def free_to_change(books: Books) -> None:
    """Refuse to change what was moved to another device.

    Raises:
        DataError: it was, or is being moved.
    """
    if books.settings.moved != "no":
        raise DataError(
            "a device that was moved must not change here.",
            hint="use the imported one; `privet client erase DIR --yes` removes this one; "
            "if no export was written, export again.",
        )


def now_s() -> int:
    """Return the device's own clock in seconds."""
    return int(time.time())
