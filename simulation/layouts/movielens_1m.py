# SPDX-License-Identifier: Apache-2.0
"""MovieLens 1M and 10M: ratings.dat, movies.dat [+ users.dat], fields apart by `::`, latin-1.

Source: Harper and Konstan (2015), "The MovieLens Datasets". https://doi.org/10.1145/2827872
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from shared.listing.items import ItemRow, build_items, enrich, require_file, require_id
from shared.listing.reading import split_rows
from shared.schema import Scale
from simulation.dataset import Dataset
from simulation.layouts.assembly import assemble
from simulation.layouts.events import EventRow, read_events

NAME = "MovieLens 1M"
FILES = "ratings.dat, movies.dat [+ users.dat]"
SCALE = Scale(1, 5)


def detect(folder: Path) -> bool:
    """Say whether the folder holds MovieLens 1M."""
    return (folder / "ratings.dat").is_file()


def read(folder: Path) -> Dataset:
    """Read the folder."""
    fired: Counter[str] = Counter()
    path = folder / "ratings.dat"
    events = read_events(_events(path), path, SCALE, fired)
    items = build_items(enrich(folder, _items(folder)), {}, fired)
    dataset = assemble("ml-1m", SCALE, events, items, fired)
    return replace(dataset, attributes=_attributes(folder, dataset))


def _events(path: Path) -> Iterator[EventRow]:
    for line, (user, item, rating, time) in split_rows(path, "::", 4):
        yield line, user, item, rating, time, "", ""


def _items(folder: Path) -> Iterator[ItemRow]:
    path = require_file(folder, "movies.dat")
    for line, (item, title, genres) in split_rows(path, "::", 3, "latin-1"):
        require_id(path, line, "", item)
        yield ItemRow(item, title, categories=tuple(genres.split("|")))  # the year is in the title


def _attributes(folder: Path, dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Read gender, age group and occupation; the post code would identify people."""
    if not (folder / "users.dat").is_file():
        return {}
    known = {row[0]: row[1:4] for _, row in split_rows(folder / "users.dat", "::", 5, "latin-1")}
    table = [known.get(user, ("", "", "")) for user in dataset.users]
    return dict(zip(("gender", "age", "occupation"), zip(*table, strict=True), strict=True))
