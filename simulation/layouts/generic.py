# SPDX-License-Identifier: Apache-2.0
"""The generic layout, for anybody's own data; a folder that holds only `std/` is read as this.

    interactions.csv     user_id, item_id, rating [, timestamp or date, comment, summary, helpful]
    items.csv            item_id [, title, genres separated by |, description, year, numbers]
    comments.csv         item_id, text [, user_id of the author, helpful]: published comments
    comment_events.csv   user_id, item_id, interested 0 or 1 [, opened, timestamp]: private
    users.csv            user_id [, any attribute]: private
    dataset.toml         what is declared (`shared.listing.declaration`)

Only interactions.csv is required.
"""

import datetime
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from shared.listing.declaration import ASSUMED_SCALE, Declaration, declared
from shared.listing.items import build_items, csv_items
from shared.listing.reading import csv_header, csv_rows, refuse
from shared.schema import MAX_COMMENT, MAX_NAME, MAX_VOTES, Ints, clean_text, winsorise
from simulation.dataset import CleaningReport, CommentEvents, Dataset, PublicComments
from simulation.layouts.assembly import assemble, rows_of
from simulation.layouts.events import (
    Column,
    EventRow,
    clean_column,
    join_comment,
    read_events,
    seconds,
    votes_or_nan,
)

NAME = "Generic CSV"
FILES = "interactions.csv [+ items.csv, comments.csv, comment_events.csv, users.csv, dataset.toml]"


def detect(folder: Path) -> bool:
    """Say whether the folder, or `std/` in it, holds an interactions.csv."""
    return (_root(folder) / "interactions.csv").is_file()


def _root(folder: Path) -> Path:
    """Return the folder itself, or `std/` where only that has the table of ratings."""
    inner = folder / "std"
    return inner if not (folder / "interactions.csv").is_file() and inner.is_dir() else folder


def read(folder: Path) -> Dataset:
    """Read the folder."""
    root = _root(folder)
    fired: Counter[str] = Counter()
    found = declared(root) or declared(folder)
    told = found or Declaration()
    path = root / "interactions.csv"
    events = read_events(_events(path), path, told.scale, fired)
    catalogue = root / "items.csv"
    items = None
    if catalogue.is_file():
        items = build_items(csv_items(catalogue, told.bounds), told.bounds, fired)
    dataset = assemble(
        told.name or folder.resolve().name,
        told.scale,
        events,
        items,
        fired,
        comments_declared=told.comments,
        bounds=told.bounds if items is not None else {},
        domain=told.domain,
        warnings=() if found else (ASSUMED_SCALE,),
    )
    published, places = _public_comments(root / "comments.csv", dataset, fired)
    full = replace(
        dataset,
        public_comments=published,
        comment_events=_comment_events(root / "comment_events.csv", dataset, places, fired),
        attributes=_attributes(root / "users.csv", dataset),
    )
    return replace(full, cleaning=CleaningReport.of(fired))


def _events(path: Path) -> Iterator[EventRow]:
    """Read the ratings; a summary goes before the comment, a date stands in for a time stamp."""
    optional = ("timestamp", "date", "summary", "comment", "helpful")
    for line, row in csv_rows(path, ("user_id", "item_id", "rating"), optional):
        user, item, rating, time, date, summary, comment, helpful = row
        text = join_comment(summary, comment) if summary else comment
        yield line, user, item, rating, time or _midnight(date, path, line), text, helpful


def _midnight(date: str, path: Path, line: int) -> int | str:
    """Turn a date into seconds since 1970; an empty one stays empty."""
    if not date.strip():
        return ""
    try:
        day = datetime.datetime.fromisoformat(date.strip())
    except ValueError:
        raise refuse(path, line, "date", "a date such as 2021-03-28 or empty", "text") from None
    return int((day if day.tzinfo else day.replace(tzinfo=datetime.UTC)).timestamp())


def _public_comments(
    path: Path, dataset: Dataset, fired: Counter[str]
) -> tuple[PublicComments | None, Ints]:
    """Read the published comments; those on unknown items are left out and counted.

    Returns:
        The comments, and for each row of the file its row among them, -1 where it was left out.
    """
    if not path.is_file():
        return None, np.zeros(0, dtype=np.int64)
    table = list(csv_rows(path, ("item_id", "text"), ("user_id", "helpful")))
    lines, rows = zip(*table, strict=True) if table else ((), ())
    items, texts, authors, votes = zip(*rows, strict=True) if rows else ((), (), (), ())
    helpful = Column(path, "helpful", lines).numbers(votes, votes_or_nan, "a number or empty")
    helpful, moved = winsorise(helpful, 0, MAX_VOTES)
    fired["winsorise"] += moved
    rows_item = rows_of(items, dataset.items.ids)
    known = np.flatnonzero(rows_item >= 0)
    fired["unrated-comment"] += len(table) - len(known)
    cleaned = clean_column(texts, fired, MAX_COMMENT)
    places = np.full(len(table), -1, dtype=np.int64)
    places[known] = np.arange(len(known))
    told = PublicComments(
        items=rows_item[known],
        authors=rows_of(authors, dataset.users)[known],
        texts=tuple(cleaned[row] for row in known),
        helpful=helpful[known],
    )
    return told, places


def _comment_events(
    path: Path, dataset: Dataset, places: Ints, fired: Counter[str]
) -> CommentEvents | None:
    """Read what users did on comment pages; events of unknown users or items are left out."""
    if not path.is_file():
        return None
    optional = ("opened", "timestamp")
    table = list(csv_rows(path, ("user_id", "item_id", "interested"), optional))
    lines, rows = zip(*table, strict=True) if table else ((), ())
    users, items, marks, opened, times = zip(*rows, strict=True) if rows else ((),) * 5
    interested = Column(path, "interested", lines).integers(marks, _mark, "0 or 1")
    shown = Column(path, "opened", lines).integers(
        opened, partial(_place, places), "a row of comments.csv, counted from 0, or empty"
    )
    stamps = Column(path, "timestamp", lines).integers(times, seconds, "seconds or empty")
    user_rows, item_rows = rows_of(users, dataset.users), rows_of(items, dataset.items.ids)
    known = (user_rows >= 0) & (item_rows >= 0)
    fired["unrated-comment"] += len(table) - int(known.sum())
    columns = (user_rows, item_rows, interested, shown, stamps)
    return CommentEvents(*(column[known] for column in columns))


def _place(places: Ints, text: str) -> int:
    """Read a row of comments.csv, counted from 0; empty or -1 is -1, unknown."""
    row = int(text) if text.strip() else -1
    if not -1 <= row < len(places):
        raise ValueError("a row must be in comments.csv")
    return int(places[row]) if row >= 0 else -1


def _mark(text: str) -> int:
    """Read 0 or 1."""
    if text.strip() not in ("0", "1"):
        raise ValueError("a mark must be 0 or 1")
    return int(text)


def _attributes(path: Path, dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Read the private attributes of the users, "" where unknown."""
    if not path.is_file():
        return {}
    names = tuple(name for name in csv_header(path) if name != "user_id")
    known = {
        clean_text(user, MAX_NAME)[0]: tuple(clean_text(value, MAX_NAME)[0] for value in values)
        for _, (user, *values) in csv_rows(path, ("user_id", *names))
    }
    table = [known.get(user, ("",) * len(names)) for user in dataset.users]
    return dict(zip(names, zip(*table, strict=True), strict=True))
