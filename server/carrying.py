# SPDX-License-Identifier: Apache-2.0
"""A released model and the newest catalogue: the one is carried to the other, at no cost.

Rounds go on with the catalogue that the run began with, because its size is the size of what is
asked. An update in between is taken up here, at the release: new items get what public features
say of them, changed texts move their items. Only what is public enters, so this is
post-processing; the ledger lists the longer model as a release of the same sums.
"""

import json
from dataclasses import dataclass

from server.book import Book
from server.folder import UPDATED, OperatorFolder
from shared.atomic import replace_file
from shared.catalogue import load_catalogue
from shared.model.extension import renewed
from shared.model.file import save_model
from shared.model.released import SharedModel

CARRIED = "carried.json"


@dataclass(frozen=True)
class Released:
    """SHA-256 of the files that go out together."""

    model: str
    catalogue: str


def carry(folder: OperatorFolder, model: SharedModel, name: str, book: Book) -> Released:
    """Put the model for the newest catalogue in place, and into the ledger where it is another.

    Args:
        folder: The operator's.
        model: The released model, of the catalogue that the run began with.
        name: SHA-256 of its file.
        book: The open ledger.

    Returns:
        The model for the newest catalogue, and that catalogue.
    """
    listed = folder.publish(folder.newest_file.read_bytes())  # an update may come any moment
    if (folder.path / UPDATED).exists():
        name = _carried(folder, model, name, listed)
        book.carry(name)
    replace_file(folder.path / "model.safetensors", (folder.files / name).read_bytes())
    return Released(name, listed)


def _carried(folder: OperatorFolder, model: SharedModel, name: str, listed: str) -> str:
    """Return the name of the carried file; one is made once, so that a restart names the same."""
    catalogue, _, _ = load_catalogue(folder.files / listed)
    path, source = folder.path / CARRIED, {"model": name, "catalogue": listed}
    if path.exists():
        told = json.loads(path.read_bytes())
        made = told.pop("file")
        if told == source:
            return str(made)
    made = folder.publish(save_model(renewed(model, catalogue)))
    replace_file(path, json.dumps({**source, "file": made}).encode())
    return made
