# SPDX-License-Identifier: Apache-2.0
"""From an items file to the public catalogue as text: titles, years, categories, descriptions."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from shared.errors import DataError
from shared.listing.reading import csv_header, csv_rows, refuse
from shared.schema import (
    MAX_DESCRIPTION,
    MAX_NAME,
    Floats,
    Items,
    clean_text,
    known_years,
    winsorise,
)

_TITLE_YEAR = re.compile(r"\((\d{4})\)(?:\s*\([^()]*\))?\s*$")
_DATE_YEAR = re.compile(r"^\s*(\d{4})(?!\d)")

ITEM_FILES = ("items.csv", "std/items.csv")
"""Where a folder of any layout may keep titles, descriptions and numbers."""


@dataclass(frozen=True)
class ItemRow:
    """One item as a file gives it."""

    id: str
    title: str = ""
    description: str = ""
    categories: tuple[str, ...] = ()
    year: str = ""
    """Year or a date that starts with it; "" to take it from a title such as "Heat (1995)"."""
    numbers: Mapping[str, float] = field(default_factory=dict)


def build_items(
    rows: Iterable[ItemRow], bounds: Mapping[str, tuple[float, float]], fired: Counter[str]
) -> Items:
    """Clean the rows of a catalogue; of one id the last row stays, in the first one's place."""
    kept: dict[str, ItemRow] = {}
    for row in rows:
        name, _ = clean_text(row.id, MAX_NAME)
        kept[name] = _clean_row(row, fired)
    items = list(kept.values())
    years, outside = known_years(np.array([_year(row) for row in items], dtype=np.float64))
    fired["year"] += outside
    return Items(
        ids=tuple(kept),
        titles=tuple(row.title for row in items),
        descriptions=tuple(row.description for row in items),
        categories=tuple(row.categories for row in items),
        years=years,
        numbers={name: _numbers(name, items, bounds[name], fired) for name in bounds},
    )


def _clean_row(row: ItemRow, fired: Counter[str]) -> ItemRow:
    """Clean the texts of one row and count the rules that fired."""

    def clean(raw: str, cap: int) -> str:
        text, rules = clean_text(raw, cap)
        fired.update(rules)
        return text

    title, description = clean(row.title, MAX_NAME), clean(row.description, MAX_DESCRIPTION)
    fired["missing-text"] += (not title) + (not description)
    categories = (clean(name, MAX_NAME) for name in row.categories)
    return replace(
        row,
        title=title,
        description=description,
        categories=tuple(dict.fromkeys(name for name in categories if name)),
    )


def _year(row: ItemRow) -> float:
    """Read the year of release from the year column, else from the end of the title."""
    found = _DATE_YEAR.search(row.year) if row.year else _TITLE_YEAR.search(row.title)
    return float(found[1]) if found else np.nan


def _numbers(
    name: str, items: list[ItemRow], bounds: tuple[float, float], fired: Counter[str]
) -> Floats:
    """Collect one numeric column, within its public bounds."""
    values = np.array([row.numbers.get(name, np.nan) for row in items], dtype=np.float64)
    within, moved = winsorise(values, *bounds)
    fired["winsorise"] += moved
    return within


def csv_items(path: Path, numbers: Iterable[str] = ()) -> Iterable[ItemRow]:
    """Read the rows of an items.csv; only `item_id` is required.

    Args:
        path: The file; optional columns are title, description, genres (separated by |), year or
            release (a date).
        numbers: Names of the numeric columns, which must then exist.

    Raises:
        DataError: A missing column, an empty id or an unreadable number, by file and line.
    """
    numbers = tuple(numbers)
    dated = "year" if "year" in csv_header(path) else "release"
    optional = ("title", "description", "genres", dated)
    for line, (item, *values) in csv_rows(path, ("item_id", *numbers), optional):
        require_id(path, line, "item_id", item)
        read = {
            name: _number(path, line, name, value)
            for name, value in zip(numbers, values, strict=False)
        }
        title, description, genres, year = values[len(numbers) :]
        yield ItemRow(item, title, description, tuple(genres.split("|")), year, read)


def require_id(path: Path, line: int, column: str, item: str) -> None:
    """Refuse an item without a name."""
    if not clean_text(item, MAX_NAME)[0]:
        raise refuse(path, line, column, "an item's id", "nothing")


def _number(path: Path, line: int, column: str, value: str) -> float:
    try:
        number = float(value) if value.strip() else np.nan
    except ValueError:
        raise refuse(path, line, column, "a number or empty", "text") from None
    if np.isinf(number) or (np.isnan(number) and value.strip()):
        raise refuse(path, line, column, "a finite number or empty", "NaN or infinity")
    return number


def enrich(folder: Path, rows: Iterable[ItemRow]) -> Iterable[ItemRow]:
    """Add the descriptions that `items.csv` or `std/items.csv` in the folder knows, by item id."""
    found = next((folder / name for name in ITEM_FILES if (folder / name).is_file()), None)
    if found is None:
        return rows
    if "description" not in csv_header(found):
        return rows
    known = {item: text for _, (item, text) in csv_rows(found, ("item_id", "description"))}
    return (replace(row, description=row.description or known.get(row.id, "")) for row in rows)


def add_unlisted(items: Items, ids: Iterable[str], fired: Counter[str]) -> Items:
    """Append the items that only the ratings name, without any text."""
    known = set(items.ids)
    missing = tuple(name for name in ids if name not in known)
    if not missing:
        return items
    fired["unlisted-item"] += len(missing)
    unknown = np.full(len(missing), np.nan)
    blank = ("",) * len(missing)
    return Items(
        ids=items.ids + missing,
        titles=items.titles + blank,
        descriptions=items.descriptions + blank,
        categories=items.categories + ((),) * len(missing),
        years=np.concatenate([items.years, unknown]),
        numbers={name: np.concatenate([col, unknown]) for name, col in items.numbers.items()},
    )


def require_file(folder: Path, *names: str) -> Path:
    """Return the first of the named files that exists in the folder."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(
        f"{folder} must hold {' or '.join(names)}, got no such file.",
        hint="copy the whole data set into the folder.",
    )
