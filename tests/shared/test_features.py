# SPDX-License-Identifier: Apache-2.0
"""Public features: the recipe's numbers, parity with scikit-learn, a basis that stays frozen."""

import csv
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shared.errors import DataError
from shared.features import (
    build_catalogue,
    discriminant_axes,
    ema,
    item_text,
    principal_axes,
    project,
)
from shared.schema import Items

DATA = Path(os.environ.get("PRIVET_DATA_DIR", Path(__file__).parents[3] / "shared" / "data"))


def make(count=40, seed=1, **changes):
    rng = np.random.default_rng(seed)
    items = Items(
        ids=tuple(f"i{row}" for row in range(count)),
        titles=tuple(f"Title {row}" for row in range(count)),
        descriptions=("",) * count,
        categories=tuple((("a", "b", "c")[row % 3],) for row in range(count)),
        years=rng.integers(1950, 1999, count).astype(float),
        numbers={"price": rng.gamma(2, 5, count), "length": rng.normal(90, 10, count)},
    )
    return replace(items, **changes), rng.normal(size=(count, 12))


def block(catalogue, kind):
    found = next(b for b in catalogue.blocks if b.kind == kind)
    return catalogue.features[:, found.start : found.stop]


def test_item_text_leaves_missing_parts_out():
    items = Items(
        ids=("1", "2", "3", "4"),
        titles=("Hedge", "2", "", "Gate"),
        descriptions=("x" * 600, "", "", "Words."),
        categories=(("A", "B"), (), (), ()),
        years=np.ones(4),
    )
    expected = ["Hedge. Genres: A, B. " + "x" * 500, "", "", "Gate. Words."]
    assert item_text(items) == expected


def test_blocks_are_centred_with_unit_rms_norm():
    catalogue, _ = build_catalogue(*make())
    assert [b.kind for b in catalogue.blocks] == ["category", "time", "text", "number"]
    for b in catalogue.blocks:
        x = catalogue.features[:, b.start : b.stop]
        np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-7)
        np.testing.assert_allclose((x**2).sum(axis=1).mean(), 1, rtol=1e-6)


def test_time_equals_the_recipe_when_the_newest_year_is_1998():
    years = np.array([1998.0, 1930.0, 1970.0, 1985.0, 1996.0, 1991.0])
    items, _ = make(6, years=years)
    catalogue, _ = build_catalogue(items, None)
    a = np.clip((years - 1985) / 15, -3, 1)
    raw = np.stack([a, a < -0.7, np.abs(a)], axis=1)
    raw = raw - raw.mean(axis=0)
    np.testing.assert_allclose(
        block(catalogue, "time"), raw / np.sqrt((raw**2).sum(axis=1).mean()), atol=1e-6
    )
    np.testing.assert_allclose(catalogue.log_age, np.log(1 + 1999 - years))


def test_newest_year_ignores_an_absurd_one():
    items, _ = make()
    years = items.years.copy()
    years[0], newest = 9999.0, float(years[1:].max())
    _, basis = build_catalogue(replace(items, years=years), None)
    assert basis.newest_year == newest


def test_missing_year_stands_at_the_mean():
    items, _ = make()
    years = items.years.copy()
    years[3] = np.nan
    catalogue, basis = build_catalogue(replace(items, years=years), None)
    np.testing.assert_array_equal(block(catalogue, "time")[3], 0)
    assert catalogue.log_age[3] == basis.mean_log_age


def test_blocks_without_data_are_left_out():
    items, _ = make(categories=((),) * 40, years=np.full(40, np.nan), numbers={})
    catalogue, basis = build_catalogue(items, None)
    assert catalogue.blocks == ()
    assert catalogue.features.shape == (40, 0)
    assert catalogue.text.shape == catalogue.categories.shape == (40, 0)
    assert np.isnan(basis.newest_year)


def test_constant_and_empty_number_columns_are_ignored():
    numbers = {"same": np.ones(40), "none": np.full(40, np.nan)}
    _, basis = build_catalogue(make(numbers=numbers)[0], None)
    assert basis.number_names == ()


def test_copied_number_column_adds_no_noise():
    items, _ = make()
    price = items.numbers["price"]
    once, _ = build_catalogue(replace(items, numbers={"p": price}), None)
    twice, _ = build_catalogue(replace(items, numbers={"p": price, "q": price}), None)
    np.testing.assert_allclose(block(twice, "number"), block(once, "number"), atol=1e-5)


