# SPDX-License-Identifier: Apache-2.0
"""Nothing of a rating or a comment is readable anywhere on the disk, whatever command ran.

Planted words stand in titles of rated items, in their ids and in comments. After every command all
bytes of the device's folder, of the caches and of the temporary folder are searched for them, as
text and in the encodings that files use. Public files name every item, so they are searched for
comments alone.
"""

import base64
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client.device import Device
from client.encoder import load_encoder
from shared.catalogue import save_catalogue
from shared.errors import DataError, Refusal
from shared.features import build_catalogue, item_text
from simulation.dataset import Dataset
from tests.client.made_store import MARKERS, joined, question, view

PUBLIC = ("catalogue.safetensors", "model.safetensors", "comments.csv")
TITLE, COMMENT, PUBLISHED, ATTRIBUTE = MARKERS


@pytest.fixture
def planted(hamlet: Dataset, tmp_path: Path) -> Path:
    """A catalogue in which one item's id and title are planted words."""
    titles = (f"The {TITLE} of Spring", *hamlet.items.titles[1:])
    items = replace(hamlet.items, titles=titles, ids=(TITLE, *hamlet.items.ids[1:]))
    encoder = load_encoder("characters")
    vectors = np.asarray(encoder.encode(item_text(items)))
    catalogue, basis = build_catalogue(items, vectors, encoder=encoder.name)
    save_catalogue(tmp_path / "catalogue.safetensors", catalogue, basis)
    return tmp_path / "catalogue.safetensors"


def spellings(word: str) -> list[bytes]:
    """Return a word in the encodings that files use."""
    plain = word.encode()
    shifted = [base64.b64encode(pad + plain)[4:-4] for pad in (b"abc", b"abcd", b"abcde")]
    return [plain, plain.upper(), word.encode("utf-16-le"), plain.hex().encode(), plain[::-1],
            *shifted]  # fmt: skip


def traces(root: Path, *leave: Path) -> list[str]:
    """Return where planted words are readable below a folder."""
    found = []
    for path in root.rglob("*"):
        if not path.is_file() or path in leave:
            continue
        data = path.read_bytes()
        words = (COMMENT, PUBLISHED, ATTRIBUTE) if path.name in PUBLIC else MARKERS
        found += [f"{word} in {path.name}" for word in words
                  for spelled in spellings(word) if spelled in data]  # fmt: skip
    return found


def test_search_finds_what_is_planted(tmp_path: Path) -> None:
    for word in MARKERS:
        for n, data in enumerate([word.encode(), base64.b64encode(b"12" + word.encode() + b"3")]):
            (tmp_path / f"{word}{n}").write_bytes(b"\0" * 100 + data + b"\0")
    assert {line.split()[0] for line in traces(tmp_path)} == set(MARKERS)


