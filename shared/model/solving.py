# SPDX-License-Identifier: Apache-2.0
"""From one owner's history to the tasks of the trunk: every event as if it had never happened.

Both user vectors and the profile are solved here, in closed form and leave-one-out, so that what
the trunk learns from an event never saw that event (federated reconstruction: Singhal et al. 2021,
https://arxiv.org/abs/2102.03448). All of it is private and stays on the device.
"""

import numpy as np

from shared.model.comment_task import comment_leave_one_out, interest_of
from shared.model.history import History
from shared.model.network import join_inputs
from shared.model.profile import RATED_ALPHA, leave_one_out_profiles
from shared.model.ridge import leave_one_out, posterior
from shared.model.tasks import UserTasks, task_weights
from shared.model.view import NetworkView, TrunkView
from shared.schema import Floats


def item_tasks(view: TrunkView, history: History) -> UserTasks:
    """Give the tasks of the item block: no network inputs.

    Args:
        view: What the server sent for the round. Public.
        history: The owner's events. Private.

    Returns:
        Events at their rows of the round's vector. Private.
    """
    factors, residual, weight = _solved(view, history)
    empty = np.zeros((len(history), 0))
    return UserTasks(view.place[history.items], factors, empty, residual, weight)


def network_tasks(view: NetworkView, history: History) -> UserTasks:
    """Give the tasks of the network block: what the closed-form parts leave over, with inputs."""
    factors, residual, weight = _solved(view, history)
    profiles = leave_one_out_profiles(view.texts[history.items], RATED_ALPHA)
    inputs = join_inputs(factors[:, 0], profiles, view.tower.features[history.items])
    return UserTasks(history.items, factors, inputs, residual, weight)


def _solved(view: TrunkView | NetworkView, history: History) -> tuple[Floats, Floats, Floats]:
    """Solve both tasks: Uᵀw and Uᵀwᶜ (n, 2, k), residuals (n, 2), weights of the loss (n, 2)."""
    tower, prior, everywhere = view.tower, view.prior, np.ones(len(history), dtype=np.bool_)
    features = tower.features[history.items]
    target = history.ratings - tower.offset[history.items]
    rating = leave_one_out(features, target, posterior(features, target, prior.precision))
    if view.comment_mean is None:
        comment, observed = None, ~everywhere
    else:
        interest = interest_of(history)
        comment = comment_leave_one_out(tower, prior, view.comment_mean, history, interest)
        observed = interest.observed
    tasks = (rating, comment) if comment else (rating, rating)
    factors = np.stack([task.vectors @ view.directions for task in tasks], axis=1)
    residual = np.stack([rating.residual, comment.residual if comment else 0 * target], axis=1)
    return factors, residual, task_weights(everywhere, observed, view.weights)
