# SPDX-License-Identifier: Apache-2.0
"""A device's life on the command line, without any server: made, used, moved, erased."""

import json
from pathlib import Path

import pytest

import privet
from simulation.layouts import load
from tests.client.folders import Files, write_files
from tests.client.made import hamlet
from tests.simulation.made import DATA

ML_100K = DATA / "ml-100k"


class Shell:
    """Runs commands and keeps what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *words: object, code: int = 0) -> str:
        self.capsys.readouterr()
        done = privet.main(["client", *map(str, words)])
        out, err = self.capsys.readouterr()
        assert done == code, err
        return err if code else out

    def json(self, *words: object) -> dict[str, object]:
        value = json.loads(self(*words, "--format", "json"))
        assert isinstance(value, dict)
        return value


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return Shell(capsys)


def life(shell: Shell, files: Files, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go through every command that needs no server; the steps are those of a person."""
    home, moved, away = folder / "home", folder / "away", folder / "moved.privet"
    comments = ("--comments", files.comments)
    shell("init", home, "--catalogue", files.catalogue, *comments, "--scale", files.scale)
    assert "no shared model yet" in shell("status", home)

    taken = shell.json("add", home, files.mine)
    assert taken["added"] >= 10  # type: ignore[operator]
    alone = shell.json("recommend", home, "-k", 5)["items"]
    assert isinstance(alone, list)
    assert len(alone) == 5
    assert all(one["reasons"] for one in alone)
    assert "stars" in shell("recommend", home, "-k", 5)

    chosen = shell.json("recommend", home, "--comments", "-k", 3)["comments"]
    assert isinstance(chosen, list)
    text = shell("recommend", home, "--comments")
    assert text.strip()

    first, second = alone[0]["item"], alone[1]["item"]
    why = shell.json("explain", home, first)
    told = [float(part["adds"]) for part in why["because"]]  # type: ignore[attr-defined, index]
    assert float(why["base"]) + sum(told) + float(why["rest"]) == pytest.approx(  # type: ignore[arg-type]
        float(why["sum"]),
        abs=1e-4,  # type: ignore[arg-type]
    )
    assert "Together" in shell("explain", home, first)

    shell("rate", home, first, 5, "--comment", "A made-up word: quillhedge.")
    again = shell.json("recommend", home, "-k", 5)["items"]
    assert isinstance(again, list)
    assert first not in [one["item"] for one in again]
    assert [one["item"] for one in again] != [one["item"] for one in alone]
    assert "that rating is left out below" in shell("explain", home, first)

    preview = shell("preview", home)
    assert "drawn afresh" in preview
    assert "excludes" in preview
    assert "Nothing has left this device" in shell("receipts", home)
    shell("verify", home)

    word = folder / "word.txt"
    word.write_text("green hedge, white flower\n")
    monkeypatch.setenv("PRIVET_EXPORT_PASSPHRASE_FILE", str(word))
    shell("export", home, away)
    assert "moved" in shell("rate", home, second, 3, code=10)
    shell("import", away, moved)
    assert shell.json("recommend", moved, "-k", 5)["items"] == again

    shell("forget", moved, first)
    assert shell.json("recommend", moved, "-k", 5)["items"] == alone
    shell("erase", moved, code=2)
    shell("erase", moved, "--yes")
    assert not moved.exists()
    shell("recommend", moved, code=10)


def test_life_of_a_villager_on_the_command_line(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life(shell, write_files(tmp_path, hamlet(), first=24), tmp_path, monkeypatch)


@pytest.mark.skipif(not ML_100K.is_dir(), reason="needs MovieLens 100K in PRIVET_DATA_DIR")
def test_life_of_a_real_user_on_the_command_line(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life(shell, write_files(tmp_path, load(str(ML_100K)), first=200), tmp_path, monkeypatch)


def test_model_changes_the_list_and_less_like_this_is_kept(shell: Shell, tmp_path: Path) -> None:
    files = write_files(tmp_path, hamlet(), first=24)
    lists = []
    for name, words in (("alone", ()), ("shared", ("--model", files.model))):
        home = tmp_path / name
        shell("init", home, "--catalogue", files.catalogue, *words)
        shell("add", home, files.mine)
        lists.append(shell.json("recommend", home)["items"])
    assert lists[0] != lists[1]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--diversity", "2"), 2, "--diversity"),
        (("-k", "0"), 2, "range"),
        (("--comments", "--diversity", "-1"), 2, "--diversity"),
    ],
)
def test_wrong_words_are_told(
    shell: Shell, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    files = write_files(tmp_path, hamlet(), first=3)
    shell("init", tmp_path / "home", "--catalogue", files.catalogue)
    assert said in shell("recommend", tmp_path / "home", *words, code=code)


def test_explain_of_an_unknown_item_lists_candidates(shell: Shell, tmp_path: Path) -> None:
    files = write_files(tmp_path, hamlet(), first=3)
    shell("init", tmp_path / "home", "--catalogue", files.catalogue)
    assert "hint:" in shell("explain", tmp_path / "home", "The", code=2)


def test_commands_work_before_the_first_rating(shell: Shell, tmp_path: Path) -> None:
    files = write_files(tmp_path, hamlet(), first=0)
    home = tmp_path / "home"
    shell("init", home, "--catalogue", files.catalogue, "--comments", files.comments)
    items = shell.json("recommend", home)["items"]
    assert isinstance(items, list)
    assert len(items) == 10
    assert len(shell("recommend", home, "--comments").splitlines()) >= 20
    assert "What anybody would give it" in shell("explain", home, items[0]["item"])
