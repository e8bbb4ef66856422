# SPDX-License-Identifier: Apache-2.0
"""What a device pays when its owner rates something: goal <= 50 ms at 1,000 ratings and K = 80.

Run with ``pytest tests/bench/bench_update.py -o addopts=--import-mode=importlib``.
"""

import numpy as np
import pytest

from shared.catalogue import Catalogue, FeatureBlock
from shared.explanation import explain_ratings
from shared.model.history import History
from shared.model.prior import Prior
from shared.model.profile import RATED_ALPHA, profile_of, update_profile
from shared.model.released import SharedModel
from shared.model.statistics import ItemStatistics
from shared.public_comments import public_vectors, reader_profile, score_comments

ITEMS, RATED, FEATURES, TEXT = 5_000, 1_000, 77, 384


@pytest.fixture(scope="module")
def made():
    """A model with K = 80 and an owner of 1,000 ratings."""
    rng = np.random.default_rng(0)
    text = rng.standard_normal((ITEMS, TEXT))
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    ids = tuple(map(str, range(ITEMS)))
    features = rng.standard_normal((ITEMS, FEATURES)) / np.sqrt(FEATURES)
    kinds = np.eye(20)[rng.integers(0, 20, ITEMS)]
    block = (FeatureBlock("text", 0, FEATURES),)
    catalogue = Catalogue(ids, ids, features, block, text, kinds, rng.uniform(0, 4, ITEMS))
    statistics = ItemStatistics(rng.normal(size=ITEMS), np.ones(ITEMS), rng.normal(size=ITEMS))
    model = SharedModel.of_items(catalogue, statistics)
    assert model.tower.features.shape[1] == 80
    owner = History(rng.permutation(ITEMS)[:RATED], rng.uniform(-2, 2, RATED))
    return model, owner, rng


def test_bench_user_vector(benchmark, made):
    model, owner, _ = made
    benchmark(model.user_vector, owner)


def test_bench_profile_update(benchmark, made):
    model, owner, _ = made
    profile = profile_of(model.catalogue.text[owner.items], RATED_ALPHA)
    benchmark(update_profile, profile, model.catalogue.text[0], RATED_ALPHA)


def test_bench_ten_shown_ratings_with_the_kernel(benchmark, made):
    model, owner, _ = made
    benchmark(model.rate, owner, np.arange(10))


def test_bench_ten_explanations(benchmark, made):
    model, owner, _ = made
    parts = (model.tower, Prior.standard(80), model.catalogue, owner.items, owner.ratings)
    benchmark(explain_ratings, *parts, np.arange(10))


def test_bench_score_public_comments(benchmark, made):
    _, _, rng = made
    vectors = rng.standard_normal((10_000, TEXT))
    on = rng.integers(0, ITEMS, 10_000)
    space = public_vectors(vectors, on, ITEMS)
    interest = rng.uniform(size=ITEMS)

    def after_a_new_comment():
        profile = reader_profile(space, vectors[:200], on[:200])
        return score_comments(space, interest, profile)

    benchmark(after_a_new_comment)
