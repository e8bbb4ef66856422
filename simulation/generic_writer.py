# SPDX-License-Identifier: Apache-2.0
"""Write a data set in the generic layout, so that reading it back gives the same data."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.atomic import replace_file
from simulation.dataset import Dataset


def write(folder: Path, dataset: Dataset) -> None:
    """Write interactions, items, comments, events, users and the declaration.

    Raises:
        EnvironmentFault: the folder cannot be written.
    """
    events, items = dataset.interactions, dataset.items
    users = dataset.users
    _table(
        folder / "interactions.csv",
        ("user_id", "item_id", "rating", "timestamp", "comment", "helpful"),
        (
            (users[u], items.ids[i], _number(r), t, c, _number(h))
            for u, i, r, t, c, h in zip(*vars(events).values(), strict=True)
        ),
    )
    numbers = sorted(items.numbers)
    _table(
        folder / "items.csv",
        ("item_id", "title", "genres", "description", "year", *numbers),
        (
            (
                items.ids[j],
                items.titles[j],
                "|".join(items.categories[j]),
                items.descriptions[j],
                _number(items.years[j]),
                *(_number(items.numbers[name][j]) for name in numbers),
            )
            for j in range(len(items))
        ),
    )
    _optional(folder, dataset)
    replace_file(folder / "dataset.toml", _declaration(dataset).encode())


def _optional(folder: Path, dataset: Dataset) -> None:
    """Write published comments, comment events and private attributes where there are any."""
    users, ids = dataset.users, dataset.items.ids
    if (told := dataset.public_comments) is not None:
        rows = zip(told.items, told.texts, told.authors, told.helpful, strict=True)
        _table(
            folder / "comments.csv",
            ("item_id", "text", "user_id", "helpful"),
            ((ids[i], text, users[a] if a >= 0 else "", _number(h)) for i, text, a, h in rows),
        )
    if (seen := dataset.comment_events) is not None:
        marks = zip(*vars(seen).values(), strict=True)
        _table(
            folder / "comment_events.csv",
            ("user_id", "item_id", "interested", "opened", "timestamp"),
            ((users[u], ids[i], mark, opened, at) for u, i, mark, opened, at in marks),
        )
    if dataset.attributes:
        columns = [dataset.attributes[name] for name in dataset.attributes]
        _table(
            folder / "users.csv",
            ("user_id", *dataset.attributes),
            zip(users, *columns, strict=True),
        )


def _table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write one CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    replace_file(path, text.getvalue().encode())


def _number(value: float) -> str:
    """Write a number without a needless fraction, an unknown one as nothing."""
    if np.isnan(value):
        return ""
    return str(int(value)) if value == int(value) else repr(float(value))


def _declaration(dataset: Dataset) -> str:
    """Write dataset.toml."""
    scale = dataset.scale
    lines = [
        f'name = "{dataset.name}"',
        f'domain = "{dataset.domain}"',
        f"comments = {'true' if dataset.comments_declared else 'false'}",
        "[scale]",
        f"low = {scale.low}",
        f"high = {scale.high}",
        f"step = {scale.step}",
    ]
    for name, (low, high) in dataset.bounds.items():
        lines += [f"[numbers.{name}]", f"low = {low}", f"high = {high}"]
    return "\n".join(lines) + "\n"
