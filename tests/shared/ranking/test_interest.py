# SPDX-License-Identifier: Apache-2.0
"""Interest: one score, whole or in parts, and the list that is made of it."""

from dataclasses import replace

import numpy as np
import pytest

from shared.catalogue import Catalogue
from shared.model.interest import NAMES, InterestModel
from shared.ranking import interest as module
from shared.ranking.interest import Interest
from shared.ranking.scores import ItemSide
from shared.ranking.shortlist import quick_scores
from shared.schema import Ints


@pytest.fixture
def ready(catalogue: Catalogue, model: InterestModel) -> Interest:
    return Interest.of(catalogue, model)


def test_score_of_some_items_is_that_of_all(ready: Interest, history: Ints) -> None:
    some = np.array([5, 40, 2])
    np.testing.assert_allclose(ready.score(history, some), ready.score(history)[some], rtol=1e-6)


def test_score_does_not_depend_on_blocks(
    ready: Interest, history: Ints, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ready.score(history)
    monkeypatch.setattr(module, "BLOCK", 7)
    np.testing.assert_allclose(ready.score(history), whole, rtol=1e-6)


def test_rank_is_the_order_of_the_score_without_the_history(ready: Interest, history: Ints) -> None:
    ranked = ready.rank(history, 100)
    assert sorted([*ranked, *history]) == list(range(60))
    score = ready.score(history)
    assert (np.diff(score[ranked]) <= 0).all()


def test_rank_of_a_shortlist_keeps_the_best_when_the_catalogue_is_large(
    ready: Interest, history: Ints, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ready.rank(history, 3)
    monkeypatch.setattr(module, "SHORTLIST", 35)
    np.testing.assert_array_equal(ready.rank(history, 3), whole)


def test_quick_scores_equal_the_score_but_for_the_joint_likeness(
    side: ItemSide, model: InterestModel, history: Ints
) -> None:
    weights = model.weights.copy()
    weights[[name.startswith("joint") for name in NAMES]] = 0.0
    quick = quick_scores(side, model, history, weights)
    full = Interest(side, model).score(history, weights=weights)
    np.testing.assert_allclose(quick, full, rtol=1e-4, atol=1e-5)


def test_terms_sum_to_the_score(ready: Interest, history: Ints) -> None:
    items = np.array([3, 9, 50])
    terms = ready.terms(history, items)
    np.testing.assert_allclose(sum(terms.values()), ready.score(history, items), atol=1e-6)
    assert len(terms) == 9


def test_scores_of_some_items_do_not_change_when_the_rest_is_left_out(
    catalogue: Catalogue, model: InterestModel, history: Ints
) -> None:
    rows = np.concatenate([history, [0, 1, 2]])
    some = replace(
        catalogue,
        features=catalogue.features[rows],
        text=catalogue.text[rows],
        categories=catalogue.categories[rows],
        log_age=catalogue.log_age[rows],
    )
    short = Interest.of(some, model.take(rows))
    alone = short.score(np.arange(len(history)), weights=model.weights)
    whole = Interest.of(catalogue, model).score(history, rows, weights=model.weights)
    np.testing.assert_allclose(alone, whole, rtol=1e-5)


def test_score_serves_somebody_without_a_history(ready: Interest) -> None:
    none = np.zeros(0, dtype=np.int64)
    score = ready.score(none)
    quick = quick_scores(ready.side, ready.model, none, ready.model.weights)
    np.testing.assert_allclose(score, quick, rtol=1e-5)
    assert len(ready.rank(none, 10)) == 10


def test_untrained_interest_ranks_by_popularity_and_likeness(
    catalogue: Catalogue, history: Ints
) -> None:
    rng = np.random.default_rng(2)
    untrained = InterestModel.untrained(catalogue, np.zeros(60), np.zeros(60))
    popular = replace(untrained, popularity=rng.normal(size=60))
    score = Interest.of(catalogue, popular).score(history)
    assert np.corrcoef(score, popular.popularity)[0, 1] > 0.5
    assert np.isfinite(Interest.of(catalogue, untrained).score(history)).all()
