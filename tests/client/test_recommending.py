# SPDX-License-Identifier: Apache-2.0
"""Recommendations on the device: the list, its reasons, and an explanation that adds up."""

from dataclasses import replace

import numpy as np
import pytest

from client import recommending
from client.recommending import Reason, explain, recommend, shortlist
from client.scoring import Scorer, alike, restricted
from client.texts import texts
from shared.errors import UsageError
from shared.model.history import History
from shared.model.network import Network, NetworkShape, initial_network
from shared.model.released import SharedModel
from shared.model.view import profile_texts
from shared.ranking.interest import Interest
from tests.client.made import public, released, resident

NOBODY = History(np.zeros(0, dtype=np.int64), np.zeros(0))


@pytest.fixture
def model() -> SharedModel:
    return released()


@pytest.fixture
def own() -> History:
    return resident().history


def test_recommend_leaves_out_what_was_rated(model, own):
    found = recommend(model, own, 90)
    assert not {one.item for one in found} & set(own.items.tolist())
    assert len(found) == 90 - len(own)


def test_recommend_ranks_by_interest_without_diversity(model, own):
    found = recommend(model, own, 20, diversity=0.0)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    total = Interest.of(model.catalogue, model.interest).score(own.items)
    assert scores == pytest.approx([float(total[one.item]) for one in found])


def test_recommend_predicts_what_the_model_predicts(model, own):
    found = recommend(model, own, 7)
    rows = np.array([one.item for one in found])
    assert [one.rating for one in found] == pytest.approx(model.rate(own, rows).tolist())


def test_recommend_mixes_more_with_more_diversity(model, own):
    def likeness(diversity):
        rows = np.array([one.item for one in recommend(model, own, 10, diversity=diversity)])
        return alike(model, rows, rows)[np.triu_indices(10, 1)].mean()

    assert likeness(0.0) > likeness(0.3) > likeness(0.9)


@pytest.mark.parametrize("diversity", [-0.1, 1.1, float("nan")])
def test_recommend_refuses_other_diversities(model, own, diversity):
    with pytest.raises(UsageError, match="--diversity"):
        recommend(model, own, diversity=diversity)


def test_less_moves_like_items_down_and_hides_the_item(model, own):
    first = recommend(model, own, 90, diversity=0.0)
    unwanted = np.array([first[0].item])
    after = recommend(model, own, 90, diversity=0.0, less=unwanted)
    places = {one.item: place for place, one in enumerate(after)}
    assert first[0].item not in places
    others = np.array([one.item for one in first[1:]])
    moved = np.array([places[row] for row in others.tolist()]) - np.arange(len(others))
    near = alike(model, others, unwanted)[:, 0]
    assert np.corrcoef(near, moved)[0, 1] > 0.5


def test_recommend_without_ratings_goes_by_popularity(model):
    found = recommend(model, NOBODY, 5, diversity=0.0)
    best = np.argsort(-model.tower.log_weight, kind="stable")[:15]
    assert {one.item for one in found} <= set(best.tolist())
    assert all(one.reasons[0].kind in recommending.OTHERS for one in found)


def test_recommend_without_ratings_or_model_still_gives_a_list():
    found = recommend(SharedModel.before_any_release(public()[0]), NOBODY, 5)
    assert len(found) == 5
    assert all(one.reasons == (Reason("new"),) for one in found)


def test_recommend_before_the_first_model_goes_by_likeness(own):
    before = SharedModel.before_any_release(public()[0])
    found = recommend(before, own, 10)
    kinds = {reason.kind for one in found for reason in one.reasons}
    assert "popularity" not in kinds
    assert {"text", "category", "likeness"} & kinds


def test_reasons_name_rated_items_and_shared_categories(model, own):
    for one in recommend(model, own, 30):
        assert 1 <= len(one.reasons) <= 2
        for reason in one.reasons:
            assert (reason.item is None) == (reason.kind in (*recommending.OTHERS, "new"))
            assert reason.item is None or reason.item in own.items
            for column in reason.categories:
                assert model.catalogue.categories[reason.item, column] > 0
                assert model.catalogue.categories[one.item, column] > 0


def test_reasons_put_what_is_the_owners_first(model, own):
    for one in recommend(model, own, 30):
        kinds = [reason.kind for reason in one.reasons]
        others = [kind in recommending.OTHERS for kind in kinds]
        assert others == sorted(others)


