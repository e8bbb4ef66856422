# SPDX-License-Identifier: Apache-2.0
"""Weights of the scores: the owner's own are the best under the ridge, and stay at home."""

from dataclasses import replace

import numpy as np

from shared.model.interest import NAMES, InterestModel
from shared.ranking.contexts import contexts_of
from shared.ranking.scores import ItemSide
from shared.ranking.weights import RIDGE, newton_step, own_weights, rank_weights_vector
from shared.schema import Floats, Ints


def likelihood(side: ItemSide, model: InterestModel, history: Ints) -> Floats:
    """Log probability of each choice, (C,)."""
    contexts = contexts_of(side, model, history)
    assert contexts is not None
    return np.log(contexts.probability[:, 0])


def test_newton_step_solves_the_ridge_problem(
    side: ItemSide, model: InterestModel, history: Ints
) -> None:
    def objective(weights: Floats) -> float:
        fit = likelihood(side, replace(model, weights=weights), history).sum()
        return float(fit - RIDGE / 2 * np.sum((weights - model.weights) ** 2))

    contexts = contexts_of(side, model, history)
    own = own_weights(contexts, model)
    assert objective(own) > objective(model.weights)
    rng = np.random.default_rng(0)
    best = objective(own)
    for _ in range(20):
        assert objective(own + 0.02 * rng.standard_normal(len(NAMES))) < best + 1e-3


def test_weights_vector_is_one_step_from_the_shared_weights(
    side: ItemSide, model: InterestModel, history: Ints
) -> None:
    contexts = contexts_of(side, model, history)
    assert contexts is not None
    step = newton_step(contexts, model.weights, model.weights, RIDGE)
    np.testing.assert_array_equal(rank_weights_vector(contexts, model), step)


def test_weights_stay_as_shared_when_the_history_is_too_short(model: InterestModel) -> None:
    assert not rank_weights_vector(None, model).any()
    np.testing.assert_array_equal(own_weights(None, model), model.weights)
