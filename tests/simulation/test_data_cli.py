# SPDX-License-Identifier: Apache-2.0
"""`privet data`, as people call it."""

import json

import pytest

from privet import main
from shared.schema import RULES
from simulation.data_cli import PUBLIC
from simulation.layouts import LAYOUTS
from tests.simulation.made import GENERIC, write_folder


def text(capsys, *words):
    """Run a command that succeeds and return what it prints."""
    assert main(["data", *words]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    return shown.out


def figures(capsys, *words):
    """Run a command that succeeds and return its JSON."""
    return json.loads(text(capsys, *words, "--format", "json"))


def test_list_names_every_layout(capsys):
    shown = text(capsys, "list")
    assert all(layout.NAME in shown for layout in LAYOUTS)
    assert "village" in shown


def test_list_as_json_has_the_files_of_each_layout(capsys):
    rows = figures(capsys, "list")
    assert [row["layout"] for row in rows] == [*(layout.NAME for layout in LAYOUTS), "village"]
    assert all(row["files"] for row in rows)


def test_inspect_prints_shape_rules_and_warnings(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    shown = text(capsys, "inspect", str(write_folder(tmp_path, GENERIC)))
    assert "users      2" in shown
    assert "1 to 5 in steps of 1" in shown
    assert all(rule.name in shown for rule in RULES)
    assert shown.count("warning: ") == 2


def test_inspect_as_json_counts_what_cleaning_did(capsys, tmp_path):
    rows = GENERIC["interactions.csv"] + "ann,tea,4,900,<b>New</b>,\n"
    facts = figures(capsys, "inspect", str(write_folder(tmp_path, {"interactions.csv": rows})))
    assert (facts["users"], facts["items"], facts["ratings"]) == (2, 2, 3)
    assert facts["cleaning"]["duplicate"] == facts["cleaning"]["html"] == 1
    assert facts["density"] == 0.75
    assert facts["declared"] == "comments not declared"


def test_inspect_prints_a_name_in_brackets_as_it_is(capsys, tmp_path):
    folder = str(write_folder(tmp_path / "[red] :tea:", GENERIC))
    assert "[red] :tea:" in text(capsys, "inspect", folder)


def test_inspect_knows_the_village(capsys):
    facts = figures(capsys, "inspect", "village")
    assert facts["users"] == 500
    assert "attribute age" in facts["declared"]


def test_inspect_refuses_a_folder_that_is_not_there(capsys, tmp_path):
    assert main(["data", "inspect", str(tmp_path / "none")]) == 10
    assert "privet data list" in capsys.readouterr().err


def test_generate_writes_a_folder_that_inspect_reads(capsys, tmp_path):
    folder = str(tmp_path / "new")
    made = figures(
        capsys, "generate", folder, "--users", "30", "--items", "25", "--seed", "4"
    )  # fmt: skip
    assert (made["users"], made["items"], made["folder"]) == (30, 25, folder)
    seen = figures(capsys, "inspect", folder)
    assert seen == {key: value for key, value in made.items() if key != "folder"}


def test_generate_says_what_to_try_next(capsys, tmp_path):
    folder = str(tmp_path / "new")
    shown = text(capsys, "generate", folder, "--users", "5", "--items", "12")
    assert "5 users, 12 items" in shown
    assert f"privet simulate {folder}" in shown


@pytest.mark.parametrize("name", ["file", "full"])
def test_generate_writes_over_nothing(capsys, tmp_path, name):
    write_folder(tmp_path, {"file": "mine"})
    write_folder(tmp_path / "full", {"file": "mine"})
    assert main(["data", "generate", str(tmp_path / name)]) == 2
    assert "new or empty folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_generate_below_a_file_is_refused_as_a_fault_of_the_place(capsys, tmp_path):
    write_folder(tmp_path, {"file": "mine"})
    words = ["data", "generate", str(tmp_path / "file" / "new"), "--users", "5", "--items", "12"]
    assert main(words) == 11
    shown = capsys.readouterr().err
    assert shown.count("error: ") == shown.count("hint: ") == 1


@pytest.mark.parametrize(
    "change", [["--users", "1"], ["--items", "3"], ["--seed", "-1"], ["--domain", "weather"]]
)
def test_generate_refuses_a_village_that_is_none(capsys, tmp_path, change):
    assert main(["data", "generate", str(tmp_path / "new"), *change]) == 2
    assert "hint: " in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", PUBLIC)
def test_fetch_downloads_nothing_and_names_the_owner(capsys, name):
    assert main(["data", "fetch", name]) == 20
    shown = capsys.readouterr().err
    assert "downloads nothing" in shown
    assert PUBLIC[name] in shown


def test_fetch_refuses_an_unknown_name(capsys):
    assert main(["data", "fetch", "everything"]) == 2
    assert "ml-100k" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["inspect"], ["generate"], ["fetch"], ["list", "--format", "x"]])
def test_wrong_words_exit_2_with_one_hint(capsys, words):
    assert main(["data", *words]) == 2
    shown = capsys.readouterr().err
    assert shown.count("error: ") == shown.count("hint: ") == 1
