# SPDX-License-Identifier: Apache-2.0
"""`privet client …`, as people call it: a whole life of a device, in text and JSON."""

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
from privet import main
from shared.catalogue import save_catalogue
from shared.features import build_catalogue, item_text
from simulation.dataset import Dataset
from simulation.layouts import load
from simulation.village import village
from tests.client.made_store import joined, question, view
from tests.simulation.made import DATA

CONTRACT = (
    "init", "add", "rate", "publish", "forget", "recommend", "explain", "status", "receipts",
    "preview", "ui", "pause", "resume", "leave", "erase", "export", "import", "verify",
)  # fmt: skip


class Shell:
    """Runs commands in this process and keeps what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: object, code: int = 0) -> str:
        done = main(["client", *map(str, words)])
        shown = self._capsys.readouterr()
        assert done == code, shown.err
        if code:
            assert shown.out == ""
            assert shown.err.count("error:") == shown.err.count("hint:") == 1
            return shown.err
        return shown.out

    def json(self, *words: object) -> dict:
        said = self(*words, "--format", "json")
        assert said.count("\n") == 1
        return json.loads(said)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    for name in ("CREDENTIALS_DIRECTORY", "PRIVET_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return Shell(capsys)


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "passphrase"
    path.write_text("a long passphrase\n")
    monkeypatch.setenv("PRIVET_EXPORT_PASSPHRASE_FILE", str(path))
    monkeypatch.setattr("client.transfer.MEMORY_KIB", 1024)
    return path


def test_titles_of_a_hostile_catalogue_command_no_terminal(
    shell: Shell, tmp_path: Path, hamlet: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = np.asarray(load_encoder("characters").encode(item_text(hamlet.items)))
    catalogue, basis = build_catalogue(hamlet.items, vectors)
    titles = tuple(f"\x1b[2J\x9b31m\u202e{title}" for title in catalogue.titles)
    file = tmp_path / "catalogue.safetensors"
    save_catalogue(file, replace(catalogue, titles=titles), basis)
    home = tmp_path / "home"
    shell("init", home, "--catalogue", file)
    said = [
        shell("rate", home, catalogue.item_ids[3], 4),
        shell("recommend", home),
        shell("recommend", home, "--format", "json"),
        shell("explain", home, catalogue.item_ids[5]),
        shell("preview", home),
        shell("explain", home, "\x1b[2J", code=2),
    ]
    assert not any(mark in text for text in said for mark in "\x1b\x9b\u202e")
    assert json.loads(said[2])["items"][0]["title"] in titles


def test_a_folder_that_holds_no_device_is_left_as_it_is(shell: Shell, tmp_path: Path) -> None:
    assert "must hold a device" in shell("run", tmp_path / "nowhere", code=10)
    assert not (tmp_path / "nowhere").exists()


def published(dataset: Dataset, folder: Path) -> None:
    """Write the catalogue of a data set, its public comments, and one user's ratings."""
    encoder = load_encoder("characters")
    vectors = np.asarray(encoder.encode(item_text(dataset.items)))
    catalogue, basis = build_catalogue(dataset.items, vectors, encoder=encoder.name)
    save_catalogue(folder / "catalogue.safetensors", catalogue, basis)
    events = dataset.interactions
    mine = events.take(events.users == 0)
    rows = [
        f'{dataset.items.ids[item]},{stars:g},{at},"{text.replace(chr(34), "")}"'
        for item, stars, at, text in zip(
            mine.items, mine.ratings, mine.timestamps, mine.comments, strict=True
        )
    ]
    (folder / "mine.csv").write_text("item_id,rating,timestamp,comment\n" + "\n".join(rows))
    others = [
        f'{dataset.items.ids[item]},"{text.replace(chr(34), "")}",{dataset.users[user]}'
        for item, text, user in zip(events.items, events.comments, events.users, strict=True)
        if text and user
    ]
    (folder / "comments.csv").write_text("item_id,text,user_id\n" + "\n".join(others[:300]))


