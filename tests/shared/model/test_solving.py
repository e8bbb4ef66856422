# SPDX-License-Identifier: Apache-2.0
"""Tasks of the trunk: what an event teaches never saw it; Opacus agrees with the closed form."""

from dataclasses import replace

import numpy as np
import pytest

from client.training import answers
from shared.catalogue import Catalogue
from shared.gradients import ItemTrunk, NetworkTrunk, user_gradients
from shared.model.history import History
from shared.model.network import NetworkShape, initial_network
from shared.model.prior import Prior
from shared.model.solving import item_tasks, network_tasks
from shared.model.statistics import ItemStatistics
from shared.model.tower import build_tower
from shared.model.trunk_items import directions, trunk_rows
from shared.model.view import NetworkView, TrunkView, profile_texts

OWNER = History(
    np.array([3, 8, 21, 30, 7]),
    np.array([0.5, -0.5, 0.2, 0.4, -0.1]),
    np.zeros(5, np.int64),
    np.array([1.0, 0.0, np.nan, 1.0, 0.0]),
)


@pytest.fixture
def view(catalogue: Catalogue) -> TrunkView:
    rng = np.random.default_rng(5)
    statistics = ItemStatistics(rng.normal(size=40), rng.uniform(1, 9, 40), rng.normal(size=40))
    tower = build_tower(catalogue, statistics)
    prior = Prior.standard(tower.features.shape[1])
    axes = directions(tower, statistics, prior, 2)
    place = np.where(np.arange(40) < 30, np.arange(40), -1)
    return TrunkView(tower, prior, axes, 1.0, place, rng.normal(size=40))


@pytest.fixture
def network(view: TrunkView, catalogue: Catalogue) -> NetworkView:
    texts = profile_texts(catalogue)
    shape = NetworkShape(2, texts.shape[1], view.tower.features.shape[1])
    flat = initial_network(shape, 0) + 0.1
    return NetworkView(
        view.tower, view.prior, view.directions, texts, view.comment_mean, shape, flat
    )


def test_item_tasks_have_both_tasks_and_no_row_for_light_items(view: TrunkView) -> None:
    tasks = item_tasks(view, OWNER)
    np.testing.assert_array_equal(tasks.items, [3, 8, 21, -1, 7])
    np.testing.assert_array_equal(tasks.weight, [[1, 1], [1, 1], [1, 0], [1, 1], [1, 1]])


def test_tasks_without_declared_comments_are_the_rating_task_alone(view: TrunkView) -> None:
    silent = item_tasks(replace(view, comment_mean=None), OWNER)
    assert not silent.weight[:, 1].any()
    np.testing.assert_array_equal(silent.residual[:, 0], item_tasks(view, OWNER).residual[:, 0])


def test_closed_form_of_the_items_equals_opacus(view: TrunkView) -> None:
    tasks = item_tasks(view, OWNER)
    small = replace(tasks, residual=tasks.residual / 100)  # below every clamp
    rows = trunk_rows(small, preference=1.0)
    full = user_gradients(ItemTrunk(30, 2), [small])[0].reshape(30, 3)
    kept = small.items >= 0
    np.testing.assert_allclose(full[small.items[kept]], rows[kept], atol=1e-12)


def test_what_an_event_teaches_never_saw_it(network: NetworkView) -> None:
    """Changing one rating changes that event's residual and no input of its own row."""
    before = network_tasks(network, OWNER)
    ratings = OWNER.ratings.copy()
    ratings[2] = 1.5
    after = network_tasks(network, replace(OWNER, ratings=ratings))
    np.testing.assert_allclose(after.inputs[2], before.inputs[2], atol=1e-12)
    assert after.residual[2, 0] - before.residual[2, 0] == pytest.approx(1.3)
    assert not np.allclose(after.inputs[1], before.inputs[1])


def test_network_gradient_of_a_device_is_that_of_the_cohort(network: NetworkView) -> None:
    trunk = NetworkTrunk(network.shape, network.parameters)
    others = [replace(OWNER, ratings=OWNER.ratings * s) for s in (-1.0, 0.5)]
    tasks = [network_tasks(network, owner) for owner in (OWNER, *others)]
    together = user_gradients(trunk, tasks)
    np.testing.assert_allclose(
        user_gradients(trunk, tasks[:1])[0], together[0], rtol=1e-4, atol=1e-5
    )


def test_split_explains_one_half_with_the_other(network: NetworkView, view: TrunkView) -> None:
    for asked, solve in ((network, network_tasks), (view, item_tasks)):
        by_halves = replace(asked, reconstruction="split")
        tasks = solve(by_halves, OWNER)
        assert len(tasks) == 2  # of five events, three support
        loud = replace(OWNER, ratings=OWNER.ratings + np.where(np.isin(OWNER.items, [3]), 1, 0))
        again = solve(by_halves, loud)
        moved = np.abs(again.residual - tasks.residual)[:, 0]
        # One rating moved: if it supports, all residuals move by less; else its own moves by 1.
        assert moved.max() == pytest.approx(1.0) or (moved > 0).all()


def test_split_of_one_event_teaches_nothing(network: NetworkView) -> None:
    alone = OWNER.take(np.array([0]))
    assert len(network_tasks(replace(network, reconstruction="split"), alone)) == 0


def test_two_local_steps_differ_from_one(network: NetworkView) -> None:
    one, two = (
        next(iter(answers(replace(network, local_steps=steps, local_rate=0.01), [OWNER])))
        for steps in (1, 2)
    )
    assert not np.allclose(2 * np.asarray(one), two)
    assert np.isfinite(two).all()
