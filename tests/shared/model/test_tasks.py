# SPDX-License-Identifier: Apache-2.0
"""The tasks of one user: masks and the split of federated reconstruction."""

import numpy as np

from shared.model.network import NetworkShape, initial_network
from shared.model.tasks import UserTasks, reconstruction_split, task_weights, tasks_loss


def test_task_weights_mask_each_task_on_its_own() -> None:
    got = task_weights(np.array([True, False]), np.array([False, True]), (1.0, 0.5))
    np.testing.assert_array_equal(got, [[1, 0], [0, 0.5]])


def test_tasks_loss_skips_unobserved_tasks() -> None:
    shape = NetworkShape(1, 1, 1)
    weights = shape.split(initial_network(shape, 0))
    residual = np.array([[2.0, np.nan]])
    user = UserTasks(
        np.zeros(1, np.int64),
        np.zeros((1, 2, 1)),
        np.zeros((1, 3)),
        residual,
        task_weights(np.array([True]), np.array([False])),
    )
    np.testing.assert_array_equal(tasks_loss(user, weights), [2.0, 0.0])


def test_reconstruction_split_deals_every_event_once() -> None:
    support, query = reconstruction_split(7, np.random.default_rng(0))
    assert (len(support), len(query)) == (4, 3)
    assert sorted([*support, *query]) == list(range(7))