def life(shell: Shell, folder: Path, dataset: Dataset) -> None:
    """init, add, recommend, explain, rate, recommend again, preview, …, erase."""
    published(dataset, folder)
    home, there, file = folder / "home", folder / "there", folder / "moved"
    shell("init", home, "--catalogue", folder / "catalogue.safetensors",
          "--comments", folder / "comments.csv")  # fmt: skip
    taken = shell.json("add", home, folder / "mine.csv")
    assert taken["added"] == int((dataset.interactions.users == 0).sum())
    first = shell.json("recommend", home)["items"]
    assert len(first) == 10
    mine = {dataset.items.ids[item] for item in rated(dataset)}
    assert not mine & {item["item"] for item in first}
    worth = shell.json("recommend", home, "--comments")["comments"]
    assert worth or not any(dataset.interactions.comments)
    assert shell.json("explain", home, first[0]["item"])["because"]
    assert first[0]["title"] in shell("explain", home, first[0]["item"])
    for item in first[:5]:
        shell("rate", home, item["item"], 1, "--comment", "Not for me at all.")
    second = shell.json("recommend", home)["items"]
    assert [item["item"] for item in second] != [item["item"] for item in first]
    assert not {item["item"] for item in first[:5]} & {item["item"] for item in second}
    shown = shell.json("preview", home)
    assert (shown["kind"], shown["dimension"]) == ("example", 2 * len(dataset.items))
    assert shown["touched"] <= 2 * (taken["added"] + 5)
    assert shell.json("receipts", home) == {"receipts": []}
    assert shell.json("status", home)["ratings"] == taken["added"] + 5
    assert shell.json("export", home, file)["moved"]
    assert "Moved" in shell("status", home)
    shell("rate", home, first[5]["item"], 1, code=10)
    assert shell.json("import", file, there)["ratings"] == taken["added"] + 5
    assert shell.json("recommend", there)["items"] == second
    shell("forget", there, first[0]["item"])
    assert shell.json("status", there)["ratings"] == taken["added"] + 4
    shell("forget", there, first[0]["item"], code=10)
    assert shell.json("verify", there)["receipts"] == 0
    shell("erase", there, code=2)
    for gone in (home, there):
        shell("erase", gone, "--yes")
        assert not gone.exists()
        shell("status", gone, code=10)


def rated(dataset: Dataset) -> list[int]:
    events = dataset.interactions
    return events.items[events.users == 0].tolist()


def test_life_of_a_device_on_the_village(shell: Shell, secret: Path, tmp_path: Path) -> None:
    life(shell, tmp_path, village(120, 90, seed=4))


def test_life_of_a_device_of_one_real_person(shell: Shell, secret: Path, tmp_path: Path) -> None:
    folder = DATA / "ml-100k"
    if not folder.is_dir():
        pytest.skip("PRIVET_DATA_DIR holds no ml-100k")
    life(shell, tmp_path, load(folder))


def test_every_command_of_the_contract_has_help(shell: Shell) -> None:
    listed = shell("-h")
    for name in CONTRACT:
        assert name in listed
        assert f"Usage: privet client {name}" in shell(name, "-h")


@pytest.fixture
def made(shell: Shell, public: Path, home: Path) -> Path:
    shell("init", home, "--catalogue", public / "catalogue.safetensors")
    return home


