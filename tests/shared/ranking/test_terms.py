# SPDX-License-Identifier: Apache-2.0
"""What devices answer is the derivative of the choice model's loss, checked by differences."""

from dataclasses import replace

import numpy as np

from shared.model.interest import InterestModel
from shared.ranking.contexts import contexts_of
from shared.ranking.scores import ItemSide
from shared.ranking.terms import rank_bilinear_vector, rank_items_vector
from shared.schema import Floats, Ints

STEP = 1e-5


def likelihood(side: ItemSide, model: InterestModel, history: Ints) -> Floats:
    """Log probability of each choice, (C,)."""
    contexts = contexts_of(side, model, history)
    assert contexts is not None
    return np.log(contexts.probability[:, 0])


def test_bilinear_vector_is_the_mean_gradient(
    side: ItemSide, model: InterestModel, history: Ints
) -> None:
    vector = rank_bilinear_vector(contexts_of(side, model, history), side, model)
    for place in (0, 7, 24):
        nudge = np.zeros(25)
        nudge[place] = STEP
        moved = [model.bilinear + s * nudge.reshape(5, 5) for s in (1, -1)]
        up, down = (likelihood(side, replace(model, bilinear=m), history) for m in moved)
        np.testing.assert_allclose(vector[place], (up - down).mean() / (2 * STEP), rtol=1e-4)


def test_items_vector_is_the_summed_gradient(
    side: ItemSide, model: InterestModel, history: Ints
) -> None:
    place = np.arange(60)
    sparse = rank_items_vector(contexts_of(side, model, history), model, place)
    vector = np.zeros(sparse.dimension)
    vector[sparse.indices] = sparse.values
    rows = vector.reshape(60, 3)
    fixed = side  # the learned scores are not differentiated: they are a view of earlier rounds
    for item in (int(history[5]), int(history[0]), 0):
        for column in range(3):
            nudge = np.zeros((60, 3))
            nudge[item, column] = STEP
            both = [
                likelihood(fixed, replace(model, items=model.items + s * nudge), history)
                for s in (1, -1)
            ]
            wanted = (both[0] - both[1]).sum() / (2 * STEP)
            np.testing.assert_allclose(rows[item, column], wanted, rtol=1e-4, atol=1e-6)


def test_items_vector_leaves_out_items_without_terms(
    side: ItemSide, model: InterestModel, history: Ints
) -> None:
    place = np.full(60, -1)
    place[history[4]] = 0
    sparse = rank_items_vector(contexts_of(side, model, history), model, place)
    np.testing.assert_array_equal(sparse.indices, [0, 1, 2])
    assert sparse.dimension == 3


def test_answers_are_zero_when_the_history_is_too_short(
    side: ItemSide, model: InterestModel
) -> None:
    assert not rank_bilinear_vector(None, side, model).any()
    empty = rank_items_vector(None, model, np.arange(60))
    assert (empty.dimension, len(empty.indices)) == (180, 0)
