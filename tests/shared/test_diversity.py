# SPDX-License-Identifier: Apache-2.0
"""Diverse lists: maximal marginal relevance as Carbonell and Goldstein wrote it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalogue import Catalogue
from shared.diversity import POOL, diverse_top, diversify, item_vectors
from shared.errors import UsageError
from shared.metrics import intra_list_diversity, top_k


def made(seed: int, count: int, kinds: int = 4):
    """Scores and unit vectors."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, kinds))
    return rng.standard_normal(count), vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def catalogue_of(text, categories):
    """A catalogue of which only the likeness matters."""
    names = tuple("abc"[: len(text)])
    return Catalogue(names, names, np.zeros((len(text), 0)), (), text, categories, np.zeros(3))


def by_definition(scores, vectors, k, diversity):
    """The formula, one candidate at a time."""
    relevance = (scores - scores.min()) / (scores.max() - scores.min())
    chosen = [int(np.argmax(relevance))]
    while len(chosen) < k:
        value = {
            j: (1 - diversity) * relevance[j]
            - diversity * max(vectors[j] @ vectors[i] for i in chosen)
            for j in range(len(scores))
            if j not in chosen
        }
        chosen.append(max(value, key=value.__getitem__))
    return chosen


@given(st.integers(0, 999), st.integers(10, 60), st.floats(0.01, 0.99))
def test_diversify_is_the_formula(seed, count, diversity):
    scores, vectors = made(seed, count)
    order = np.argsort(-scores)
    found = diversify(order, scores[order], vectors, 8, diversity)
    assert found.tolist() == by_definition(scores, vectors, 8, diversity)


@given(st.integers(0, 999), st.integers(0, 30), st.integers(1, 12), st.floats(0, 1))
def test_list_has_no_repetition_and_its_length(seed, count, k, diversity):
    scores, vectors = made(seed, count)
    found = diverse_top(scores, vectors, k, diversity)
    assert len(found) == len(set(found.tolist())) == min(k, count)


def test_no_diversity_gives_the_plain_list():
    scores, vectors = made(1, 300)
    plain = top_k(scores[None], 10)[0]
    assert diverse_top(scores, vectors, 10, 0.0).tolist() == plain.tolist()


def test_first_place_is_always_the_best():
    scores, vectors = made(2, 300)
    assert diverse_top(scores, vectors, 10, 1.0)[0] == scores.argmax()


def test_more_diversity_gives_more_diverse_lists():
    kinds = np.eye(5)[np.random.default_rng(3).integers(0, 5, 300)]

    def diverse(value):
        people = [made(seed, 300)[0] + 1.5 * kinds[:, seed % 5] for seed in range(40)]
        lists = np.stack([diverse_top(scores, kinds, 10, value) for scores in people])
        return intra_list_diversity(lists, kinds).mean()

    assert diverse(0.0) + 0.02 < diverse(0.1) < diverse(0.3)


def test_left_out_items_never_appear():
    scores, vectors = made(4, 40)
    scores[::2], scores[1::4] = -np.inf, np.nan
    found = diverse_top(scores, vectors, 20, 0.7)
    assert np.isfinite(scores[found]).all()
    assert len(found) == 10


def test_nothing_below_the_pool_is_shown():
    scores, vectors = made(5, 500)
    found = diverse_top(scores, vectors, 10, 0.99)
    assert (scores[found] >= np.sort(scores)[-POOL]).all()


def test_equal_scores_fall_to_the_first():
    vectors = np.zeros((5, 2))
    assert diversify(np.arange(5), np.ones(5), vectors, 3, 0.5).tolist() == [0, 1, 2]


@pytest.mark.parametrize("diversity", [-0.1, 1.1, float("nan")])
def test_diversity_outside_its_range_is_refused(diversity):
    with pytest.raises(UsageError, match="diversity"):
        diversify(np.arange(2), np.ones(2), np.eye(2), 2, diversity)


def test_item_vectors_average_the_cosines_of_text_and_categories():
    one = catalogue_of(text=np.array([[1.0, 0.0], [0.6, 0.8]]), categories=np.array([[1.0], [1.0]]))
    vectors = item_vectors(one)
    assert vectors[0] @ vectors[1] == pytest.approx((0.6 + 1.0) / 2)


def test_item_vectors_of_a_bare_catalogue_say_nothing():
    bare = catalogue_of(text=np.zeros((3, 0)), categories=np.zeros((3, 0)))
    assert diverse_top(np.arange(3.0), item_vectors(bare), 2, 0.5).tolist() == [2, 1]
