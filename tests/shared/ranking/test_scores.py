# SPDX-License-Identifier: Apache-2.0
"""Scores: the formulas written out once more, slowly, and what a context must not know."""

import numpy as np

from shared.model.interest import NAMES
from shared.ranking.scores import SCALE, ItemSide, context_scores, decay
from shared.schema import Ints


def test_context_scores_equal_the_formulas_written_out(side: ItemSide, history: Ints) -> None:
    ends, candidates = np.array([4, 20]), np.array([3, 11])
    scores = context_scores(side, history, ends, candidates)
    assert scores.shape == (len(NAMES), 2, 2)
    for c, end in enumerate(ends):
        past = history[:end]
        weight = 0.9 ** np.arange(end - 1, -1, -1)
        weight /= weight.sum()
        for n, item in enumerate(candidates):
            text = side.text[past] @ side.text[item]
            category = side.categories[past] @ side.categories[item]
            gap = side.log_age[past] - side.log_age[item]
            joint = np.exp(-2 * (1 - text) - 2 * (1 - category) - gap**2 / 2)
            z, m = side.popularity, side.liking
            wanted = {
                "text_recent": weight @ text,
                "text_all": text.mean(),
                "category_recent": weight @ category,
                "time_recent": weight @ np.exp(-abs(side.age[past] - side.age[item]) / 2),
                "joint_recent": weight @ joint,
                "joint_best": joint[-10:].max(),
                "popularity_length": np.log(end / 60) * z[item],
                "popularity_near_recent": -abs(z[item] - weight @ z[past]),
                "liking_near_recent": -abs(m[item] - weight @ m[past]),
                "learned_recent": weight @ side.learned[past] @ side.learned[item],
            }
            for name, value in wanted.items():
                got = scores[NAMES.index(name), c, n]
                np.testing.assert_allclose(got, value * SCALE.get(name, 1.0), rtol=1e-5, atol=1e-6)


def test_a_context_knows_nothing_that_comes_later(side: ItemSide, history: Ints) -> None:
    candidates = np.arange(9)
    early = context_scores(side, history[:7], np.array([7]), candidates)
    within = context_scores(side, history, np.array([7]), candidates)
    np.testing.assert_allclose(early, within, rtol=1e-10)


def test_scores_are_finite_when_the_history_is_empty(side: ItemSide) -> None:
    none = np.zeros(0, dtype=np.int64)
    assert np.isfinite(context_scores(side, none, np.array([0]), np.arange(60))).all()


def test_decay_weighs_what_is_known_and_sums_to_one(history: Ints) -> None:
    weights = decay(history, np.array([0, 5, 20]), 0.9)
    np.testing.assert_allclose(weights.sum(axis=1), [0.0, 1.0, 1.0])
    assert not weights[1, 5:].any()
    assert (np.diff(weights[2]) > 0).all()


def test_scores_do_not_depend_on_where_an_item_stands_in_the_catalogue(
    side: ItemSide, history: Ints
) -> None:
    order = np.random.default_rng(1).permutation(60)
    back = np.argsort(order)
    moved = ItemSide(
        side.text[order], side.categories[order], side.log_age[order], side.age[order],
        side.popularity[order], side.liking[order], side.learned[order], side.vectors[order],
        side.ages, side.age_place[order],
    )  # fmt: skip
    one = context_scores(side, history, np.array([20]), np.arange(60))
    other = context_scores(moved, back[history], np.array([20]), back)
    np.testing.assert_allclose(one, other, rtol=1e-6)
