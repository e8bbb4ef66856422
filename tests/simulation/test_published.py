# SPDX-License-Identifier: Apache-2.0
"""Published comments come from training alone."""

import pytest

from simulation.dataset import Dataset
from simulation.published import published
from simulation.splits import Split, split
from simulation.village import village


@pytest.fixture(scope="module")
def town() -> Dataset:
    return village(200, 80, seed=5)


@pytest.fixture(scope="module")
def parts(town: Dataset) -> Split:
    return split(town, "random", 0.2, 0)


def test_published_comments_are_training_comments_and_keep_the_operators_first(town, parts):
    told = published(town, parts, 0.3, 1)
    given = len(town.public_comments)
    assert told.texts[:given] == town.public_comments.texts
    wrote = sum(bool(text) for text in parts.train.comments)
    assert len(told) - given == round(0.3 * wrote)
    mine = set(zip(told.authors[given:].tolist(), told.items[given:].tolist(), strict=True))
    assert not mine & set(zip(parts.test.users.tolist(), parts.test.items.tolist(), strict=True))
    assert mine <= set(zip(parts.train.users.tolist(), parts.train.items.tolist(), strict=True))


def test_published_comments_follow_the_seed(town, parts):
    one, same, other = (published(town, parts, 0.3, seed) for seed in (1, 1, 2))
    assert one.texts == same.texts
    assert one.texts != other.texts


def test_nothing_is_published_of_a_held_out_history(town):
    parts = split(town, "users", 0.3, 0)
    told = published(town, parts, 1.0, 0)
    away = set(parts.history.users.tolist())
    assert away
    assert not away & set(told.authors.tolist())
