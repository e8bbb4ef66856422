# SPDX-License-Identifier: Apache-2.0
"""MovieLens 100K: u.data, u.item (latin-1), u.genre, u.user, official folds u1-u5, ua, ub.

Source: Harper and Konstan (2015), "The MovieLens Datasets". https://doi.org/10.1145/2827872
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from shared.errors import DataError
from shared.listing.items import ItemRow, build_items, enrich, require_file, require_id
from shared.listing.reading import split_rows
from shared.schema import Scale
from simulation.dataset import Dataset, Fold, Rows
from simulation.layouts.assembly import assemble, rows_of
from simulation.layouts.events import EventRow, read_events

NAME = "MovieLens 100K"
FILES = "u.data, u.item, u.genre [+ u.user, u1.base, u1.test, ...]"
SCALE = Scale(1, 5)
FOLDS = ("u1", "u2", "u3", "u4", "u5", "ua", "ub")


def detect(folder: Path) -> bool:
    """Say whether the folder holds MovieLens 100K."""
    return (folder / "u.data").is_file()


def read(folder: Path) -> Dataset:
    """Read the folder."""
    fired: Counter[str] = Counter()
    path = folder / "u.data"
    events = read_events(_events(path), path, SCALE, fired)
    items = build_items(enrich(folder, _items(folder)), {}, fired)
    dataset = assemble("ml-100k", SCALE, events, items, fired)
    folds = Folds(folder, dataset)
    return replace(dataset, folds=folds, attributes=_attributes(folder, dataset))


def _events(path: Path) -> Iterator[EventRow]:
    for line, (user, item, rating, time) in split_rows(path, "\t", 4):
        yield line, user, item, rating, time, "", ""


def _items(folder: Path) -> Iterable[ItemRow]:
    """Read u.item: the genre "unknown" counts as no category."""
    genre_rows = split_rows(require_file(folder, "u.genre"), "|", 2, "latin-1")
    genres = [name for _, (name, _) in genre_rows]
    path = require_file(folder, "u.item")
    for line, (item, title, _, _, _, *flags) in split_rows(path, "|", 5 + len(genres), "latin-1"):
        require_id(path, line, "", item)
        named = (g for g, flag in zip(genres, flags, strict=True) if flag == "1" and g != "unknown")
        title = title if title != "unknown" else ""
        yield ItemRow(item, title, categories=tuple(named))  # the year is in the title


def _attributes(folder: Path, dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Read age, gender and occupation; the post code would identify people and is left out."""
    if not (folder / "u.user").is_file():
        return {}
    known = {row[0]: row[1:4] for _, row in split_rows(folder / "u.user", "|", 5)}
    table = [known.get(user, ("", "", "")) for user in dataset.users]
    return dict(zip(("age", "gender", "occupation"), zip(*table, strict=True), strict=True))


class Folds(Mapping[str, Fold]):
    """The official folds, each read when it is asked for."""

    def __init__(self, folder: Path, dataset: Dataset) -> None:
        self._names = [name for name in FOLDS if (folder / f"{name}.test").is_file()]
        self._folder = folder
        self._dataset = dataset

    def __getitem__(self, name: str) -> Fold:
        if name not in self._names:
            raise KeyError(name)
        return self._rows(f"{name}.base"), self._rows(f"{name}.test")

    def __contains__(self, name: object) -> bool:
        """Say whether there is such a fold, without reading it."""
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _rows(self, file: str) -> Rows:
        """Find the rows of the interactions that a fold's file names."""
        path = require_file(self._folder, file)
        users, items, _, _ = zip(*(row for _, row in split_rows(path, "\t", 4)), strict=True)
        data, events = self._dataset, self._dataset.interactions
        width = len(data.items)
        user_rows, item_rows = rows_of(users, data.users), rows_of(items, data.items.ids)
        wanted = np.where((user_rows < 0) | (item_rows < 0), -1, user_rows * width + item_rows)
        known = events.users * width + events.items
        order = np.argsort(known)
        place = np.searchsorted(known[order], wanted).clip(max=len(known) - 1)
        if (known[order][place] != wanted).any():
            raise DataError(
                f"{path} must name pairs of u.data alone, got another.", hint="fetch it again."
            )
        return np.sort(order[place])
