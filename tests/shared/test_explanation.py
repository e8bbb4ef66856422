# SPDX-License-Identifier: Apache-2.0
"""An explanation adds up to the score, and the influence of a rating is what its removal says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.explanation import (
    PHRASES,
    Explanation,
    because,
    explain_ratings,
    explain_score,
    term_words,
)
from shared.model.local import predict
from shared.model.prior import Prior
from shared.model.statistics import ItemStatistics
from shared.model.tower import Tower, build_tower
from shared.schema import Scale
from tests.shared.model.conftest import made_up_catalogue

SCALE = Scale(1, 5)
ITEMS = 40


def made_up(seed: int, *, text: bool = True):
    """A released model with factors, and the tower before its rounds."""
    rng = np.random.default_rng(seed)
    catalogue = made_up_catalogue(ITEMS, text=text, seed=seed)
    statistics = ItemStatistics(
        0.4 * rng.normal(size=ITEMS), rng.uniform(1, 9, ITEMS), rng.normal(size=ITEMS)
    )
    start = build_tower(catalogue, statistics)
    size = start.features.shape[1]
    root = np.eye(size) + 0.3 * rng.normal(size=(size, size)) / np.sqrt(size)
    features = start.features + 0.1 * rng.normal(size=start.features.shape)
    tower = Tower(features, start.offset + 0.1, start.log_weight, start.axes)
    return catalogue, start, tower, Prior(root @ root.T, np.zeros(size)), rng


def explained(seed: int, rated: int, *, text: bool = True):
    """All targets explained, with what made them."""
    catalogue, start, tower, prior, rng = made_up(seed, text=text)
    items = rng.permutation(ITEMS)[:rated]
    ratings = np.clip(rng.normal(size=rated), -2, 2)
    network = 0.1 * rng.normal(size=ITEMS)
    targets = np.arange(ITEMS)
    found = explain_ratings(
        tower, prior, catalogue, items, ratings, targets, start=start, network=network
    )
    shown = predict(tower, prior, catalogue, items, ratings, targets) + network
    return found, shown


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, ITEMS), st.booleans())
def test_terms_sum_to_the_shown_rating(seed, rated, text):
    found, shown = explained(seed, rated, text=text)
    np.testing.assert_allclose([one.score for one in found], shown, rtol=0, atol=1e-6)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, ITEMS))
def test_influences_sum_to_what_the_owner_adds(seed, rated):
    found, shown = explained(seed, rated)
    for one, value in zip(found, shown, strict=True):
        others = one.terms["everyone"] + one.terms["network"]
        assert one.influence.sum() == pytest.approx(value - others, abs=1e-6)


def test_influence_is_the_slope_in_the_rating():
    catalogue, start, tower, prior, rng = made_up(3)
    items, ratings = rng.permutation(ITEMS)[:12], rng.normal(size=12)
    targets = np.array([5, 6])
    one = explain_ratings(tower, prior, catalogue, items, ratings, targets, start=start)[1]
    for row in range(12):
        more = ratings.copy()
        more[row] += 1.0
        old, new = (
            predict(tower, prior, catalogue, items, stars, targets)[1] for stars in (ratings, more)
        )
        pull = ratings[row] - tower.offset[items[row]]
        assert one.influence[row] == pytest.approx((new - old) * pull, abs=1e-9)


def test_latent_is_zero_before_any_round():
    catalogue, start, _, prior, _ = made_up(4)
    one = explain_ratings(
        start, prior, catalogue, np.array([1, 2]), np.array([1.0, -1.0]), np.array([7])
    )[0]
    assert one.terms["latent"] == 0.0


def test_every_term_has_words():
    assert set(explained(5, 6)[0][0].terms) <= set(PHRASES)


def test_only_the_newest_thousand_ratings_have_a_say():
    catalogue, _, tower, prior, _ = made_up(6)
    items = np.concatenate([[7], np.tile(np.arange(5), 200)])
    ratings = np.concatenate([[100.0], np.zeros(1000)])
    one = explain_ratings(tower, prior, catalogue, items, ratings, np.array([7]))[0]
    assert len(one.influence) == 1000


def test_score_terms_sum_to_the_score():
    rng = np.random.default_rng(7)
    terms = {name: rng.normal(size=ITEMS) for name in ("text", "category", "popularity")}
    for item in range(ITEMS):
        total = sum(values[item] for values in terms.values())
        assert sum(explain_score(terms, item).values()) == pytest.approx(total, abs=1e-6)


def test_score_terms_fall_in_size_and_end_with_the_average():
    told = explain_score({"a": np.array([0.0, 1.0]), "b": np.array([9.0, 0.0])}, 1)
    assert list(told) == ["b", "a", "average"]


# --- words


def spoken(influence, reads_like=-1):
    count = len(influence)
    return Explanation(
        9,
        {"everyone": 0.25, "latent": 0.5, "text": -1.0, "time": 0.0},
        np.arange(count),
        SCALE.to_unit(np.array([5.0, 4.0, 2.0, 3.0])[:count]),
        np.array(influence, dtype=float),
        reads_like,
    )


TITLES = ["Ash", "Birch", "Cedar", "Dogwood"]


def test_words_name_the_ratings_that_carry_it():
    words = because(spoken([0.4, 0.3, -0.1, 0.2], reads_like=3), TITLES, SCALE)
    assert words == (
        "because you rated Ash 5 and Birch 4, although you rated Cedar 2; it reads like Dogwood"
    )


def test_words_turn_round_when_the_owner_pulls_it_down():
    assert because(spoken([0.1, 0.0, -0.6]), TITLES, SCALE) == (
        "because you rated Cedar 2, although you rated Ash 5"
    )


def test_words_without_a_rating_speak_of_others():
    assert because(spoken([]), TITLES, SCALE) == "because of what others think of it"


def test_term_words_are_in_stars_largest_first():
    assert term_words(spoken([]), SCALE) == [
        (PHRASES["everyone"], 3.75),
        (PHRASES["text"], -1.0),
        (PHRASES["latent"], 0.5),
    ]


def test_item_reads_like_the_nearest_text_but_never_like_itself():
    catalogue, _, tower, prior, _ = made_up(8)
    items = np.arange(10)
    one = explain_ratings(tower, prior, catalogue, items, np.ones(10), np.array([4]))[0]
    alike = catalogue.text[items] @ catalogue.text[4]
    alike[4] = -np.inf
    assert one.reads_like == int(np.argmax(alike))
