# SPDX-License-Identifier: Apache-2.0
"""Changed texts move items by the closed form; new items leave the known ones as they were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DataError
from shared.features import build_catalogue
from shared.renewal import drift, extend, renew_texts
from shared.schema import Items

COUNT, SIZE = 12, 20


def items(count: int, first: int = 0) -> Items:
    ids = tuple(f"i{first + j}" for j in range(count))
    kinds = tuple((("odd", "even")[j % 2],) for j in range(count))
    return Items(ids, ids, ("",) * count, kinds, np.arange(1990.0, 1990.0 + count))


def texts(count: int, seed: int = 0):
    rows = np.random.default_rng(seed).standard_normal((count, SIZE))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def built():
    return build_catalogue(items(COUNT), texts(COUNT))


ROWS = np.array([3, 7])


def test_alpha_one_changes_nothing(built):
    same = renew_texts(*built, ROWS, texts(2, 1), alpha=1.0)
    np.testing.assert_array_equal(same.features, built[0].features)
    np.testing.assert_allclose(same.text, built[0].text, atol=1e-12)


def test_alpha_zero_is_the_item_with_its_new_text(built):
    catalogue, basis = built
    vectors = texts(COUNT)
    vectors[ROWS] = texts(2, 1)
    moved = renew_texts(catalogue, basis, ROWS, vectors[ROWS], alpha=0.0)
    from shared.features import project

    anew = project(basis, items(COUNT), vectors)
    np.testing.assert_allclose(moved.features, anew.features, atol=1e-6)
    np.testing.assert_allclose(moved.text, anew.text, atol=1e-6)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 99))
def test_two_updates_equal_the_closed_form(built, first, second, seed):
    catalogue, basis = built
    one, two = texts(2, seed), texts(2, seed + 100)
    once = renew_texts(catalogue, basis, ROWS, one, first)
    twice = renew_texts(once, basis, ROWS, two, second)
    alone = [renew_texts(catalogue, basis, ROWS, new, 0.0).features for new in (one, two)]
    closed = (
        second * first * catalogue.features[ROWS]
        + second * (1 - first) * alone[0][ROWS]
        + (1 - second) * alone[1][ROWS]
    )
    np.testing.assert_allclose(twice.features[ROWS], closed, atol=1e-9)


def test_only_text_of_the_named_items_moves(built):
    catalogue, basis = built
    moved = renew_texts(catalogue, basis, ROWS, texts(2, 1), 0.5)
    others = np.setdiff1d(np.arange(COUNT), ROWS)
    np.testing.assert_array_equal(moved.features[others], catalogue.features[others])
    np.testing.assert_array_equal(moved.text[others], catalogue.text[others])
    facts = [b for b in catalogue.blocks if b.kind != "text"]
    for block in facts:
        columns = slice(block.start, block.stop)
        np.testing.assert_array_equal(moved.features[:, columns], catalogue.features[:, columns])
    assert moved.categories is catalogue.categories


def test_likeness_vectors_keep_norm_one(built):
    moved = renew_texts(*built, ROWS, texts(2, 1), 0.5)
    np.testing.assert_allclose(np.linalg.norm(moved.text, axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("alpha", [-0.1, 1.1])
def test_alpha_must_be_a_weight(built, alpha):
    with pytest.raises(DataError, match="alpha"):
        renew_texts(*built, ROWS, texts(2, 1), alpha)


def test_vectors_of_another_encoder_are_refused(built):
    with pytest.raises(DataError, match="dimensions of the basis"):
        renew_texts(*built, ROWS, np.zeros((2, SIZE + 1)))


def test_new_items_stand_behind_and_leave_the_known_ones(built):
    catalogue, basis = built
    longer = extend(catalogue, basis, items(3, first=COUNT), texts(3, 5))
    assert longer.item_ids == items(COUNT + 3).ids
    np.testing.assert_array_equal(longer.features[:COUNT], catalogue.features)
    np.testing.assert_allclose(np.linalg.norm(longer.text[COUNT:], axis=1), 1.0, atol=1e-6)


def test_a_known_id_is_refused(built):
    with pytest.raises(DataError, match="new ids"):
        extend(*built, items(2), texts(2))


def test_drift_is_zero_where_nothing_moves_and_one_for_strangers():
    rows = texts(5)
    assert drift(rows, 3 * rows) == pytest.approx(0.0, abs=1e-12)
    assert drift(np.eye(2), np.eye(2)[::-1]) == 1.0
    assert np.isnan(drift(np.zeros((2, 3)), rows[:2, :3]))


def test_drift_falls_with_alpha(built):
    catalogue, basis = built
    moved = [renew_texts(catalogue, basis, ROWS, texts(2, 1), a).text[ROWS] for a in (0, 0.5, 0.9)]
    found = [drift(catalogue.text[ROWS], text) for text in moved]
    assert found[0] > found[1] > found[2] > 0
