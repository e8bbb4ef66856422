# SPDX-License-Identifier: Apache-2.0
"""The catalogue file: what goes in comes out, and no damaged byte passes."""

from dataclasses import replace

import numpy as np
import pytest

from shared.catalogue import catalogue_version, load_catalogue, save_catalogue
from shared.errors import DataError, EnvironmentFault
from shared.features import build_catalogue
from shared.schema import Items


@pytest.fixture
def built():
    rng = np.random.default_rng(1)
    items = Items(
        ids=("a", "b", "c", "d"),
        titles=("Hedge", "树篱 \x01\n", "Gate é", "Lawn"),
        descriptions=("", "", "", ""),
        categories=(("x",), ("x", "y"), (), ("y",)),
        years=np.array([1999.0, np.nan, 2001.0, 1950.0]),
        numbers={"price": np.array([1.0, 2.0, np.nan, 7.0])},
    )
    return build_catalogue(items, rng.normal(size=(4, 5)), encoder="test")


def test_file_gives_back_what_was_saved(tmp_path, built):
    path = tmp_path / "catalogue.safetensors"
    version = save_catalogue(path, *built)
    catalogue, basis, stated = load_catalogue(path)
    assert version == stated == catalogue_version(catalogue, basis) == catalogue_version(*built)
    assert catalogue.titles == built[0].titles
    assert catalogue.blocks == built[0].blocks
    for name in ("features", "text", "categories", "log_age"):
        np.testing.assert_array_equal(getattr(catalogue, name), getattr(built[0], name))
    assert basis.version == built[1].version


def test_save_gives_equal_bytes_for_equal_content(tmp_path, built):
    first, second = tmp_path / "1", tmp_path / "2"
    save_catalogue(first, *built)
    save_catalogue(second, *built)
    assert first.read_bytes() == second.read_bytes()


def test_load_refuses_every_flipped_byte(tmp_path, built):
    path = tmp_path / "catalogue.safetensors"
    save_catalogue(path, *built)
    good, rng = path.read_bytes(), np.random.default_rng(2)
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        with pytest.raises(DataError):
            load_catalogue(path)


@pytest.mark.parametrize("cut", [0, 7, 100, -1])
def test_load_refuses_a_truncated_file(tmp_path, built, cut):
    path = tmp_path / "catalogue.safetensors"
    save_catalogue(path, *built)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError):
        load_catalogue(path)


def test_load_refuses_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="intact catalogue"):
        load_catalogue(tmp_path / "none")


def test_save_refuses_rows_that_do_not_fit(tmp_path, built):
    catalogue, basis = built
    path = tmp_path / "catalogue.safetensors"
    with pytest.raises(DataError, match="one row an item"):
        save_catalogue(path, replace(catalogue, log_age=np.zeros(3)), basis)
    assert not path.exists()


def test_save_leaves_the_old_file_when_the_folder_cannot_be_made(tmp_path, built):
    blocker = tmp_path / "file"
    blocker.write_text("old")
    with pytest.raises(EnvironmentFault, match="must be writable"):
        save_catalogue(blocker / "catalogue", *built)
    assert blocker.read_text() == "old"


def test_version_changes_with_a_title(built):
    catalogue, basis = built
    other = replace(catalogue, titles=("Hedges", *catalogue.titles[1:]))
    assert catalogue_version(other, basis) != catalogue_version(catalogue, basis)


def test_catalogue_tells_items_apart_by_text_or_categories(built):
    catalogue = built[0]
    bare = replace(catalogue, text=np.zeros((4, 0)), categories=np.zeros((4, 0)))
    assert catalogue.tells_items_apart
    assert replace(bare, text=catalogue.text).tells_items_apart
    assert replace(bare, categories=catalogue.categories).tells_items_apart
    assert not bare.tells_items_apart
