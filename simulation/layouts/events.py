# SPDX-License-Identifier: Apache-2.0
"""From rows of strings to clean private events: chunk by chunk, checks vectorised, time linear.

A chunk is turned into arrays at once; only when an array cannot be made, or a check fails, is the
chunk searched for the first bad row, to name its line and the value's kind.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.errors import DataError
from shared.listing.reading import refuse
from shared.schema import (
    MAX_COMMENT,
    MAX_NAME,
    MAX_VOTES,
    Floats,
    Ints,
    Scale,
    clean_text,
    rating_kind,
    scale_faults,
    winsorise,
)

EventRow = tuple[int, str, str, Any, Any, str, Any]
"""Line, user, item, rating, timestamp, comment, helpful; numbers as strings or numbers."""

COLUMNS = ("user_id", "item_id", "rating", "timestamp", "comment", "helpful")
CHUNK = 1 << 17


@dataclass(frozen=True)
class Events:
    """Events in file order, duplicates included; users and items are codes into the id lists."""

    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    users: Ints
    items: Ints
    ratings: Floats
    timestamps: Ints
    comments: npt.NDArray[np.object_]
    helpful: Floats


class Codes(dict[str, int]):
    """Numbers ids in order of appearance; spellings that clean to the same id share a number."""

    def __init__(self) -> None:
        super().__init__()
        self.clean: dict[str, int] = {}

    def __missing__(self, raw: str) -> int:
        name, _ = clean_text(str(raw), MAX_NAME)
        if not name or raw is None:
            raise ValueError("an id is empty")
        code = self[raw] = self.clean.setdefault(name, len(self.clean))
        return code


def clean_column(texts: Iterable[str], fired: Counter[str], cap: int) -> list[str]:
    """Clean a column of texts and count the rules that changed one."""
    cleaned = []
    for raw in texts:
        text = raw
        if raw:
            text, rules = clean_text(raw, cap)
            fired.update(rules)
        cleaned.append(text)
    return cleaned


def read_events(
    rows: Iterable[EventRow],
    path: Path,
    scale: Scale,
    fired: Counter[str],
    *,
    columns: Sequence[str] = COLUMNS,
) -> Events:
    """Read, check and clean events.

    Args:
        rows: One tuple an event.
        path: The file they come from, for messages.
        scale: The declared scale; a rating off it is refused.
        fired: Counts of the cleaning rules, added to.
        columns: What the file calls the six columns, for messages.

    Returns:
        The events in file order.

    Raises:
        DataError: A bad row: file, line, column and kind, never the value.
    """
    users, items = Codes(), Codes()
    chunks = [
        _read_chunk(chunk, (users, items), (path, columns), scale, fired) for chunk in _chunks(rows)
    ]
    if not chunks:
        raise DataError(f"{path} must hold ratings, got none.", hint="add a row for each rating.")
    joined: list[Any] = [np.concatenate(parts) for parts in zip(*chunks, strict=True)]
    return Events(tuple(users.clean), tuple(items.clean), *joined)


def _chunks(rows: Iterable[EventRow]) -> Iterator[list[EventRow]]:
    stream = iter(rows)
    while chunk := list(islice(stream, CHUNK)):
        yield chunk


def _read_chunk(
    chunk: list[EventRow],
    codes: tuple[Codes, Codes],
    source: tuple[Path, Sequence[str]],
    scale: Scale,
    fired: Counter[str],
) -> tuple[npt.NDArray[Any], ...]:
    """Turn one chunk into the six arrays of `Events`."""
    lines, users, items, stars, times, texts, votes = zip(*chunk, strict=True)
    path, names = source
    at = [Column(path, name, lines) for name in names]
    helpful, moved = winsorise(
        at[5].numbers(votes, votes_or_nan, "a number or empty"), 0, MAX_VOTES
    )
    fired["winsorise"] += moved
    comments = np.empty(len(chunk), dtype=object)
    comments[:] = clean_column(texts, fired, MAX_COMMENT)
    return (
        at[0].integers(users, codes[0].__getitem__, "a user's id"),
        at[1].integers(items, codes[1].__getitem__, "an item's id"),
        _ratings(at[2], stars, scale),
        at[3].integers(times, seconds, "seconds since 1970 or empty"),
        comments,
        helpful,
    )


def _ratings(column: "Column", stars: Sequence[Any], scale: Scale) -> Floats:
    """Read ratings and refuse the first one that is off the declared scale."""
    ratings = column.numbers(stars, float, f"a number from {scale.low:g} to {scale.high:g}")
    bad = np.flatnonzero(scale_faults(ratings, scale))
    if len(bad):
        raise refuse(
            column.path,
            column.lines[bad[0]],
            column.name,
            f"on the declared scale, {scale.low:g} to {scale.high:g} in steps of {scale.step:g}",
            rating_kind(ratings[bad[0]], scale),
            "correct the row, or declare the true scale in dataset.toml.",
        )
    return ratings


@dataclass(frozen=True)
class Column:
    """Where values come from, to turn them into an array or to name the first bad one."""

    path: Path
    name: str
    lines: Sequence[int]

    def numbers(self, values: Sequence[Any], read: Callable[[Any], float], rule: str) -> Floats:
        """Read float64 values, or raise the error of the first that cannot be read."""
        try:
            return np.fromiter(map(read, values), np.float64, len(values))
        except (ValueError, TypeError, OverflowError):
            raise self._refusal(values, read, rule) from None

    def integers(self, values: Sequence[Any], read: Callable[[Any], int], rule: str) -> Ints:
        """Read int64 values, or raise the error of the first that cannot be read."""
        try:
            return np.fromiter(map(read, values), np.int64, len(values))
        except (ValueError, TypeError, OverflowError):
            raise self._refusal(values, lambda v: np.int64(read(v)), rule) from None

    def _refusal(self, values: Sequence[Any], read: Callable[[Any], Any], rule: str) -> DataError:
        """Return the error for the first value that cannot be read."""
        for line, value in zip(self.lines, values, strict=True):
            try:
                read(value)
            except (ValueError, TypeError, OverflowError):
                return refuse(self.path, line, self.name, rule, _kind(value))
        return refuse(self.path, self.lines[0], self.name, rule, "an unreadable column")


def join_comment(summary: str, text: str) -> str:
    """Put the summary before the text, as a sentence of its own."""
    summary, text = summary.strip(), text.strip()
    if not summary or not text:
        return summary or text
    return f"{summary} {text}" if summary[-1] in ".!?…。！？" else f"{summary}. {text}"


def seconds(value: Any) -> int:
    """Read a time stamp; an empty one is 0, unknown."""
    return int(float(value)) if value else 0


def votes_or_nan(value: Any) -> float:
    """Read helpful votes; empty is NaN, unknown, but a written NaN is refused."""
    if value == "" or value is None:
        return np.nan
    number = float(value)
    if np.isnan(number):
        raise ValueError("votes are not a number")
    return number


def _kind(value: Any) -> str:
    """Describe a value without telling it."""
    if value is None or not str(value).strip():
        return "nothing"
    try:
        number = float(value)
    except (ValueError, TypeError):
        return "text"
    return "NaN" if np.isnan(number) else "a number out of range"
