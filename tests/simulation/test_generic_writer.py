# SPDX-License-Identifier: Apache-2.0
"""What is written in the generic layout is read back as the same data set."""

import os
from dataclasses import fields, replace

import numpy as np
import pytest

from shared.errors import EnvironmentFault
from shared.schema import Scale
from simulation import generic_writer
from simulation.dataset import CommentEvents, PublicComments
from simulation.generic_writer import write
from simulation.layouts import load
from simulation.village import village
from tests.simulation.made import ML_100K, dataset, write_folder


@pytest.fixture(scope="module")
def town():
    return village(80, 60, seed=5)


@pytest.fixture(scope="module")
def again(town, tmp_path_factory):
    folder = tmp_path_factory.mktemp("town") / "new"
    write(folder, town)
    return load(str(folder))


def assert_same(one, two):
    """Compare two column dataclasses."""
    for column in fields(one):
        left, right = getattr(one, column.name), getattr(two, column.name)
        if isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right, err_msg=column.name)
        elif isinstance(left, dict):
            assert left.keys() == right.keys()
            for name in left:
                np.testing.assert_array_equal(left[name], right[name], err_msg=name)
        else:
            assert left == right, column.name


@pytest.mark.parametrize("part", ["interactions", "items", "public_comments", "comment_events"])
def test_village_is_read_back_column_by_column(town, again, part):
    assert_same(getattr(town, part), getattr(again, part))


@pytest.mark.parametrize(
    "name",
    ["name", "scale", "users", "comments_declared", "attributes", "bounds", "domain", "warnings"],
)
def test_village_is_read_back_with_its_declaration(town, again, name):
    assert getattr(town, name) == getattr(again, name)


def test_truth_is_in_no_file(again):
    assert again.truth is None


def test_cleaning_finds_nothing_to_do_in_a_village(again):
    assert not any(again.cleaning.counts.values())


def test_films_with_latin_letters_and_unknown_years_are_read_back(tmp_path):
    data = load(str(write_folder(tmp_path / "ml", ML_100K, "latin-1")))
    write(tmp_path / "new", data)
    again = load(str(tmp_path / "new"))
    assert_same(data.items, again.items)
    assert_same(data.interactions, again.interactions)
    assert again.attributes == data.attributes


def test_names_of_any_form_are_read_back(tmp_path):
    data = dataset([(0, 0, 1), (1, 0, 2)], 2, 1)
    items = replace(data.items, numbers={'net "price". €': np.array([2.5])})
    odd = replace(
        data,
        name='a "b" \\ c',
        items=items,
        scale=Scale(0, 10, 0),
        bounds={'net "price". €': (0.0, 5.0)},
    )
    write(tmp_path / "new", odd)
    again = load(str(tmp_path / "new"))
    assert (again.name, again.scale, again.bounds) == (odd.name, odd.scale, odd.bounds)
    assert_same(items, again.items)


def test_authors_and_unknown_votes_are_read_back(tmp_path):
    told = PublicComments(np.array([0, 0]), np.array([1, -1]), ("x", "y"), np.array([np.nan, 2.5]))
    seen = CommentEvents(*(np.array([value]) for value in (0, 0, 1, 1, 9)))
    data = replace(dataset([(0, 0, 1), (1, 0, 2)], 2, 1), public_comments=told, comment_events=seen)
    write(tmp_path / "new", data)
    again = load(str(tmp_path / "new"))
    assert_same(told, again.public_comments)
    assert_same(seen, again.comment_events)


def test_data_without_comments_writes_no_such_files(tmp_path):
    write(tmp_path / "new", dataset([(0, 0, 1), (1, 0, 2)], 2, 1))
    assert sorted(os.listdir(tmp_path / "new")) == [
        "dataset.toml", "interactions.csv", "items.csv"
    ]  # fmt: skip


def test_empty_folder_is_filled(tmp_path):
    (tmp_path / "new").mkdir()
    write(tmp_path / "new", dataset([(0, 0, 1), (1, 0, 2)], 2, 1))
    assert (tmp_path / "new" / "dataset.toml").is_file()


def test_full_disk_leaves_nothing_behind(tmp_path, monkeypatch, town):
    written = []

    def fill(path, data):
        written.append(path)
        if len(written) == 3:
            raise EnvironmentFault("the disk is full.", hint="free some space.")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)

    monkeypatch.setattr(generic_writer, "replace_file", fill)
    with pytest.raises(EnvironmentFault):
        write(tmp_path / "new", town)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("place", ["file/new", "full"])
def test_place_that_cannot_be_written_is_refused_and_left_as_it_was(tmp_path, town, place):
    write_folder(tmp_path, {"file": "mine"})
    write_folder(tmp_path / "full", {"file": "mine"})
    with pytest.raises(EnvironmentFault, match="new or empty folder") as wrong:
        write(tmp_path / place, town)
    assert wrong.value.hint
    assert sorted(os.listdir(tmp_path)) == ["file", "full"]
    assert os.listdir(tmp_path / "full") == ["file"]
