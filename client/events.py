# SPDX-License-Identifier: Apache-2.0
"""The owner's ratings and comments as a list, oldest first, each item at most once.

Every change is a function from list to list. An event that is taken out leaves the list as if it
had never been in it, and nothing derived from it is kept anywhere else.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import DataError
from shared.schema import MAX_COMMENT, Scale, clean_text, rating_kind, scale_faults

ITEM = ("item_id", "item", "title")
RATING = ("rating", "stars")
TIME = ("timestamp", "time")
COMMENT = ("comment", "text")
MAX_TIME = 2**40


@dataclass(frozen=True)
class Event:
    """One rating with its comment; private."""

    item: str
    """Id of the item."""
    stars: float
    at: int
    """Seconds since 1970; 0 where unknown."""
    comment: str = ""
    published: bool = False

    def record(self) -> dict[str, Any]:
        """Return what the store seals."""
        return asdict(self)

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Event":
        """Read a sealed record."""
        return cls(**record)


def merged(events: Sequence[Event], new: Sequence[Event]) -> list[Event]:
    """Return the events with new ones in place of old ones of the same item, oldest first.

    An old one stays where both times are known and it is the newer.

    Example:
        >>> [e.item for e in merged([Event("a", 4, 1), Event("b", 3, 2)], [Event("a", 5, 3)])]
        ['b', 'a']
    """
    last = {event.item: event for event in sorted(new, key=lambda event: event.at)}
    kept = []
    for event in events:
        if event.item in last and event.at > last[event.item].at > 0:
            del last[event.item]
        if event.item not in last:
            kept.append(event)
    return sorted([*kept, *last.values()], key=lambda event: event.at)


def without(events: Sequence[Event], item: str) -> list[Event]:
    """Return the events but that of one item."""
    return [event for event in events if event.item != item]


def checked_stars(stars: float, scale: Scale) -> float:
    """Return a rating that is on the scale.

    Raises:
        DataError: it is not; the message names its kind, never its value.
    """
    value = float(stars)
    if scale_faults(np.array([value]), scale).any():
        raise DataError(
            f"a rating must be on the scale {describe(scale)}, got {rating_kind(value, scale)}.",
            hint="give a rating of that scale.",
        )
    return value


def describe(scale: Scale) -> str:
    """Spell a scale."""
    step = f" in steps of {scale.step:g}" if scale.step else ""
    return f"{scale.low:g} to {scale.high:g}{step}"


def read_events(
    path: Path, scale: Scale, find: Callable[[str], str | None]
) -> tuple[list[Event], bool]:
    """Read a CSV of ratings, all rows or none.

    Args:
        path: A table with a header: item_id or title, rating [, timestamp, comment].
        scale: The declared scale.
        find: From an id or a title to the item's id, None where the catalogue lists none such.

    Returns:
        The events in the order of the rows, and whether the table has a column of comments.

    Raises:
        DataError: the file cannot be read, or a row is bad: file, line, column and the value's
            kind, never the value.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            columns = _columns(path, next(reader, []))
            return list(_rows(path, reader, columns, scale, find)), "comment" in columns
    except OSError as wrong:
        raise DataError(
            f"{path} must be a readable file, got: {wrong.strerror}.", hint="check its name."
        ) from None
    except UnicodeDecodeError:
        raise DataError(f"{path} must be UTF-8 text.", hint="save it as UTF-8.") from None
    except csv.Error:
        raise DataError(
            f"{path} must be a CSV file, got one whose quotations or fields do not end.",
            hint="write a quotation mark inside a field as two of them.",
        ) from None


def _columns(path: Path, header: Sequence[str]) -> dict[str, int]:
    """Return where each known column stands."""
    names = [name.strip().lower() for name in header]
    found = {
        kind[0]: names.index(name)
        for kind in (ITEM, RATING, TIME, COMMENT)
        for name in reversed(kind)
        if name in names
    }
    for kind in (ITEM, RATING):
        if kind[0] not in found:
            raise DataError(
                f"{path} line 1 must name a column {' or '.join(kind)}, got none of them.",
                hint="the header is item_id,rating[,timestamp,comment].",
            )
    return {"width": len(names), **found}


def _rows(
    path: Path,
    reader: Any,
    columns: dict[str, int],
    scale: Scale,
    find: Callable[[str], str | None],
) -> Iterator[Event]:
    """Yield the events of a table's rows."""

    def refuse(column: str, rule: str, kind: str) -> DataError:
        return DataError(
            f"{path} line {reader.line_num}, column {column}: must be {rule}, got {kind}.",
            hint="correct the row; nothing of the file was taken in.",
        )

    for row in reader:
        if not row:
            continue
        if len(row) != columns["width"]:
            raise refuse("all", f"{columns['width']} fields", f"{len(row)}")
        item = find(row[columns["item_id"]].strip())
        if item is None:
            kind = "an item that is not there" if row[columns["item_id"]].strip() else "nothing"
            raise refuse("item_id", "an id or a title of the catalogue", kind)
        stars = _number(row[columns["rating"]])
        if stars is None or scale_faults(np.array([stars]), scale).any():
            kind = "no number" if stars is None else rating_kind(stars, scale)
            raise refuse("rating", f"a rating on the scale {describe(scale)}", kind)
        seconds = _seconds(row[columns["timestamp"]]) if "timestamp" in columns else 0
        if seconds is None:
            raise refuse("timestamp", "seconds since 1970", "no such number")
        comment = row[columns["comment"]] if "comment" in columns else ""
        yield Event(item, stars, seconds, clean_text(comment, MAX_COMMENT)[0])


def _number(text: str) -> float | None:
    """Return a number, None where the text is none."""
    try:
        return float(text)
    except ValueError:
        return None


def _seconds(text: str) -> int | None:
    """Return a time in seconds, 0 where the text is empty, None where it is no time."""
    value = _number(text) if text.strip() else 0.0
    return int(value) if value is not None and 0 <= value < MAX_TIME else None