def test_no_command_leaves_a_trace(
    planted: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command of the device as a process of its own, searched while it holds the store."""
    cache, temporary = tmp_path / "cache", tmp_path / "tmp"
    temporary.mkdir()
    table = tmp_path / "ratings.csv"
    table.write_text(f"item_id,rating,comment\n{TITLE},5,A {COMMENT} of a film.\n")
    profile = tmp_path / "profile.toml"
    profile.write_text(f"[attributes]\n{ATTRIBUTE} = 3\n")
    secret = tmp_path / "word"
    secret.write_text("a long passphrase")
    moved = tmp_path / "moved.privet"
    other = tmp_path / "other"
    environment = {**os.environ, "TMPDIR": str(temporary), "PRIVET_CACHE_DIR": str(cache),
                   "XDG_CACHE_HOME": str(cache), "SQLITE_TMPDIR": str(temporary),
                   "PRIVET_EXPORT_PASSPHRASE_FILE": str(secret)}  # fmt: skip
    commands = [
        ["init", home, "--catalogue", planted],
        ["add", home, table],
        ["rate", home, f"The {TITLE}", "4", "--comment", f"Rather {PUBLISHED}, I think."],
        ["profile", home, profile],
        ["status", home],
        ["receipts", home],
        ["preview", home],
        ["publish", home, TITLE, "--yes"],
        ["verify", home],
        ["rate", home, TITLE, "9"],
        ["add", home, planted],
        ["pause", home],
        ["resume", home],
        ["export", home, moved],
        ["import", moved, other],
        ["forget", other, TITLE],
        ["erase", home, "--yes"],
    ]
    for words in commands:
        done = subprocess.run(
            [sys.executable, "privet.py", "client", *map(str, words)],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in (0, 10), done.stderr
        assert traces(tmp_path, table, profile, planted) == [], words
        private = (COMMENT, PUBLISHED, ATTRIBUTE)
        assert not any(word in done.stderr for word in private), words
    assert list(temporary.iterdir()) == []


def test_no_trace_while_the_store_is_open(planted: Path, home: Path) -> None:
    """The write-ahead log and whatever else an open store holds, after every act."""
    with Device.create(home, planted) as device:
        row, items = device.find(TITLE), len(device.catalogue)
        acts = [
            lambda: device.rate(row, 5, f"So {COMMENT}."),
            lambda: device.note(row, "opened"),
            lambda: device.hide(row),
            lambda: device.set_attributes({ATTRIBUTE: 1.0}),
            lambda: device.encode_comments(),
            lambda: joined(device).answer(question(items), view(items), "s", now=2000),
            lambda: device.preview(),
            lambda: device.preview(last=True),
            lambda: device.sent("s", 1),
            lambda: device.rate(row, 1, f"Now {PUBLISHED}."),
            lambda: device.forget(row),
        ]
        for act in acts:
            act()
            assert (home / "device.db-wal").exists()
            assert traces(home) == []


def test_vectors_of_comments_are_sealed_and_go_with_them(device: Device) -> None:
    device.rate(1, 4, "A hedge in spring.")
    device.rate(2, 4, "A frost in autumn.")
    assert device.own_comments().missing == 2
    assert device.encode_comments() == 2
    assert device.encode_comments() == 0
    vectors = device.own_comments().vectors
    assert vectors.shape == (2, 2048)
    places = np.flatnonzero(vectors[0])
    raw = vectors[0].astype("<f4")[places[0] :].tobytes()[:160]
    for path in device.folder.iterdir():
        assert raw not in path.read_bytes()
        assert base64.b64encode(raw)[:40] not in path.read_bytes()
    device.rate(1, 4, "Another text.")
    device.forget(2)
    assert device.own_comments().missing == 1
    assert device._store.table("vectors") == []


def test_comments_of_a_catalogue_whose_encoder_is_missing_stay_without_vectors(
    device: Device,
) -> None:
    device.rate(1, 4, "A hedge in spring.")
    device._shelf.__dict__["listed"] = (
        device.catalogue, replace(device.basis, encoder="none@0"),
    )  # fmt: skip
    assert device.encode_comments() == 0
    assert device.own_comments().missing == 1


def test_forgotten_event_leaves_the_state_as_if_it_had_never_been(
    public: Path, tmp_path: Path
) -> None:
    """Segment by segment the same plaintext, history, vectors and answers."""

    def lived(name: str, *, extra: bool) -> dict[str, object]:
        with Device.create(tmp_path / name, public / "catalogue.safetensors") as device:
            for row in range(30):
                device.rate(row, 1 + row % 5, f"note {row}", now=100 + row)
                if extra and row == 11:
                    device.rate(44, 5, f"{COMMENT}", now=111)
                    device.note(44, "opened")
                    device.hide(44)
            device.encode_comments()
            if extra:
                device.forget(44)
            own = device.history
            tables = {name: device._store.table(name) for name in ("events", "acts", "vectors")}
            settings = {**device._store.table("settings")[0], "identity": ""}
            return {
                **tables, "settings": settings, "items": own.items.tolist(),
                "ratings": own.ratings.tolist(), "rated": device.model.rate(
                    own, np.arange(len(device.catalogue))).tolist(),
                "comments": device.own_comments().vectors.tolist(),
            }  # fmt: skip

    with_it, never = lived("a", extra=True), lived("b", extra=False)
    assert json.dumps(with_it) == json.dumps(never)


def test_forgotten_seal_is_overwritten_on_disk(device: Device) -> None:
    device.rate(1, 5, "to be forgotten")
    sealed = device._store._one("SELECT sealed FROM segments WHERE tab = 'events'")[200:260]
    assert any(sealed in path.read_bytes() for path in device.folder.iterdir())
    device.forget(1)
    assert not any(sealed in path.read_bytes() for path in device.folder.iterdir())


def test_forgetting_takes_the_event_out_of_the_last_answer_too(device: Device) -> None:
    """The vector before the noise, and its own share of noise, are derived from the rating."""
    device.rate(1, 5)
    items = len(device.catalogue)
    config, asked = question(items), view(items)
    joined(device).answer(config, asked, "s", now=2000)
    device.forget(1)
    (outbox,) = device._store.table("outbox")
    assert outbox["vector"] is None
    assert outbox["residues"] == ""
    assert device.preview().kind == "example"
    with pytest.raises(DataError):
        device.preview(last=True)
    assert isinstance(device.answer(config, asked, "s", now=3000), Refusal)
    device.sent("s", 10)
    device.verify()
