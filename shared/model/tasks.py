# SPDX-License-Identifier: Apache-2.0
"""One user's tasks as the trunk sees them: inputs, residuals and weights of the user's own events.

The multi-task loss of a user is Σ over own events and tasks of ½ weight · (residual − head)²,
where `residual` is what the closed-form part (offset, user vector, item factors) leaves over,
with user vector and profile as they are without that event (federated reconstruction: Singhal et
al. 2021, https://arxiv.org/abs/2102.03448). Tasks stand in the order rating, comment. A task that
is not observed at an event has weight 0 there. All of it is private and stays on the device.
"""

from dataclasses import dataclass, replace

import numpy as np

from shared.model.network import Weights, network_forward
from shared.schema import Floats, Ints

TASK_WEIGHTS = (1.0, 1.0)
"""Weights of the rating and the comment task in the loss (1, λ_c); public."""

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True)
class UserTasks:
    """The events of one user; private."""

    items: Ints
    """Row of each event's item in the trunk's item block, (n,); -1 where it has no row."""
    factors: Floats
    """Uᵀw and Uᵀwᶜ without the event, (n, 2, k)."""
    inputs: Floats
    """Network inputs without the event, (n, in)."""
    residual: Floats
    """Target minus prediction without the network, (n, 2)."""
    weight: Floats
    """Weight of the squared error, 0 where the task is not observed, (n, 2)."""

    def __len__(self) -> int:
        return len(self.items)


def task_weights(
    rated: Mask, commented: Mask, weights: tuple[float, float] = TASK_WEIGHTS
) -> Floats:
    """Turn the two observation masks (n,) into loss weights (n, 2)."""
    return np.stack([rated * weights[0], commented * weights[1]], axis=1)


def after_network(tasks: UserTasks, weights: Weights) -> UserTasks:
    """Take what the network explains out of the residuals, as the item block needs it."""
    return replace(tasks, residual=tasks.residual - network_forward(weights, tasks.inputs)[:, :2])


def tasks_loss(tasks: UserTasks, weights: Weights) -> Floats:
    """Give the weighted squared loss of each task with the network, shape (2,). Private."""
    left = after_network(tasks, weights).residual
    # A task that is not observed may hold NaN as its residual: where weight is 0, loss is 0.
    loss: Floats = np.where(tasks.weight > 0, 0.5 * tasks.weight * left**2, 0.0).sum(axis=0)
    return loss


def item_gradient(tasks: UserTasks) -> tuple[Floats, Floats]:
    """Give the closed form of the item block's gradient, row by row of the events.

    ∂loss/∂o_j = −e and ∂loss/∂Δ_j = −(e·Uᵀw + λ_c eᶜ·Uᵀwᶜ): minimiser's sign, before clamps,
    scaling and normalising.

    Args:
        tasks: One user's events, residuals after the network.

    Returns:
        Gradient of the offset (n,) and of the factors (n, k) at `tasks.items`. Private.

    Source:
        ARCHITECTURE, "Trunk gradient", query `trunk_items`.
    """
    pull = tasks.weight * tasks.residual
    return -pull[:, 0], -np.einsum("nq,nqk->nk", pull, tasks.factors)


def reconstruction_split(events: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Deal events into a half that solves for the user vector and a half that gives the gradient.

    For user models without a closed leave-one-out; with one, every event serves both ends.

    Args:
        events: Number n of own events.
        rng: Source of the deal.

    Returns:
        Positions of the support half (⌈n/2⌉) and of the query half, both sorted.

    Source:
        Singhal et al. (2021), "Federated Reconstruction", Algorithm 1.
    """
    order = rng.permutation(events)
    half = (events + 1) // 2
    return np.sort(order[:half]), np.sort(order[half:])
