# SPDX-License-Identifier: Apache-2.0
"""The file of public comments: who is in it, its vectors, and that the one before is gone."""

from pathlib import Path

import numpy as np
import pytest

import server.comments as module
from server.comments import publish_comments
from server.folder import OperatorFolder
from server.publications import Publications
from shared.comments_file import load_comments
from shared.errors import EnvironmentFault
from shared.features import build_catalogue, item_text
from shared.publication import state
from shared.text.encoder import load_encoder
from simulation.dataset import Dataset
from tests.federation.made import seeded_key
from tests.federation.street import found

KEY, NAME = seeded_key("author"), b"\xaa" * 16
DIRECTORY = {NAME: KEY.public_key().public_bytes_raw()}


class Short:
    """An encoder of four numbers that counts what it is asked."""

    name = "short@1"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: list[str]) -> np.ndarray:
        self.asked += texts
        return np.tile(np.array([1, 0, 0, 0], np.float32), (len(texts), 1))


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> Short:
    made = Short()
    monkeypatch.setattr(module, "load_encoder", lambda choice: made)
    return made


@pytest.fixture
def folder(tmp_path: Path, hamlet: Dataset) -> OperatorFolder:
    vectors = np.asarray(load_encoder("characters").encode(item_text(hamlet.items)))
    catalogue, basis = build_catalogue(hamlet.items, vectors, encoder="short@1")
    return found(tmp_path / "operator", catalogue, basis, users=5, dropout=0.3)


def say(folder: OperatorFolder, number: int, row: int, text: str) -> None:
    item = folder.catalogue.item_ids[row]
    Publications(folder.publications).keep(NAME.hex(), state(KEY, "5e" * 16, number, item, text))


def test_no_comment_makes_no_file(folder: OperatorFolder) -> None:
    before = sorted(folder.files.iterdir())
    assert publish_comments(folder, DIRECTORY) == ""
    assert sorted(folder.files.iterdir()) == before


def test_equal_comments_make_one_file_and_are_encoded_once(
    folder: OperatorFolder, encoder: Short
) -> None:
    say(folder, 1, 3, "green")
    name = publish_comments(folder, DIRECTORY)
    assert publish_comments(folder, DIRECTORY) == name
    say(folder, 2, 4, "tall")
    assert publish_comments(folder, DIRECTORY) != name
    assert encoder.asked == ["green", "tall"]


def test_the_file_before_is_deleted(folder: OperatorFolder, encoder: Short) -> None:
    say(folder, 1, 3, "green")
    first = publish_comments(folder, DIRECTORY)
    say(folder, 2, 3, "")
    assert publish_comments(folder, DIRECTORY) == ""
    assert not (folder.files / first).exists()
    say(folder, 3, 3, "green")
    second = publish_comments(folder, DIRECTORY)
    assert load_comments((folder.files / second).read_bytes()).texts == ("green",)


def test_the_file_holds_vectors_texts_and_ids_and_no_author(
    folder: OperatorFolder, encoder: Short
) -> None:
    folder.comments_file.write_text(
        f"item_id,text,user_id\n{folder.catalogue.item_ids[1]},of the house,me\n"
    )
    say(folder, 1, 3, "green")
    data = (folder.files / publish_comments(folder, DIRECTORY)).read_bytes()
    file = load_comments(data)
    assert (file.encoder, file.texts, file.vectors.shape) == (
        "short@1", ("of the house", "green"), (2, 4),
    )  # fmt: skip
    assert file.ids[0] == ""
    assert len(file.ids[1]) == 64
    assert NAME.hex().encode() not in data
    assert DIRECTORY[NAME].hex().encode() not in data


def test_without_the_catalogues_encoder_the_file_has_no_vectors(
    folder: OperatorFolder, monkeypatch: pytest.MonkeyPatch, encoder: Short
) -> None:
    def missing(choice: str) -> Short:
        raise EnvironmentFault("an encoder must be installed.")

    say(folder, 1, 3, "green")
    encoder.name = "another@2"
    file = load_comments((folder.files / publish_comments(folder, DIRECTORY)).read_bytes())
    assert (file.encoder, file.vectors.shape) == ("", (1, 0))
    monkeypatch.setattr(module, "load_encoder", missing)
    say(folder, 2, 4, "tall")
    file = load_comments((folder.files / publish_comments(folder, DIRECTORY)).read_bytes())
    assert file.vectors.shape == (2, 0)


def test_devices_outside_the_directory_are_left_out(folder: OperatorFolder, encoder: Short) -> None:
    say(folder, 1, 3, "green")
    assert publish_comments(folder, {}) == ""
