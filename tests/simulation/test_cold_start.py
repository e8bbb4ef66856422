# SPDX-License-Identifier: Apache-2.0
"""Newcomers: each rating helps, nobody's test rows are looked at, new items stand by their text."""

from dataclasses import replace

import numpy as np
import pytest

from server.plan import make_plan
from shared.config import RunConfig
from shared.features import build_catalogue, item_text, project
from shared.model.released import SharedModel
from shared.text.encoder import load_encoder
from simulation.cold_start import RATINGS, cold_start, hit_chance, negatives
from simulation.devices import devices_of
from simulation.federation import federate
from simulation.run import _engine
from simulation.splits import split
from simulation.village import village


def trained(name: str, seed: int = 6):
    """A village, its split, and a model without noise."""
    data = village(180, 90, seed=seed)
    vectors = load_encoder("characters").encode(item_text(data.items))
    catalogue, basis = build_catalogue(data.items, np.asarray(vectors))
    parts = split(data, name, 0.3, 0)
    devices = devices_of(data, parts.known)
    away = set(parts.history.users.tolist())
    enrolled = [device for user, device in enumerate(devices) if user not in away]
    config = RunConfig(no_privacy=True, blocks=("items",), objective="ratings")
    plan = make_plan(config, len(enrolled), catalogue)
    return data, basis, parts, devices, federate(enrolled, catalogue, plan, _engine(config))


@pytest.fixture(scope="module")
def newcomers():
    return trained("users")


def test_ten_ratings_tell_more_than_none(newcomers):
    data, _, parts, devices, model = newcomers
    rows = cold_start(model, devices, parts, data.scale, 0)
    assert [row["ratings"] for row in rows] == list(RATINGS)
    assert rows[-1]["rmse"] < rows[0]["rmse"]
    assert all(0 <= row["hr@10"] <= 1 for row in rows)
    assert len({row["users"] for row in rows}) == 1


def test_ratings_after_the_tenth_change_nothing(newcomers):
    data, _, parts, devices, model = newcomers
    shorter = [replace(d, items=d.items[:11], ratings=d.ratings[:11] * 0 + 2.0) for d in devices]
    for device, old in zip(shorter, devices, strict=True):
        device.ratings[:10] = old.ratings[:10]
    one, two = (cold_start(model, d, parts, data.scale, 0) for d in (devices, shorter))
    assert [row["rmse"] for row in one] == [row["rmse"] for row in two]


def test_new_items_are_measured_at_no_rating():
    data, _, parts, devices, model = trained("items")
    (row,) = cold_start(model, devices, parts, data.scale, 0)
    assert (row["of"], row["ratings"]) == ("item", 0)
    assert row["auc_new"] > 0.5
    mean = data.scale.to_unit(parts.train.ratings).mean() + data.scale.centre
    assert row["rmse"] < np.sqrt(np.mean((parts.test.ratings - mean) ** 2))


def test_other_splits_have_no_newcomers(newcomers):
    data, _, _, devices, model = newcomers
    parts = split(data, "random", 0.2, 0)
    assert cold_start(model, devices, parts, data.scale, 0) is None


def test_an_item_added_later_stands_by_its_text_on_the_frozen_basis(newcomers):
    data, basis, _, devices, model = newcomers
    liked = int(np.argmax(model.statistics.weight))
    names = data.items.ids
    twin = replace(
        data.items,
        ids=(*names, "new"),
        titles=(*data.items.titles, data.items.titles[liked]),
        descriptions=(*data.items.descriptions, data.items.descriptions[liked]),
        categories=(*data.items.categories, data.items.categories[liked]),
        years=np.append(data.items.years, data.items.years[liked]),
        numbers={n: np.append(c, c[liked]) for n, c in data.items.numbers.items()},
    )
    vectors = load_encoder("characters").encode(item_text(twin))
    longer = project(basis, twin, np.asarray(vectors))
    np.testing.assert_allclose(longer.features[-1], longer.features[liked])
    np.testing.assert_allclose(longer.features[:-1], model.catalogue.features, atol=1e-6)
    later = SharedModel.before_any_release(longer)
    rated = next(d for d in devices if liked in d.items)
    predicted = later.rate(rated, np.array([liked, len(names)]))
    assert predicted[0] == pytest.approx(predicted[1], abs=1e-9)


@pytest.mark.parametrize(
    ("scores", "chance"),
    [([9, 1, 1, 1], 1.0), ([0] + [1] * 99, 0.0), ([1] * 100, 0.1), ([1] * 11, 10 / 11)],
)
def test_hit_is_the_chance_over_ties(scores, chance):
    first, *others = map(float, scores)
    assert hit_chance(first, np.array(others)) == pytest.approx(chance)


def test_negatives_are_unknown_and_never_the_wanted_item():
    drawn = negatives(150, 7, np.arange(20, 60), (0, 1))
    assert len(set(drawn.tolist())) == 99
    assert not set(drawn.tolist()) & {7, *range(20, 60)}
    assert len(negatives(30, 7, np.arange(20, 30), (0, 1))) == 19
