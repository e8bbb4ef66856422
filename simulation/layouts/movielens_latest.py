# SPDX-License-Identifier: Apache-2.0
"""MovieLens latest, 20M, 25M, 32M: ratings.csv, movies.csv [+ tags.csv], half stars.

A person's tags on a film they rated are read as one short comment. Tags are not reviews, so
comments are not declared, and no budget is ever spent on them.

Source: Harper and Konstan (2015), "The MovieLens Datasets". https://doi.org/10.1145/2827872
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from shared.listing.items import ItemRow, build_items, enrich, require_file, require_id
from shared.listing.reading import csv_rows
from shared.schema import Scale
from simulation.dataset import Dataset
from simulation.layouts.assembly import assemble
from simulation.layouts.events import EventRow, read_events

NAME = "MovieLens latest, 20M and later"
FILES = "ratings.csv, movies.csv [+ tags.csv]"
SCALE = Scale(0.5, 5, 0.5)
COLUMNS = ("userId", "movieId", "rating", "timestamp")


def detect(folder: Path) -> bool:
    """Say whether the folder holds a MovieLens of the CSV form."""
    return (folder / "ratings.csv").is_file() and (folder / "movies.csv").is_file()


def read(folder: Path) -> Dataset:
    """Read the folder."""
    fired: Counter[str] = Counter()
    path = folder / "ratings.csv"
    tags = _tags(folder / "tags.csv")
    names = (*COLUMNS, "tag", "")
    events = read_events(_events(path, tags), path, SCALE, fired, columns=names)
    fired["unrated-comment"] += len(tags)
    items = build_items(enrich(folder, _items(folder)), {}, fired)
    return assemble("ml-latest", SCALE, events, items, fired)


def _tags(path: Path) -> dict[tuple[str, str], str]:
    """Join each person's tags on each film."""
    tags: dict[tuple[str, str], str] = {}
    if path.is_file():
        for _, (user, item, tag) in csv_rows(path, ("userId", "movieId", "tag")):
            before = tags.get((user, item))
            tags[user, item] = f"{before}, {tag}" if before else tag
    return tags


def _events(path: Path, tags: dict[tuple[str, str], str]) -> Iterator[EventRow]:
    """Read ratings; each takes its tags out, so that those without a rating are left over."""
    for line, (user, item, rating, time) in csv_rows(path, COLUMNS):
        yield line, user, item, rating, time, tags.pop((user, item), ""), ""


def _items(folder: Path) -> Iterator[ItemRow]:
    path = require_file(folder, "movies.csv")
    for line, (item, title, genres) in csv_rows(path, ("movieId", "title", "genres")):
        require_id(path, line, "movieId", item)
        named = () if genres == "(no genres listed)" else tuple(genres.split("|"))
        yield ItemRow(item, title, categories=named)