def test_reasons_name_no_item_that_was_disliked(model, own):
    liked = set(own.items[own.ratings >= own.ratings.mean()].tolist())
    for one in recommend(model, own, 60):
        assert len(set(one.reasons)) == len(one.reasons)
        assert all(r.item is None or r.kind == "time" or r.item in liked for r in one.reasons)


def test_explain_adds_up_to_the_prediction(model, own):
    for item in (3, 40, 77):
        found = explain(model, own, item)
        told = sum(part for _, part in found.because)
        assert found.base + told + found.rest == pytest.approx(found.rating)
        assert found.rating == pytest.approx(float(model.rate(own, np.array([item]))[0]))
        assert found.base == pytest.approx(float(model.tower.offset[item]))


def test_explain_without_ratings_is_the_base(model):
    found = explain(model, NOBODY, 3)
    assert found.because == ()
    assert found.rest == 0.0
    assert found.rating == found.base


def test_explain_keeps_its_sum_with_a_network(model, own):
    size, texts = model.tower.features.shape[1], profile_texts(model.catalogue)
    shape = NetworkShape(2, texts.shape[1], size)
    flat = initial_network(shape, 1) + 0.05
    deep = replace(
        model, network=Network(directions=np.eye(size)[:, :2], shape=shape, parameters=flat)
    )
    found = explain(deep, own, 5)
    assert found.rating == pytest.approx(float(deep.rate(own, np.array([5]))[0]))
    assert found.base != pytest.approx(float(deep.tower.offset[5]))


def test_terms_add_up_to_the_interest(model, own):
    rows = np.array([3, 40, 77])
    terms = Scorer(model, own).terms(rows)
    for kind in terms:
        assert f"reason.{kind}" in texts("en")
    score = Interest.of(model.catalogue, model.interest).score(own.items, rows)
    assert sum(terms.values()) == pytest.approx(score)


def test_weights_of_the_owner_are_solved_once_a_history(model, own, monkeypatch):
    calls = []
    solve = Interest.weights
    monkeypatch.setattr(
        Interest, "weights", lambda self, items: calls.append(1) or solve(self, items)
    )
    first = Scorer(model, own).weights
    assert Scorer(model, own).weights is first
    shorter = History(own.items[:-1], own.ratings[:-1])
    assert not np.array_equal(Scorer(model, shorter).weights, first)
    assert len(calls) <= 2
    assert np.array_equal(Scorer(replace(model), own).weights, first)


@pytest.mark.parametrize("size", [20, 60])
def test_shortlist_keeps_what_was_rated_and_changes_no_score(model, own, size, monkeypatch):
    whole = {one.item: one for one in recommend(model, own, 90, diversity=0.0)}
    monkeypatch.setattr(recommending, "SHORTLIST", size)
    scorer = Scorer(model, own)
    rows = shortlist(scorer, 90, always=np.array([89]))
    assert {*own.items.tolist(), 89} <= set(rows.tolist())
    assert np.array_equal(rows, np.unique(rows))
    assert len(rows) <= size + len(own) + 1
    assert set(np.argsort(-scorer.quick())[:size].tolist()) <= set(rows.tolist())
    for one in recommend(model, own, 10, diversity=0.0):
        assert one.score == pytest.approx(whole[one.item].score)
        assert one.rating == pytest.approx(whole[one.item].rating)
        assert all(r.item is None or r.item in own.items for r in one.reasons)


def test_restricted_model_is_the_model_of_those_items(model, own):
    rows = np.sort(np.concatenate([own.items, np.array([60, 71])]))
    rows = np.flatnonzero(np.bincount(rows))
    small = restricted(replace(model, comment_mean=np.arange(90.0)), rows)
    moved = replace(own, items=np.searchsorted(rows, own.items))
    place = np.searchsorted(rows, [71])
    assert small.rate(moved, place) == pytest.approx(model.rate(own, np.array([71])))
    assert small.catalogue.titles[int(place[0])] == model.catalogue.titles[71]
    assert small.comment_mean is not None
    assert small.comment_mean[place].tolist() == [71.0]


def test_reason_prefers_a_liked_item_among_near_equals():
    history = History(np.array([4, 9, 2]), np.array([1.0, -1.0, 0.5]))
    assert recommending._behind(history, np.array([0.6, 1.0, 0.1])) == 4
    assert recommending._behind(history, np.array([0.4, 1.0, 0.1])) == 9
    assert recommending._behind(history, np.array([-0.4, -1.0, -0.1])) in (4, 9, 2)
