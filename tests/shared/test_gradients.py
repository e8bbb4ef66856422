# SPDX-License-Identifier: Apache-2.0
"""Per-user gradients: equal to an explicit backward, to the closed form, and never mixed."""

import numpy as np
import pytest
import torch

from shared.gradients import ItemTrunk, NetworkTrunk, bucket_by_length, user_gradients
from shared.model.network import NetworkShape, initial_network
from shared.model.tasks import UserTasks, after_network, item_gradient, task_weights

SHAPE = NetworkShape(factors=2, profile=4, features=5, hidden=3)
ROWS = 12
LENGTHS = (7, 1, 0, 12, 6)


def a_user(events: int, seed: int) -> UserTasks:
    rng = np.random.default_rng(seed)
    return UserTasks(
        items=rng.permutation(ROWS)[:events],
        factors=rng.standard_normal((events, 2, SHAPE.factors)),
        inputs=rng.standard_normal((events, SHAPE.inputs)),
        residual=rng.standard_normal((events, 2)),
        weight=task_weights(np.ones(events, bool), rng.random(events) < 0.5, (1.0, 0.7)),
    )


def a_network(seed: int = 1) -> NetworkTrunk:
    parameters = initial_network(SHAPE, seed)
    return NetworkTrunk(SHAPE, parameters + np.random.default_rng(seed).standard_normal(SHAPE.size))


USERS = [a_user(events, seed) for seed, events in enumerate(LENGTHS)]


def explicit(trunk: NetworkTrunk, user: UserTasks, moved: np.ndarray | float = 0.0) -> np.ndarray:
    """Backpropagate one user's loss with plain autograd, without Opacus."""
    flat = torch.tensor(trunk.parameters + moved, requires_grad=True)
    cuts = [SHAPE.hidden * SHAPE.inputs, SHAPE.hidden, 2 * SHAPE.hidden]
    hidden, bias, heads = flat.split(cuts)
    units = torch.tanh(torch.tensor(user.inputs) @ hidden.view(SHAPE.hidden, -1).T + bias)
    left = torch.tensor(user.residual) - units @ heads.view(2, -1).T
    (0.5 * torch.tensor(user.weight) * left**2).sum().backward()
    return flat.grad.numpy()


def test_network_gradients_equal_explicit_backward() -> None:
    trunk = a_network()
    want = np.stack([explicit(trunk, user) for user in USERS])
    np.testing.assert_allclose(user_gradients(trunk, USERS), want, rtol=1e-4, atol=2e-5)


def test_network_gradients_equal_explicit_descent_when_several_local_steps() -> None:
    trunk, user = a_network(), USERS[3]
    want, moved = np.zeros(SHAPE.size), np.zeros(SHAPE.size)
    for _ in range(3):
        step = explicit(trunk, user, moved)
        want, moved = want + step, moved - 0.01 * step
    got = user_gradients(trunk, USERS, local_steps=3, local_rate=0.01)[3]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=5e-5)


@pytest.mark.parametrize("steps", [1, 3])
def test_device_gets_what_cohort_gets(steps: int) -> None:
    for trunk in (a_network(), ItemTrunk(ROWS, SHAPE.factors, a_network())):
        cohort = user_gradients(trunk, USERS, local_steps=steps, local_rate=0.01)
        alone = [user_gradients(trunk, [u], local_steps=steps, local_rate=0.01)[0] for u in USERS]
        np.testing.assert_allclose(cohort, alone, rtol=1e-4, atol=2e-5)


def test_item_gradients_equal_closed_form() -> None:
    trunk = ItemTrunk(ROWS, SHAPE.factors, a_network())
    got = user_gradients(trunk, USERS).reshape(len(USERS), ROWS, -1)
    want = np.zeros_like(got)
    weights = SHAPE.split(a_network().parameters)
    for row, user in enumerate(USERS):
        offset, factors = item_gradient(after_network(user, weights))
        want[row, user.items] = np.hstack([offset[:, None], factors])
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_item_gradients_leave_out_items_without_a_row() -> None:
    user = USERS[0]
    hidden = UserTasks(
        np.where(np.arange(7) < 2, -1, user.items),
        user.factors,
        user.inputs,
        user.residual,
        user.weight,
    )
    trunk = ItemTrunk(ROWS, SHAPE.factors)
    got = user_gradients(trunk, [hidden]).reshape(ROWS, -1)
    want = user_gradients(trunk, [user]).reshape(ROWS, -1)
    want[user.items[:2]] = 0.0
    np.testing.assert_array_equal(got, want)


def test_user_gradients_keep_nan_with_its_user() -> None:
    broken = a_user(7, 0)
    broken.inputs[2, 1] = np.nan
    trunk = a_network()
    got = user_gradients(trunk, [broken, *USERS])
    assert np.isnan(got[0]).any()
    np.testing.assert_allclose(got[1:], user_gradients(trunk, USERS), rtol=1e-4, atol=2e-5)


def test_user_gradients_ignore_residual_of_unobserved_task() -> None:
    user = a_user(7, 0)
    user.residual[user.weight == 0] = np.nan
    got = user_gradients(a_network(), [user])
    np.testing.assert_array_equal(got, user_gradients(a_network(), USERS[:1]))


def test_user_gradients_are_zero_without_events() -> None:
    for trunk in (a_network(), ItemTrunk(ROWS, SHAPE.factors)):
        assert not user_gradients(trunk, [USERS[2]]).any()


def test_network_gradients_reach_only_heads_at_zero_start() -> None:
    trunk = NetworkTrunk(SHAPE, initial_network(SHAPE, 5))
    parts = SHAPE.split(user_gradients(trunk, USERS[:1])[0])
    assert not parts.hidden.any()
    assert parts.heads.all()


def test_bucket_by_length_holds_every_user_with_events_once() -> None:
    lengths = np.random.default_rng(0).integers(0, 500, 300)
    buckets = bucket_by_length(lengths, 4096)
    assert sorted(np.concatenate(buckets)) == list(np.flatnonzero(lengths))
    assert all(len(b) * lengths[b].max() <= 4096 or len(b) == 1 for b in buckets)
