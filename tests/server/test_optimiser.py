# SPDX-License-Identifier: Apache-2.0
"""The server's step for the network block; the block learns two tasks, also under noise."""

import numpy as np
import pytest

from server.optimiser import (
    AdamSettings,
    initial_state,
    network_step,
    signal_share,
)
from shared.errors import DataError
from shared.gradients import NetworkTrunk, user_gradients
from shared.model.network import NetworkShape, initial_network, join_inputs
from shared.model.tasks import UserTasks, task_weights, tasks_loss

SETTINGS = AdamSettings()


def test_network_step_follows_adam_by_hand() -> None:
    state = network_step(initial_state(np.zeros(2)), np.array([4.0, -2.0]), 2, SETTINGS)
    np.testing.assert_allclose(state.parameters, [-0.05, 0.05], rtol=1e-5)


def test_signal_share_is_one_without_noise_and_nothing_for_noise_alone() -> None:
    rng = np.random.default_rng(4)
    noise = rng.standard_normal(2_000)
    np.testing.assert_array_equal(signal_share(noise, 0.0, ()), 1.0)
    shares = signal_share(np.concatenate([noise, 10.0 + noise]), 1.0, (2_000, 2_000))
    # ‖noise‖²/d has sd √(2/d) = .03: five of them are .16.
    assert shares[0] < 0.16
    assert shares[-1] == pytest.approx(100 / 101, abs=0.01)


def test_network_step_hardly_moves_for_noise_alone() -> None:
    rng = np.random.default_rng(5)
    state = initial_state(np.zeros(2_000))
    for _ in range(20):
        total = 3.0 * rng.standard_normal(2_000)
        state = network_step(state, total, 100, SETTINGS, noise_std=3.0)
    loose = initial_state(np.zeros(2_000))
    for _ in range(20):
        loose = network_step(loose, 3.0 * rng.standard_normal(2_000), 100, SETTINGS)
    norms = [float(np.linalg.norm(s.parameters)) for s in (state, loose)]
    assert norms[0] < 0.2 * norms[1]


def test_network_step_averages_from_the_first_iterate() -> None:
    state = network_step(initial_state(np.ones(2)), np.ones(2), 1, SETTINGS)
    np.testing.assert_array_equal(state.average, state.parameters)


@pytest.mark.parametrize(
    ("total", "survivors"), [(np.ones(3), 1), (np.ones(2), 0), (np.array([np.nan, 1]), 1)]
)
def test_network_step_refuses_unusable_sum(total: np.ndarray, survivors: int) -> None:
    with pytest.raises(DataError):
        network_step(initial_state(np.zeros(2)), total, survivors, SETTINGS)


SHAPE = NetworkShape(factors=2, profile=4, features=4)


def made_up(users: int, seed: int) -> list[UserTasks]:
    """Draw people whose two tasks share one bent function that no linear model reaches."""
    truth = np.random.default_rng(99).standard_normal((2, SHAPE.inputs))
    rng = np.random.default_rng(seed)
    people = []
    for _ in range(users):
        factors, profile = rng.standard_normal(2) * 0.7, rng.standard_normal(4) * 0.5
        inputs = join_inputs(factors, profile, rng.standard_normal((40, 4)) * 0.5)
        shared = np.tanh(inputs @ truth[0]) * np.tanh(inputs @ truth[1])
        residual = shared[:, None] * [1.5, 0.8] + rng.standard_normal((40, 2)) * 0.5
        weight = task_weights(np.ones(40, bool), rng.random(40) < 0.3)
        none = np.zeros((40, 2, 2))
        people.append(UserTasks(np.arange(40), none, inputs, residual, weight))
    return people


def trained(people: list[UserTasks], noise_multiplier: float, noise_seed: int = 3) -> np.ndarray:
    """Run 60 rounds of clipped sums with a plain Gaussian in the door's place; initial seed 1."""
    rng, clipping_norm = np.random.default_rng(noise_seed), 3.0
    state = initial_state(initial_network(SHAPE, 1))
    for _ in range(60):
        gradients = user_gradients(NetworkTrunk(SHAPE, state.parameters), people)
        norms = np.linalg.norm(gradients, axis=1, keepdims=True)
        total = (gradients * np.minimum(1.0, clipping_norm / norms)).sum(axis=0)
        total += noise_multiplier * clipping_norm * rng.standard_normal(SHAPE.size)
        state = network_step(
            state,
            total,
            len(people),
            SETTINGS,
            noise_std=noise_multiplier * clipping_norm,
            blocks=(SHAPE.size - 2 * SHAPE.hidden, 2 * SHAPE.hidden),
        )
    return state.average


def loss_ratio(parameters: np.ndarray) -> np.ndarray:
    """Loss of each task after over before, on 100 people who took no part (seed 4)."""
    people = made_up(100, seed=4)
    before, after = (
        sum(tasks_loss(user, SHAPE.split(flat)) for user in people)
        for flat in (initial_network(SHAPE, 1), parameters)
    )
    return after / before


def test_network_lowers_both_losses_of_unseen_people() -> None:
    assert (loss_ratio(trained(made_up(300, seed=2), 0.0)) < 0.85).all()


@pytest.mark.slow
def test_network_lowers_both_losses_of_unseen_people_under_privacy() -> None:
    # 60 rounds at 4.65 cost one release at .600: ε = 8 at δ = 1e-5, continuous noise, one cohort.
    people = made_up(4000, seed=2)
    ratios = [loss_ratio(trained(people, 4.65, noise_seed)) for noise_seed in (3, 4, 5)]
    assert (np.array(ratios) < 0.95).all(), ratios
