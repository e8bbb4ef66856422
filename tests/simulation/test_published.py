# SPDX-License-Identifier: Apache-2.0
"""Published comments come from training alone, and speak for items without a text."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shared.config import RunConfig
from simulation.dataset import Dataset, PublicComments
from simulation.generic_writer import write
from simulation.published import item_means, published, spoken_items
from simulation.run import simulate
from simulation.splits import Split, split
from simulation.village import village
from tests.simulation.made import catalogue


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


TOLD = PublicComments(
    np.array([0, 0, 2]), np.array([-1, 4, 5]), ("ab", "abcd", "a"), np.array([1.0, np.nan, 3.0])
)


def test_items_speak_by_the_usual_length_and_votes_of_their_comments() -> None:
    numbers = spoken_items(catalogue(3), TOLD).numbers
    expected = [(np.log(3) + np.log(5)) / 2, np.nan, np.log(2)]
    np.testing.assert_allclose(numbers["comment length"], expected)
    np.testing.assert_allclose(numbers["comment votes"], [np.log(2), np.nan, np.log(4)])


def test_item_means_are_unknown_where_nobody_spoke() -> None:
    means = item_means(np.eye(3), TOLD, 4)
    np.testing.assert_allclose(means[0], [0.5, 0.5, 0.0])
    assert np.isnan(means[[1, 3]]).all()


def test_a_catalogue_without_text_gains_from_published_comments(
    tmp_path: Path, town: Dataset
) -> None:
    mute_items = replace(
        town, items=catalogue(80), bounds={}, public_comments=None, comment_events=None
    )
    write(tmp_path / "data", mute_items)
    config = RunConfig(data=str(tmp_path / "data"), encoder="characters", local_only=True)
    mute, spoken = (
        simulate(config.model_copy(update={"public_comments": share, "out": str(tmp_path / name)}))
        for share, name in ((None, "a"), (1.0, "b"))
    )
    assert mute["comments_public"] is None
    assert spoken["local_only_rmse"] < mute["local_only_rmse"]
