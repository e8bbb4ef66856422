# SPDX-License-Identifier: Apache-2.0
"""Contexts: which choices are learned from, against what."""

import numpy as np

from shared.model.interest import InterestModel
from shared.ranking.contexts import CONTEXTS, contexts_of, draw_negatives, taste, tilt
from shared.ranking.scores import ItemSide
from shared.schema import Ints


def test_contexts_are_the_newest_choices_with_three_events_before(
    side: ItemSide, model: InterestModel, history: Ints
) -> None:
    contexts = contexts_of(side, model, history)
    assert contexts is not None
    np.testing.assert_array_equal(contexts.chosen, history[3:])
    assert CONTEXTS == 60


def test_there_is_no_context_when_the_history_is_too_short(
    side: ItemSide, model: InterestModel, history: Ints
) -> None:
    assert contexts_of(side, model, history[:3]) is None
    assert contexts_of(side, model, np.arange(60)) is None, "nothing is left to compare with"


def test_negatives_come_from_everything_outside_the_history(history: Ints) -> None:
    drawn = draw_negatives(history, 60)
    assert not np.isin(drawn, history).any()
    assert len(np.unique(drawn)) == len(drawn) == 40, "a held-out item is never left out"
    seen = np.concatenate([draw_negatives(np.array([0, i]), 2000) for i in range(1, 200)])
    assert len(np.unique(seen)) > 1990


def test_probabilities_are_the_softmax_of_interest(
    side: ItemSide, model: InterestModel, history: Ints
) -> None:
    from shared.ranking.interest import Interest

    contexts = contexts_of(side, model, history)
    assert contexts is not None
    np.testing.assert_allclose(contexts.probability.sum(axis=1), 1.0)
    np.testing.assert_allclose(contexts.surprise.sum(axis=1), 0.0, atol=1e-12)
    last = np.append(contexts.chosen[-1], contexts.negatives)
    score = Interest(side, model).score(history[:-1], last, weights=model.weights)
    wanted = np.exp(score - score.max())
    np.testing.assert_allclose(contexts.probability[-1], wanted / wanted.sum(), rtol=1e-5)


def test_tilt_is_clamped(side: ItemSide, model: InterestModel, history: Ints) -> None:
    c = 1e6 * taste(side, history, np.array([5, 9]))
    assert np.abs(tilt(model, c)).max() == 3.0
    np.testing.assert_array_equal(tilt(model, c)[:, 0], 1.0)
