# SPDX-License-Identifier: Apache-2.0
"""From a table of items to a catalogue, and on to its next versions."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import privet
from server import catalogue as module
from server.catalogue import Updated, build, update
from server.folder import OperatorFolder
from shared.catalogue import load_catalogue
from shared.errors import DataError, UsageError
from shared.renewal import TEXT_ALPHA
from shared.text.encoder import load_encoder

WORDS = ("hedge", "river", "garden", "mill", "harbour", "lantern", "orchard", "bridge")
HEADER = ("item_id", "title", "genres", "description", "year", "price")
ROWS = [
    [
        f"i{n}",
        f"The {WORDS[n % 8]} {n}",
        ("Drama", "Comedy|Drama", "Travel")[n % 3],
        f"A story of a {WORDS[(n * 3) % 8]} and a {WORDS[(n * 5 + 1) % 8]}.",
        str(1980 + n),
        str(5 + n % 7),
    ]
    for n in range(24)
]


def table(path: Path, rows: list[list[str]], *, header: tuple[str, ...] = HEADER) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset.toml").write_text("[numbers.price]\nlow = 0\nhigh = 10\n")
    return table(tmp_path / "data" / "items.csv", ROWS)


@pytest.fixture
def folder(tmp_path: Path) -> OperatorFolder:
    path = tmp_path / "operator"
    words = ("--operator", "Example Org", "--address", "box.example:8443", "--users", "30")
    assert privet.main(["server", "init", str(path), *words]) == 0
    return OperatorFolder(path)


@pytest.fixture
def built(folder: OperatorFolder, source: Path) -> OperatorFolder:
    build(folder, source, encoder="characters")
    return folder


def versions(folder: OperatorFolder) -> tuple[str, str]:
    return load_catalogue(folder.catalogue_file)[2], load_catalogue(folder.newest_file)[2]


def test_build_makes_a_catalogue_of_a_table(folder: OperatorFolder, source: Path) -> None:
    said: list[str] = []
    build(folder, source, encoder="characters", say=said.append)
    made, basis, _ = load_catalogue(folder.catalogue_file)
    assert made.item_ids == tuple(f"i{n}" for n in range(24))
    assert [block.kind for block in made.blocks] == ["category", "time", "text", "number"]
    assert (basis.encoder, basis.number_names) == ("characters-2048", ("price",))
    assert said[0] == "items.csv: 24 items"
    assert said[-1] == "encoding 24 texts with characters-2048"
    assert folder.config.encoder == "characters"
    assert 'encoder = "characters"' in (folder.path / "config.toml").read_text()
    assert folder.draft.queries


def test_build_takes_a_folder_and_the_same_table_gives_the_same_version(
    built: OperatorFolder, source: Path
) -> None:
    before = versions(built)
    build(built, source.parent)
    assert versions(built) == before


def test_build_uses_comments_where_items_have_no_text(
    folder: OperatorFolder, tmp_path: Path
) -> None:
    source = table(tmp_path / "bare.csv", [[f"i{n}"] for n in range(20)], header=("item_id",))
    spoken = [[f"i{n}", f"it is about a {WORDS[n % 8]}"] for n in range(16)]
    comments = table(tmp_path / "said.csv", spoken, header=("item_id", "text"))
    build(folder, source, encoder="characters", comments=comments)
    made, basis, _ = load_catalogue(folder.catalogue_file)
    assert [block.kind for block in made.blocks] == ["text"]
    assert basis.encoder == "characters-2048"
    assert folder.comments_file.read_bytes() == comments.read_bytes()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("items.csv", "title\nx\n", "item_id"),
        ("items.csv", "item_id,year\n,1999\n", "line 2 column item_id"),
        ("nothing", "", "items.csv"),
    ],
)
def test_build_names_what_is_wrong_with_a_table(
    folder: OperatorFolder, tmp_path: Path, name: str, text: str, words: str
) -> None:
    path = tmp_path / "wrong" / name
    path.parent.mkdir()
    if text:
        path.write_text(text)
    with pytest.raises(DataError, match=words):
        build(folder, path if text else path.parent, encoder="characters")
    assert not folder.catalogue_file.exists()


def test_build_is_refused_once_a_run_began(built: OperatorFolder, source: Path) -> None:
    (built.path / "ledger").mkdir()
    (built.path / "ledger" / "records.jsonl").write_bytes(b"{}\n")
    with pytest.raises(UsageError, match="has begun"):
        build(built, source)


def test_update_with_the_same_table_changes_nothing(built: OperatorFolder, source: Path) -> None:
    before = versions(built)
    assert update(built, source) == Updated(24, 0, 0, 0, 0, before[0])
    assert versions(built) == before


def test_update_puts_new_items_behind_the_known_ones(built: OperatorFolder, source: Path) -> None:
    table(source, [["new", "The new hedge", "Drama", "It grows.", "2010", "4"], *ROWS[:-1]])
    done = update(built, source)
    assert (done.items, done.new, done.texts, done.facts, done.absent) == (25, 1, 0, 0, 1)
    before, after = built.catalogue, built.newest_catalogue[0]
    assert after.item_ids == (*before.item_ids, "new")
    np.testing.assert_array_equal(after.features[:24], before.features)
    assert built.newest_catalogue[1].version == load_catalogue(built.catalogue_file)[1].version
    assert after.features[24].any()


def test_update_moves_a_changed_text_by_alpha(built: OperatorFolder, source: Path) -> None:
    rows = [list(row) for row in ROWS]
    rows[3][3] = "Lanterns, lanterns, lanterns."
    table(source, rows)
    done = update(built, source)
    assert (done.new, done.texts, done.facts) == (0, 1, 0)
    before, (after, basis) = built.catalogue, built.newest_catalogue
    text = next(block for block in before.blocks if block.kind == "text")
    columns = slice(text.start, text.stop)
    words = f"{rows[3][1]}. Genres: Drama. {rows[3][3]}"
    vector = np.asarray(load_encoder("characters").encode([words])[0], dtype=np.float64)
    projection = basis.projection("text")
    assert projection is not None
    wanted = (vector - projection.mean) @ projection.weights
    expected = TEXT_ALPHA * before.features[3, columns] + (1 - TEXT_ALPHA) * wanted
    np.testing.assert_allclose(after.features[3, columns], expected, atol=1e-6)
    others = np.delete(np.arange(24), 3)
    np.testing.assert_array_equal(after.features[others], before.features[others])


def test_update_takes_the_policys_alpha(
    built: OperatorFolder, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = built.path / "config.toml"
    file.write_text(file.read_text().replace("text_alpha = 0.7", "text_alpha = 1.0"))
    build(built, source)
    rows = [list(row) for row in ROWS]
    rows[3][3] = "Lanterns."
    table(source, rows)
    assert update(built, source).texts == 1
    np.testing.assert_allclose(
        built.newest_catalogue[0].features, built.catalogue.features, atol=1e-6
    )


def test_update_replaces_facts(built: OperatorFolder, source: Path) -> None:
    rows = [list(row) for row in ROWS]
    rows[5][4], rows[5][5] = "2003", "9"
    table(source, rows)
    done = update(built, source)
    assert (done.texts, done.facts) == (0, 1)
    before, after = built.catalogue, built.newest_catalogue[0]
    assert after.log_age[5] < before.log_age[5]
    text = next(block for block in before.blocks if block.kind == "text")
    columns = slice(text.start, text.stop)
    np.testing.assert_array_equal(after.features[5, columns], before.features[5, columns])


def test_update_cut_off_and_run_again_moves_a_text_once(
    built: OperatorFolder, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [list(row) for row in ROWS]
    rows[3][3] = "Lanterns."
    table(source, rows)

    def killed(*words: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "save_catalogue", killed)
        with pytest.raises(KeyboardInterrupt):
            update(built, source)
    assert update(built, source).texts == 1
    version = versions(built)[1]
    assert update(built, source).texts == 0
    assert versions(built)[1] == version


def test_updates_follow_one_another(built: OperatorFolder, source: Path) -> None:
    table(source, [*ROWS, ["new", "The new hedge", "Drama", "It grows.", "2010", "4"]])
    update(built, source)
    table(source, [*ROWS, ["newer", "The newer mill", "Comedy", "It turns.", "2011", "4"]])
    done = update(built, source)
    assert (done.items, done.new, done.absent) == (26, 1, 1)
    assert built.newest_catalogue[0].item_ids[-2:] == ("new", "newer")


def test_update_of_a_catalogue_that_came_as_a_file_goes_by_titles(
    built: OperatorFolder, source: Path, tmp_path: Path
) -> None:
    file = tmp_path / "made.safetensors"
    file.write_bytes(built.catalogue_file.read_bytes())
    for noted in (built.path / "texts").iterdir():
        noted.unlink()
    build(built, file)
    rows = [list(row) for row in ROWS]
    rows[3][3], rows[4][1] = "another description", "Another title"
    table(source, rows)
    done = update(built, source)
    assert (done.texts, done.facts) == (1, 1)
    assert built.newest_catalogue[0].titles[4] == "Another title"
    rows[3][3] = "and another"
    table(source, rows)
    assert update(built, source).texts == 1


def test_update_needs_a_catalogue_and_its_encoder(
    folder: OperatorFolder, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="built before"):
        update(folder, source)
    build(folder, source, encoder="characters")
    table(source, [*ROWS, ["new", "The new hedge", "Drama", "It grows.", "2010", "4"]])

    class Other:
        name = "another@2"

    monkeypatch.setattr(module, "load_encoder", lambda choice: Other())
    with pytest.raises(UsageError, match="characters-2048"):
        update(folder, source)


def test_commands_print_one_object_and_keep_progress_apart(
    folder: OperatorFolder, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    words = ["server", "catalogue", "build", str(folder.path), str(source)]
    assert privet.main([*words, "--encoder", "characters", "--format", "json"]) == 0
    out = capsys.readouterr()
    assert json.loads(out.out)["items"] == 24
    assert "encoding 24 texts" in out.err
    words[2] = "update"
    assert privet.main([*words, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["new"] == 0
    assert privet.main([*words[:4], str(folder.path / "nowhere.csv")]) == 10
    assert "must exist" in capsys.readouterr().err
