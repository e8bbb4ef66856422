# SPDX-License-Identifier: Apache-2.0
"""What devices answer: the same alone and together, and solved once over the network's rounds."""

from dataclasses import replace

import numpy as np
import pytest

import client.training
from client.training import Cohort, answers, item_sums_vector
from shared.catalogue import Catalogue
from shared.model.history import History
from shared.model.network import NetworkShape, initial_network
from shared.model.released import SharedModel
from shared.model.view import ItemSumsView, NetworkView, profile_texts

OWNERS = [
    History(np.array([1, 4]), np.array([1.0, -1.0]), np.array([3, 0]), np.array([1.0, 0.0])),
    History(np.array([5]), np.array([0.5]), np.array([0]), np.array([np.nan])),
    History(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64), np.zeros(0)),
]


@pytest.fixture
def view(catalogue: Catalogue) -> NetworkView:
    model = SharedModel.before_any_release(catalogue)
    texts, size = profile_texts(catalogue), model.tower.features.shape[1]
    shape = NetworkShape(2, texts.shape[1], size)
    axes, means = np.eye(size)[:, :2], np.zeros(len(catalogue))
    flat = initial_network(shape, 0) + 0.1
    return NetworkView(model.tower, model.prior, axes, texts, means, shape, flat)


def test_item_sums_have_comment_columns_only_where_declared() -> None:
    assert item_sums_vector(OWNERS[0], ItemSumsView(9)).dimension == 18
    asked = item_sums_vector(OWNERS[0], ItemSumsView(9, comments=True))
    assert asked.dimension == 36
    assert len(asked.indices) == 8


def test_network_answers_are_those_of_each_device_alone(view: NetworkView) -> None:
    together = list(answers(view, OWNERS))
    for owner, answer in zip(OWNERS, together, strict=True):
        (alone,) = answers(view, [owner])
        np.testing.assert_allclose(alone, answer, rtol=1e-4, atol=1e-5)
    assert not np.asarray(together[2]).any()


def test_network_tasks_are_solved_once_over_the_rounds(
    view: NetworkView, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    solve = client.training.network_tasks
    monkeypatch.setattr(
        client.training, "network_tasks", lambda *args: calls.append(1) or solve(*args)
    )
    cohort = Cohort(OWNERS)
    first = list(cohort.answers(view))
    second = list(cohort.answers(replace(view, parameters=view.parameters * 2)))
    assert len(calls) == len(OWNERS)
    assert not np.allclose(first[0], second[0])
    list(cohort.answers(replace(view, comment_mean=view.comment_mean + 1)))
    assert len(calls) == 2 * len(OWNERS)


def test_large_cohorts_are_solved_in_blocks_and_not_kept(
    view: NetworkView, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(answers(view, OWNERS))
    monkeypatch.setattr(client.training, "BLOCK_USERS", 2)
    monkeypatch.setattr(client.training, "KEPT_EVENTS", 1)
    cohort = Cohort(OWNERS)
    for _ in range(2):
        for one, other in zip(whole, cohort.answers(view), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