@pytest.mark.parametrize("words", [["status"], ["receipts"], ["recommend"], ["explain", "0"]])
def test_light_commands_import_neither_torch_nor_flwr(public: Path, home: Path, words) -> None:
    with Device.create(home, public / "catalogue.safetensors") as device:
        device.rate(0, 4, "words")
        item = device.catalogue.item_ids[3]
    words = [words[0], str(home), *[item for _ in words[1:]]]
    code = (
        "import sys, privet\n"
        f"assert privet.main(['client', *{words!r}]) == 0\n"
        "heavy = {'torch', 'flwr', 'sentence_transformers', 'transformers', 'opacus', 'scipy',"
        " 'pandas', 'matplotlib', 'starlette', 'uvicorn'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_status_says_what_left_and_what_it_means(shell: Shell, made: Path) -> None:
    assert "Taking part in      nothing" in shell("status", made)
    with Device.open(made) as device:
        items = len(device.catalogue)
        device.rate(1, 4, "words")
        joined(device).answer(question(items), view(items), "s", now=2000)
        device.sent("s", 4_800, now=2000)
        device.answer(question(items), view(items), "other", now=2001)
    said = " ".join(shell("status", made).split())
    assert "Taking part in autumn (Example Org)" in said
    assert "1 rating, 1 comment, encrypted on this device" in said
    assert "1 update, 4.8 KB in all" in said
    assert "sum of at least 450 devices" in said
    assert "4 % of the budget you agreed to" in said
    assert "would be right 69 % of the time at most" in said
    assert "lied about all other devices, more than 99.9 %" in said
    assert "1 question refused" in said
    said = shell("receipts", made)
    assert "sent" in said
    assert "refused" in said
    assert "item_sums" in said
    assert "DEMO" not in said


def test_preview_shows_numbers_and_the_bytes_that_left(shell: Shell, made: Path) -> None:
    shell("preview", made, "--last", code=10)
    with Device.open(made) as device:
        items = len(device.catalogue)
        device.rate(1, 4)
        title = device.catalogue.titles[1]
        given = joined(device).answer(question(items), view(items), "s", now=2000)
        device.sent("s", given.residues.nbytes, now=2000)
    said = shell("preview", made)
    assert f"how much you like {title}"[:44] in said
    assert "drawn afresh" in said
    assert "Of 120 numbers, 2 say something about you" in said
    last = shell.json("preview", made, "--last")
    assert last["kind"] == "sent"
    sent = {line["sent"] for line in last["lines"]}
    assert sent <= set(given.residues.tolist())
    again, other = shell.json("preview", made), shell.json("preview", made)
    assert [line["integer"] for line in again["lines"]] == [
        line["integer"] for line in other["lines"]
    ]
    assert [line["sent"] for line in again["lines"]] != [line["sent"] for line in other["lines"]]


def test_pause_resume_leave(shell: Shell, made: Path) -> None:
    shell("leave", made, code=10)
    with Device.open(made) as device:
        joined(device)
    shell("pause", made)
    assert "PAUSED" in shell("status", made)
    shell("resume", made)
    assert "PAUSED" not in shell("status", made)
    assert "cannot be taken out of a trained model" in shell("leave", made)
    assert "Taking part in      nothing" in shell("status", made)


def test_store_in_use_exits_16(shell: Shell, made: Path) -> None:
    with Device.open(made):
        shell("status", made, code=16)
        shell("erase", made, "--yes", code=16)


def test_missing_key_exits_16_and_damage_exits_15(shell: Shell, made: Path) -> None:
    key = (made / "key").read_bytes()
    (made / "key").unlink()
    shell("status", made, code=16)
    (made / "key").write_bytes(key)
    (made / "key").chmod(0o600)
    assert shell("status", made)
    data = bytearray((made / "device.db").read_bytes())
    for place in range(4096, len(data)):
        data[place] ^= 1
    (made / "device.db").write_bytes(data)
    shell("status", made, code=15)


def test_publishing_needs_a_yes(shell: Shell, made: Path, public: Path) -> None:
    item = Device.open(made)
    name = item.catalogue.item_ids[0]
    item.close()
    shell("rate", made, name, 4, "--comment", "for all")
    assert "pseudonym" in shell("publish", made, name, code=2)
    shell("publish", made, name, "--yes")
    assert "Published           1 comment" in shell("status", made)


def test_ambiguous_title_lists_candidates(shell: Shell, made: Path) -> None:
    said = shell("rate", made, "The", 4, code=2)
    assert said.count(";") >= 1
    shell("rate", made, "no such title", 4, code=2)


@pytest.mark.parametrize("scale", ["", "1", "5:1", "a:b", "1:5:9", "nan:5", "1:2:3:4"])
def test_scale_that_is_none_is_refused(shell: Shell, public: Path, home: Path, scale: str) -> None:
    shell("init", home, "--catalogue", public / "catalogue.safetensors", "--scale", scale, code=2)
    assert not home.exists()


def test_passphrase_comes_from_a_file_and_never_from_a_pipe(
    shell: Shell, public: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.custody.MEMORY_KIB", 1024)
    words = ["init", home, "--catalogue", public / "catalogue.safetensors"]
    shell(*words, "--custody", "passphrase", code=16)
    word = tmp_path / "word"
    word.write_text("green hedge\n")
    monkeypatch.setenv("PRIVET_PASSPHRASE_FILE", str(word))
    assert shell.json(*words, "--custody", "passphrase")["custody"] == "passphrase"
    assert "your passphrase" in shell("status", home)
    assert not (home / "key").exists()
    word.write_text("brown hedge")
    shell("status", home, code=16)
    monkeypatch.setenv("PRIVET_PASSPHRASE_FILE", str(tmp_path / "none"))
    shell("status", home, code=16)
    monkeypatch.delenv("PRIVET_PASSPHRASE_FILE")
    shell("status", home, code=16)


def test_private_words_never_reach_stderr(shell: Shell, made: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("item_id,rating\nplumberry,quillfeather\n")
    said = shell("add", made, path, code=10)
    assert "plumberry" not in said
    assert "quillfeather" not in said
    assert "line 2, column item_id" in said


def test_commands_work_without_a_terminal_or_colour(public: Path, tmp_path: Path) -> None:
    words = ["client", "init", str(tmp_path / "d"), "--catalogue",
             str(public / "catalogue.safetensors")]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "privet.py", *words], capture_output=True, text=True, check=True,
        env={**os.environ, "NO_COLOR": "1"}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert "\x1b" not in done.stdout + done.stderr
    assert "warning: the key lies beside the data" in done.stderr
