# SPDX-License-Identifier: Apache-2.0
"""Tables of items on the operator's side: read, and noted by hash, so that a change is seen.

    texts/<version>.json    hashes of what each item of a version of the catalogue said

The hashes lie there before the version that they are named by, so an update that is cut off and
run again moves nothing twice.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from server.folder import OperatorFolder
from shared.atomic import replace_file
from shared.errors import DataError
from shared.features import item_text
from shared.listing.declaration import Declaration, declared
from shared.listing.items import ITEM_FILES, build_items, csv_items
from shared.schema import Items

Say = Callable[[str], None]
Digests = dict[str, tuple[str, str]]
"""Item to the hashes of its text and of its other facts."""


def read_items(source: Path, say: Say = lambda line: None) -> Items:
    """Read a table of items: the generic layout's items.csv, or a folder that holds one.

    Numeric columns are those that a dataset.toml beside it declares, within its bounds.

    Raises:
        DataError: There is no such file, or a row is bad.
    """
    file = source
    if source.is_dir():
        found = next((source / name for name in ITEM_FILES if (source / name).is_file()), None)
        if found is None:
            raise DataError(
                f"{source} must hold {' or '.join(ITEM_FILES)}, got no such file.",
                hint="item_id, title, genres (separated by |), description, year are its columns.",
            )
        file = found
    told = declared(file.parent) or (declared(source) if source.is_dir() else None) or Declaration()
    fired: Counter[str] = Counter()
    items = build_items(csv_items(file, told.bounds), told.bounds, fired)
    say(f"{file.name}: {len(items)} items")
    for rule, count in sorted(fired.items()):
        if count:
            say(f"  cleaned by rule {rule}: {count}")
    return items


def digests(items: Items) -> Digests:
    """Return the hashes of what each item says, and of what else is known of it."""
    facts = (
        [
            items.titles[row],
            items.categories[row],
            repr(float(items.years[row])),
            {name: repr(float(column[row])) for name, column in items.numbers.items()},
        ]
        for row in range(len(items))
    )
    return {
        name: (_hash(text), _hash(json.dumps(fact, sort_keys=True)))
        for name, text, fact in zip(items.ids, item_text(items), facts, strict=True)
    }


def changed(
    items: Items, row: int, part: int, told: Digests, before: Digests, titles: dict[str, str]
) -> bool:
    """Say whether the text (0) or another fact (1) of a known item is another than before.

    Where nothing was noted of it (the catalogue came as a file), its title alone can tell.
    """
    name = items.ids[row]
    if name not in before:
        return items.titles[row] != titles[name]
    return told[name][part] != before[name][part]


def some(items: Items, rows: Sequence[int]) -> Items:
    """Return some of the items."""
    index = np.array(rows, dtype=np.int64)
    return Items(
        tuple(items.ids[row] for row in rows),
        tuple(items.titles[row] for row in rows),
        tuple(items.descriptions[row] for row in rows),
        tuple(items.categories[row] for row in rows),
        items.years[index],
        {name: column[index] for name, column in items.numbers.items()},
    )


def noted(folder: OperatorFolder, version: str) -> Digests:
    """Return what was noted of a version's items, empty where nothing was."""
    path = folder.path / "texts" / f"{version}.json"
    if not path.exists():
        return {}
    return {name: (text, facts) for name, (text, facts) in json.loads(path.read_bytes()).items()}


def note(folder: OperatorFolder, version: str, told: Digests) -> None:
    """Note what a version's items say."""
    path = folder.path / "texts" / f"{version}.json"
    replace_file(path, json.dumps(told, ensure_ascii=False).encode())


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