def test_kernel_inputs_have_unit_rows():
    items, vectors = make(categories=(("a", "b"), *(("a",),) * 38, ()))
    catalogue, _ = build_catalogue(items, vectors)
    np.testing.assert_allclose((catalogue.text**2).sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(catalogue.categories[0], [0.5**0.5] * 2)
    np.testing.assert_array_equal(catalogue.categories[-1], 0)


def test_public_comments_stand_in_where_there_is_no_text():
    items, vectors = make()
    by_comments, _ = build_catalogue(items, None, comment_vectors=vectors)
    by_text, _ = build_catalogue(items, vectors)
    np.testing.assert_array_equal(by_comments.features, by_text.features)


def test_project_gives_the_catalogue_it_was_fitted_on():
    items, vectors = make()
    catalogue, basis = build_catalogue(items, vectors)
    again = project(basis, items, vectors)
    np.testing.assert_array_equal(again.features, catalogue.features)
    np.testing.assert_array_equal(again.text, catalogue.text)


def test_project_never_refits():
    items, vectors = make()
    catalogue, basis = build_catalogue(items, vectors)
    before = basis.version
    one = replace(
        items,
        **{n: getattr(items, n)[:1] for n in ("ids", "titles", "descriptions", "categories")},
        years=items.years[:1],
        numbers={n: c[:1] for n, c in items.numbers.items()},
    )
    alone = project(basis, one, vectors[:1])
    np.testing.assert_allclose(alone.features[0], catalogue.features[0], atol=1e-6)
    assert basis.version == before


def test_project_puts_unknown_things_at_the_mean():
    _, basis = build_catalogue(*make())
    items, _ = make(2, years=np.full(2, np.nan), categories=(("new",),) * 2, numbers={})
    new = project(basis, items, None)
    for kind in ("time", "text", "number"):
        np.testing.assert_array_equal(block(new, kind), 0)
    np.testing.assert_array_equal(new.categories, 0)


@pytest.mark.parametrize("shape", [(40, 11), (39, 12), (40,)])
def test_project_refuses_vectors_of_another_shape(shape):
    items, vectors = make()
    _, basis = build_catalogue(items, vectors)
    with pytest.raises(DataError, match="text vectors"):
        project(basis, items, np.ones(shape))


@pytest.mark.parametrize("count", [0, 2])
def test_build_refuses_no_items_or_repeated_ids(count):
    items, _ = make(count, ids=("same",) * count)
    with pytest.raises(DataError, match="unique ids"):
        build_catalogue(items, None)


def test_single_item_has_no_features():
    catalogue, _ = build_catalogue(*make(1))
    assert catalogue.features.shape == (1, 0)


def test_principal_axes_agree_with_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    rows = np.random.default_rng(3).normal(size=(200, 20)) * np.linspace(1, 3, 20)
    rows = rows - rows.mean(axis=0)
    theirs = decomposition.PCA(8, svd_solver="full").fit(rows).components_.T
    ours = principal_axes(rows, 8)
    np.testing.assert_allclose(np.abs((ours * theirs).sum(axis=0)), 1, atol=1e-9)
    assert (np.take_along_axis(ours, np.abs(ours).argmax(axis=0)[None], 0) > 0).all()


def test_principal_axes_of_few_long_rows_are_those_of_the_covariance():
    rows = np.random.default_rng(5).normal(size=(12, 40))
    rows -= rows.mean(axis=0)
    padded = np.vstack([rows, np.zeros((40, 40))])  # the same covariance, the other way round
    np.testing.assert_allclose(principal_axes(rows, 8), principal_axes(padded, 8), atol=1e-9)


def test_principal_axes_stop_at_the_rank():
    rows = np.outer([-1.0, 0.0, 1.0], [1.0, 2.0, 3.0])
    assert principal_axes(rows, 3).shape == (3, 1)


def test_discriminant_axes_agree_with_scikit_learn():
    discriminant = pytest.importorskip("sklearn.discriminant_analysis")
    rng = np.random.default_rng(4)
    labels = np.array([("a", "b", "c")[i % 3] for i in range(300)], dtype=object)
    rows = rng.normal(size=(300, 5)) + 0.7 * np.array(
        [[ord(c) % 3, ord(c) % 2] for c in labels]
    ).repeat([2, 3], axis=1)
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    model = discriminant.LinearDiscriminantAnalysis().fit(rows, labels.astype(str))
    theirs, ours = model.transform(rows), rows @ discriminant_axes(rows, labels)
    for column in range(2):
        assert abs(np.corrcoef(theirs[:, column], ours[:, column])[0, 1]) > 1 - 1e-7


def test_discriminant_axes_are_none_with_one_class():
    assert discriminant_axes(np.ones((4, 2)), np.array(["a"] * 4, dtype=object)).shape == (2, 0)


def test_numbers_fall_back_to_principal_axes_with_one_class():
    items, _ = make(categories=(("a",),) * 40)
    catalogue, _ = build_catalogue(items, None)
    assert block(catalogue, "number").shape == (40, 2)


def test_ema_changes_nothing_at_alpha_one():
    np.testing.assert_array_equal(ema([1.0, 2.0], [3.0, 4.0], alpha=1.0), [1.0, 2.0])


def test_ema_twice_equals_the_closed_form():
    x, a, b = np.random.default_rng(5).normal(size=(3, 6))
    twice = ema(ema(x, a, 0.9), b, 0.9)
    np.testing.assert_allclose(twice, 0.81 * x + 0.09 * a + 0.1 * b)


@pytest.mark.parametrize(("alpha", "new"), [(1.1, [0.0]), (float("nan"), [0.0]), (0.5, [0.0, 1.0])])
def test_ema_refuses_bad_input(alpha, new):
    with pytest.raises(DataError, match="alpha"):
        ema([0.0], new, alpha)


def test_real_films_give_the_blocks_of_the_recipe():
    path = DATA / "ml-100k" / "std" / "items.csv"
    if not path.is_file():
        pytest.skip("PRIVET_DATA_DIR holds no ml-100k/std/items.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [re.search(r"\((\d{4})\)", row["title"]) for row in rows]
    items = Items(
        ids=tuple(row["item_id"] for row in rows),
        titles=tuple(row["title"] for row in rows),
        descriptions=tuple(row["description"] for row in rows),
        categories=tuple(tuple(row["genres"].split("|")) for row in rows),
        years=np.array([float(m[1]) if m else np.nan for m in found]),
    )
    vectors = np.random.default_rng(6).normal(size=(len(rows), 48))
    catalogue, basis = build_catalogue(items, vectors)
    assert basis.newest_year == 1998
    assert [(b.kind, b.stop - b.start) for b in catalogue.blocks] == [
        ("category", 18),
        ("time", 3),
        ("text", 32),
    ]
