# SPDX-License-Identifier: Apache-2.0
"""Files that a device is made of, written for one user of a data set."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.catalogue import Catalogue, save_catalogue
from shared.features import build_catalogue, item_text
from shared.model.file import save_model
from shared.model.released import SharedModel
from shared.model.statistics import ItemStatistics
from shared.text.encoder import CharacterEncoder
from simulation.dataset import Dataset


@dataclass(frozen=True)
class Files:
    """What an operator publishes, and the table of one user's ratings."""

    catalogue: Path
    model: Path
    comments: Path
    mine: Path
    listed: Catalogue
    user: int
    scale: str


def write_files(folder: Path, dataset: Dataset, *, first: int | None = None) -> Files:
    """Write the files of the user with most ratings; `first`: of these, the oldest so many."""
    encoder = CharacterEncoder(512)
    vectors = encoder.encode(item_text(dataset.items))
    listed, basis = build_catalogue(dataset.items, vectors, encoder=encoder.name)
    save_catalogue(folder / "catalogue.safetensors", listed, basis)
    model = SharedModel.of_items(listed, statistics_of(dataset))
    (folder / "model.safetensors").write_bytes(save_model(model))
    user = int(np.bincount(dataset.interactions.users).argmax())
    scale = dataset.scale
    files = Files(
        folder / "catalogue.safetensors",
        folder / "model.safetensors",
        _write_comments(folder / "public.csv", dataset),
        folder / "mine.csv",
        listed,
        user,
        f"{scale.low:g}:{scale.high:g}:{scale.step:g}",
    )
    write_ratings(files.mine, dataset, user, first)
    return files


def statistics_of(dataset: Dataset) -> ItemStatistics:
    """Return item statistics as if their sums had been released without noise."""
    events, items = dataset.interactions, len(dataset.items)
    count = np.bincount(events.items, minlength=items).astype(float)
    total = np.bincount(events.items, dataset.scale.to_unit(events.ratings), items)
    popularity = np.log(count + 0.5)
    popularity = (popularity - popularity.mean()) / popularity.std()
    mean = total / (count + 5.0)
    return ItemStatistics(mean - mean.mean(), count + 0.05, popularity)


def write_ratings(path: Path, dataset: Dataset, user: int, first: int | None = None) -> None:
    """Write one user's ratings as the table that `privet client add` takes."""
    events = dataset.interactions
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["item_id", "rating", "timestamp", "comment"])
        for row in np.flatnonzero(events.users == user)[:first]:
            table.writerow(
                [
                    dataset.items.ids[events.items[row]],
                    f"{events.ratings[row]:g}",
                    events.timestamps[row],
                    events.comments[row],
                ]
            )


def _write_comments(path: Path, dataset: Dataset) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["item_id", "text", "user_id", "helpful"])
        spoken = dataset.public_comments
        if spoken is not None:
            for item, text, votes in zip(spoken.items, spoken.texts, spoken.helpful, strict=True):
                table.writerow([dataset.items.ids[item], text, "", f"{votes:g}"])
    return path
