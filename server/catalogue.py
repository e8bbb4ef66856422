# SPDX-License-Identifier: Apache-2.0
"""The operator's catalogue: built once from a table of items, then continued, never fitted again.

    build     encodes the texts, fits the basis, drafts the policy
    update    projects new items on that basis, moves changed texts by the policy's α

An update is a file of its own: rounds go on with the catalogue that the run began with, and the
release takes the newest version up. Items keep their rows; one that a table lacks stays.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from server.folder import UPDATED, OperatorFolder
from server.items import Say, changed, digests, note, noted, read_items, some
from server.setup import set_choice, take_catalogue
from shared.atomic import replace_file
from shared.catalogue import (
    Catalogue,
    FeatureBasis,
    catalogue_version,
    load_catalogue,
    save_catalogue,
)
from shared.comments_file import mean_by_item, read_table
from shared.errors import DataError, UsageError
from shared.features import build_catalogue, item_text, project
from shared.privacy.policy import Policy
from shared.renewal import extend, renew_texts
from shared.schema import Floats, Ints, Items
from shared.text.encoder import Encoder, load_encoder


@dataclass(frozen=True)
class Updated:
    """What an update did."""

    items: int
    """Items of the new version."""
    new: int
    texts: int
    """Known items whose text changed."""
    facts: int
    """Known items of which something else changed: category, year, number, title."""
    absent: int
    """Known items that the table does not list; they stay."""
    version: str


def build(
    folder: OperatorFolder,
    source: Path,
    *,
    encoder: str | None = None,
    comments: Path | None = None,
    say: Say = lambda line: None,
) -> Policy:
    """Make the catalogue, put it in place and draft the policy that goes with it.

    Args:
        folder: The operator's.
        source: A catalogue.safetensors, an items.csv, or a folder that holds one.
        encoder: Kept in config.toml where it is given.
        comments: The operator's own public comments; where items have no text, theirs stand in.
        say: Where progress goes.

    Raises:
        DataError: A file is not what it must be.
        EnvironmentFault: The encoder is not here.
        UsageError: A run began with the catalogue there is.
        CohortTooSmall: No plan fits it.
    """
    if (folder.path / "ledger" / "records.jsonl").exists():
        raise UsageError(
            "a run must go on with the catalogue that it began with, and has begun.",
            hint="`privet server catalogue update DIR ITEMS` continues it.",
        )
    if encoder is not None:
        set_choice(folder, "encoder", encoder)
    if comments is not None:
        take_comments(folder, comments)
    if source.suffix == ".safetensors":
        drafted = take_catalogue(folder, source)
    else:
        items = read_items(source, say)
        catalogue, basis = _fitted(folder, items, say)
        note(folder, catalogue_version(catalogue, basis), digests(items))
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / "catalogue.safetensors"
            save_catalogue(file, catalogue, basis)
            drafted = take_catalogue(folder, file)
    (folder.path / UPDATED).unlink(missing_ok=True)
    return drafted


def update(
    folder: OperatorFolder,
    source: Path,
    *,
    comments: Path | None = None,
    say: Say = lambda line: None,
) -> Updated:
    """Continue the catalogue: new items behind the known ones, changed texts moved by α.

    The policy's `text_alpha` is α. The version is taken up at the next release.

    Raises:
        DataError: There is no catalogue yet, or a file is not what it must be.
        EnvironmentFault: The encoder of the basis is not here.
    """
    if not folder.catalogue_file.exists():
        raise DataError(
            "a catalogue must be built before it is updated, and is not.",
            hint="`privet server catalogue build DIR ITEMS`.",
        )
    alpha = float(folder.draft.text_alpha)
    if comments is not None:
        take_comments(folder, comments)
    catalogue, basis, version = load_catalogue(folder.newest_file)
    items = read_items(source, say)
    told, before = digests(items), noted(folder, version)
    place = {name: row for row, name in enumerate(catalogue.item_ids)}
    known = [row for row, name in enumerate(items.ids) if name in place]
    fresh = [row for row, name in enumerate(items.ids) if name not in place]
    titles = {name: catalogue.titles[row] for name, row in place.items()}
    moved = [row for row in known if changed(items, row, 0, told, before, titles)]
    fixed = [row for row in known if changed(items, row, 1, told, before, titles)]
    if basis.projection("text") is None:
        moved = []
    after = _with_facts(catalogue, basis, some(items, fixed), place)
    vectors = _encoded(folder, basis, some(items, [*moved, *fresh]), say)
    if moved and vectors is not None:
        rows = np.array([place[items.ids[row]] for row in moved], dtype=np.int64)
        after = _narrow(renew_texts(after, basis, rows, vectors[: len(moved)], alpha))
    if fresh:
        tail = None if vectors is None else vectors[len(moved) :]
        after = extend(after, basis, some(items, fresh), tail)
    found = catalogue_version(after, basis)
    note(folder, found, before | told)
    if found != version:
        save_catalogue(folder.path / UPDATED, after, basis)
    absent = len(place) - len(known)
    return Updated(len(after), len(fresh), len(moved), len(fixed), absent, found)


def take_comments(folder: OperatorFolder, source: Path) -> int:
    """Keep the operator's own public comments; return how many there are.

    Raises:
        DataError: The file is no such table.
    """
    count = len(read_table(source))
    if source.resolve() != folder.comments_file:
        replace_file(folder.comments_file, source.read_bytes())
    return count


def _fitted(folder: OperatorFolder, items: Items, say: Say) -> tuple[Catalogue, FeatureBasis]:
    """Encode all texts and fit the basis."""
    encoder, texts = load_encoder(folder.config.encoder), item_text(items)
    vectors = _encode(encoder, texts, say) if any(texts) else None
    spoken = None
    if vectors is None and folder.comments_file.exists():
        place = {name: row for row, name in enumerate(items.ids)}
        told = [(place[i], one.text) for i, one in read_table(folder.comments_file) if i in place]
        if told:
            rows, words = zip(*told, strict=True)
            spoken = mean_by_item(rows, _encode(encoder, words, say), len(items))
    name = "" if vectors is None and spoken is None else encoder.name
    return build_catalogue(items, vectors, comment_vectors=spoken, encoder=name)


def _encoded(
    folder: OperatorFolder, basis: FeatureBasis, items: Items, say: Say
) -> npt.NDArray[np.float32] | None:
    """Encode texts as the basis was; None where it has no text.

    Raises:
        UsageError: config.toml names another encoder than the one that the basis was made with.
    """
    if basis.projection("text") is None or not len(items):
        return None
    encoder = load_encoder(folder.config.encoder)
    if basis.encoder and encoder.name != basis.encoder:
        raise UsageError(
            f"new texts must be encoded as the catalogue was, by {basis.encoder}, got "
            f"{encoder.name}.",
            hint=f"set `encoder` in {folder.path}/config.toml.",
        )
    return _encode(encoder, item_text(items), say)


def _encode(encoder: Encoder, texts: Sequence[str], say: Say) -> npt.NDArray[np.float32]:
    """Encode texts and say so."""
    say(f"encoding {len(set(texts))} texts with {encoder.name.split('@')[0]}")
    return encoder.encode(texts)


def _with_facts(
    catalogue: Catalogue, basis: FeatureBasis, items: Items, place: dict[str, int]
) -> Catalogue:
    """Replace what is known of some items beside their text."""
    if not len(items):
        return catalogue
    anew = project(basis, items, None)
    rows = np.array([place[name] for name in items.ids], dtype=np.int64)
    features = catalogue.features.copy()
    for block in catalogue.blocks:
        if block.kind != "text":
            part = slice(block.start, block.stop)
            features[rows, part] = anew.features[:, part]
    titles = list(catalogue.titles)
    for row, title in zip(rows.tolist(), items.titles, strict=True):
        titles[row] = title
    return replace(
        catalogue,
        titles=tuple(titles),
        features=features,
        categories=_at(catalogue.categories, rows, anew.categories),
        log_age=_at(catalogue.log_age, rows, anew.log_age),
    )


def _at(values: Floats, rows: Ints, new: Floats) -> Floats:
    """Return a copy with other values at some rows."""
    changed = values.copy()
    changed[rows] = new
    return changed


def _narrow(catalogue: Catalogue) -> Catalogue:
    """Round what moved to single precision, as the rest is: half the file."""
    single = {
        name: getattr(catalogue, name).astype(np.float32).astype(np.float64)
        for name in ("features", "text")
    }
    return replace(catalogue, **single)
