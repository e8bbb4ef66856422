# SPDX-License-Identifier: Apache-2.0
"""Write a data set in the generic layout, so that reading it back gives the same data."""

import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.atomic import replace_file
from shared.errors import EnvironmentFault
from simulation.dataset import Dataset


def write(folder: Path, dataset: Dataset) -> None:
    """Write interactions, items, comments, events, users and the declaration, all or nothing.

    Args:
        folder: A new or empty folder.
        dataset: What to write.

    Raises:
        EnvironmentFault: the folder cannot be written, or the disk is full; nothing is left.
    """
    beside = folder.absolute().parent
    temporary = ""
    try:
        beside.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.mkdtemp(prefix=f".{folder.name}.", dir=beside)
        made = Path(temporary) / "made"
        _write_files(made, dataset)
        os.replace(made, folder)
    except OSError as wrong:
        raise EnvironmentFault(
            f"{folder} must be a new or empty folder to write to, got: {wrong.strerror}.",
            hint="free some disk space, or name a folder that you may write to.",
        ) from wrong
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_files(folder: Path, dataset: Dataset) -> None:
    """Write the files one after another; the folder is not in its place yet."""
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


def _quoted(text: str) -> str:
    """Write a TOML string; JSON escapes are TOML's, and clean text holds no DEL."""
    return json.dumps(text, ensure_ascii=False)


def _declaration(dataset: Dataset) -> str:
    """Write dataset.toml."""
    scale = dataset.scale
    lines = [
        f"name = {_quoted(dataset.name)}",
        f"domain = {_quoted(dataset.domain)}",
        f"comments = {'true' if dataset.comments_declared else 'false'}",
        "[scale]",
        f"low = {scale.low}",
        f"high = {scale.high}",
        f"step = {scale.step}",
    ]
    for name, (low, high) in dataset.bounds.items():
        lines += [f"[numbers.{_quoted(name)}]", f"low = {low}", f"high = {high}"]
    return "\n".join(lines) + "\n"
