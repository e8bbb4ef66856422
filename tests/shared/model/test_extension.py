# SPDX-License-Identifier: Apache-2.0
"""New items: served from their public features alone, known ones unchanged."""

from dataclasses import replace

import numpy as np
import pytest

from shared.errors import DataError
from shared.model.extension import as_new, extended
from shared.model.history import History
from shared.model.prior import Prior
from shared.model.released import SharedModel
from shared.model.statistics import ItemStatistics
from tests.shared.model.conftest import made_up_catalogue

OLD, ALL = 120, 150


def take(catalogue, count):
    """The first items of a catalogue."""
    cut = {
        name: getattr(catalogue, name)[:count]
        for name in ("item_ids", "titles", "features", "text", "categories", "log_age")
    }
    return replace(catalogue, **cut)


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(0)
    whole = made_up_catalogue(ALL, seed=2)
    truth = whole.features @ rng.normal(size=whole.features.shape[1])
    truth = truth / truth.std() * 0.5
    statistics = ItemStatistics(truth[:OLD], rng.uniform(3, 30, OLD), rng.normal(size=OLD))
    model = SharedModel.of_items(take(whole, OLD), statistics)
    size = model.tower.features.shape[1]
    prior = Prior(np.eye(size), 0.1 * rng.normal(size=size))
    moved = replace(model, prior=prior, tower=model.tower.shifted(prior.mean))
    return moved, whole, truth


def test_known_items_keep_what_the_model_says_of_them(made):
    model, whole, _ = made
    longer = extended(model, whole)
    owner = History(np.array([1, 5, 9]), np.array([1.0, -1.0, 0.5]))
    np.testing.assert_allclose(
        longer.rate(owner, np.arange(OLD)), model.rate(owner, np.arange(OLD)), atol=1e-12
    )


def test_new_items_get_the_mean_that_their_features_tell(made):
    model, whole, truth = made
    told = extended(model, whole).statistics.mean[OLD:]
    assert np.corrcoef(told, truth[OLD:])[0, 1] > 0.7


def test_new_items_are_rated_and_liked_like_their_twins(made):
    model, whole, _ = made
    owner = History(np.array([OLD - 1]), np.array([2.0]))
    features, text = whole.features.copy(), whole.text.copy()
    features[OLD], text[OLD] = features[OLD - 1], text[OLD - 1]
    twin = extended(model, replace(whole, features=features, text=text))
    liked = twin.rate(owner, np.arange(OLD, ALL)) - twin.tower.offset[OLD:]
    assert liked[0] > np.quantile(liked, 0.8)


def test_new_items_are_as_popular_as_their_features_tell(made):
    model, whole, _ = made
    rng = np.random.default_rng(4)
    told = whole.features @ rng.normal(size=whole.features.shape[1])
    told = (told - told.mean()) / told.std()
    popular = replace(model.statistics, log_weight=told[:OLD])
    longer = extended(replace(model, statistics=popular), whole)
    assert np.corrcoef(longer.statistics.log_weight[OLD:], told[OLD:])[0, 1] > 0.7
    np.testing.assert_array_equal(
        longer.interest.popularity[OLD:], longer.statistics.log_weight[OLD:]
    )
    assert not longer.interest.items[OLD:].any()
    assert (longer.statistics.weight[OLD:] <= model.statistics.weight.min()).all()


def test_an_item_treated_as_new_forgets_what_was_released_of_it(made):
    model, _, _ = made
    rows = np.array([3, 50])
    twisted = replace(model.statistics, mean=model.statistics.mean.copy())
    twisted.mean[rows] = [9.0, -9.0]
    one, two = (as_new(replace(model, statistics=s), rows) for s in (model.statistics, twisted))
    np.testing.assert_array_equal(one.tower.offset, two.tower.offset)
    others = np.setdiff1d(np.arange(OLD), rows)
    np.testing.assert_array_equal(one.tower.features[others], model.tower.features[others])


def test_a_model_without_releases_grows_as_well(made):
    _, whole, _ = made
    alone = SharedModel.before_any_release(take(whole, OLD))
    grown = extended(alone, whole)
    fresh = SharedModel.before_any_release(whole)
    np.testing.assert_array_equal(grown.tower.features, fresh.tower.features)


def test_comment_means_of_new_items_are_the_average(made):
    model, whole, _ = made
    longer = extended(replace(model, comment_mean=np.linspace(-1, 1, OLD)), whole)
    np.testing.assert_allclose(longer.comment_mean[OLD:], 0.0, atol=1e-12)


def test_another_catalogue_is_refused(made):
    model, whole, _ = made
    turned = replace(whole, item_ids=whole.item_ids[::-1])
    with pytest.raises(DataError, match="must begin with the items"):
        extended(model, turned)
