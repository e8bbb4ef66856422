# SPDX-License-Identifier: Apache-2.0
"""From cleaned events and items to a `Dataset` in canonical order: the last step of a layout."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.errors import DataError
from shared.listing.items import add_unlisted, build_items
from shared.schema import MAX_NAME, Interactions, Ints, Items, Scale, clean_text
from simulation.dataset import CleaningReport, Dataset, Rows
from simulation.layouts.events import Events

ID_SET_PUBLIC = (
    "no items file: the catalogue is made out of the ratings, so the set of item ids is public."
)


def assemble(
    name: str,
    scale: Scale,
    events: Events,
    items: Items | None,
    fired: Counter[str],
    **more: Any,
) -> Dataset:
    """Join events and catalogue, keep the last of duplicates, sort by user, then time.

    Args:
        name: Name of the data set, for reports.
        scale: The declared scale.
        events: Clean events in file order.
        items: The catalogue; None makes it out of the events, with a warning.
        fired: Counts of the cleaning rules.
        **more: Further fields of `Dataset`.

    Raises:
        DataError: Fewer than two users.
    """
    warnings: tuple[str, ...] = tuple(more.pop("warnings", ()))
    named = natural_order(events.item_ids)
    if items is None:
        items = build_items((), {}, Counter())
        items, warnings = add_unlisted(items, named, Counter()), (*warnings, ID_SET_PUBLIC)
    else:
        items = add_unlisted(items, named, fired)
    users = natural_order(events.user_ids)
    if len(users) < 2:
        raise DataError(
            f"a data set must have at least 2 users, got {len(users)}.",
            hint="a federation learns from many people; add the ratings of others.",
        )
    table = Interactions(
        _recode(events.user_ids, users)[events.users],
        _recode(events.item_ids, items.ids)[events.items],
        events.ratings,
        events.timestamps,
        events.comments,
        events.helpful,
    )
    rows = canonical_rows(table, len(items))
    fired["duplicate"] += len(table) - len(rows)
    more.setdefault("comments_declared", False)
    return Dataset(
        name=name,
        scale=scale,
        users=users,
        items=items,
        interactions=table.take(rows),
        cleaning=CleaningReport.of(fired),
        warnings=warnings,
        **more,
    )


def canonical_rows(table: Interactions, items: int) -> Rows:
    """Return the rows to keep, the last of each (user, item), by user, time, file order."""
    order = np.lexsort((table.timestamps, table.users))  # stable: ties stay in file order
    pairs = (table.users * items + table.items)[order]
    _, last = np.unique(pairs[::-1], return_index=True)
    kept: Rows = order[np.sort(len(pairs) - 1 - last)]
    return kept


def natural_order(ids: Sequence[str]) -> tuple[str, ...]:
    """Sort ids as numbers where all of them are whole numbers, else as text."""
    if all(name.isascii() and name.isdigit() for name in ids):
        return tuple(sorted(ids, key=lambda name: (int(name), name)))
    return tuple(sorted(ids))


def _recode(old: Sequence[str], new: Sequence[str]) -> Ints:
    """Return, for each old code, the row of that id in the new order."""
    rows = {name: row for row, name in enumerate(new)}
    return np.array([rows[name] for name in old], dtype=np.int64)


def rows_of(names: Sequence[str], ids: Sequence[str]) -> Ints:
    """Return the rows of the names among the clean ids, -1 where a name is unknown."""
    rows = {name: row for row, name in enumerate(ids)}
    found = (rows.get(name, -1) for name in names)
    return np.array(
        [
            row if row >= 0 else rows.get(clean_text(name, MAX_NAME)[0], -1)
            for row, name in zip(found, names, strict=True)
        ],
        dtype=np.int64,
    )
