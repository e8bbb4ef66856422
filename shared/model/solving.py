# SPDX-License-Identifier: Apache-2.0
"""From one owner's history to the tasks of the trunk: every event as if it had never happened.

Both user vectors and the profile are solved here, in closed form and leave-one-out, so that what
the trunk learns from an event never saw that event (federated reconstruction: Singhal et al. 2021,
https://arxiv.org/abs/2102.03448). All of it is private and stays on the device.
"""

from dataclasses import replace

import numpy as np

from shared.model.comment_task import (
    comment_leave_one_out,
    comment_vector,
    interest_of,
    to_unit,
)
from shared.model.comments import CommentInterest
from shared.model.history import History
from shared.model.network import join_inputs
from shared.model.profile import RATED_ALPHA, leave_one_out_profiles, profile_of
from shared.model.ridge import LeaveOneOut, leave_one_out, posterior
from shared.model.tasks import UserTasks, reconstruction_split, task_weights
from shared.model.view import NetworkView, TrunkView
from shared.schema import Floats, Ints


def item_tasks(view: TrunkView, history: History) -> UserTasks:
    """Give the tasks of the item block: no network inputs.

    Args:
        view: What the server sent for the round. Public.
        history: The owner's events. Private.

    Returns:
        Events at their rows of the round's vector. Private.
    """
    history, factors, residual, weight = _solved(view, history)
    empty = np.zeros((len(history), 0))
    return UserTasks(view.place[history.items], factors, empty, residual, weight)


def network_tasks(view: NetworkView, history: History) -> UserTasks:
    """Give the tasks of the network block: what the closed-form parts leave over, with inputs."""
    asked, factors, residual, weight = _solved(view, history)
    if view.reconstruction == "split":
        support = history.take(_halves(history)[0])
        profile = profile_of(view.texts[support.items], RATED_ALPHA).vector
        profiles = np.tile(profile, (len(asked), 1))
    else:
        profiles = leave_one_out_profiles(view.texts[asked.items], RATED_ALPHA)
    history = asked
    inputs = join_inputs(factors[:, 0], profiles, view.tower.features[history.items])
    return UserTasks(history.items, factors, inputs, residual, weight)


def _solved(
    view: TrunkView | NetworkView, history: History
) -> tuple[History, Floats, Floats, Floats]:
    """Solve both tasks: the events asked about, Uᵀw and Uᵀwᶜ (n, 2, k), residuals, weights (n, 2).

    All events leave-one-out; or, by halves, those of one half, solved from the other.
    """
    interest = interest_of(history)
    observed = interest.observed if view.comment_mean is not None else 0 * interest.observed
    if view.reconstruction == "split":
        support, query = _halves(history)
        asked, seen = history.take(query), observed[query].astype(np.bool_)
        rating, comment = _by_halves(view, history, interest, support, query)
    else:
        asked, seen = history, observed.astype(np.bool_)
        rating, comment = _one_by_one(view, history, interest)
    factors = np.stack([task.vectors @ view.directions for task in (rating, comment)], axis=1)
    residual = np.stack([rating.residual, comment.residual], axis=1)
    rated = np.ones(len(asked), dtype=np.bool_)
    return asked, factors, residual, task_weights(rated, seen, view.weights)


def _halves(history: History) -> tuple[Ints, Ints]:
    """Deal the events; the deal depends on how many there are alone, so every round agrees."""
    return reconstruction_split(len(history), np.random.default_rng(0))


def _one_by_one(
    view: TrunkView | NetworkView, history: History, interest: CommentInterest
) -> tuple[LeaveOneOut, LeaveOneOut]:
    """Solve rating and comment tasks without each event in turn."""
    features = view.tower.features[history.items]
    target = history.ratings - view.tower.offset[history.items]
    solved = posterior(features, target, view.prior.precision)
    rating = leave_one_out(features, target, solved)
    if view.comment_mean is None:
        return rating, replace(rating, residual=np.zeros(len(history)))
    comment = comment_leave_one_out(view.tower, view.prior, view.comment_mean, history, interest)
    return rating, comment


def _by_halves(
    view: TrunkView | NetworkView,
    history: History,
    interest: CommentInterest,
    support: Ints,
    query: Ints,
) -> tuple[LeaveOneOut, LeaveOneOut]:
    """Solve both user vectors on one half of the events and look at the other with them."""
    tower, own, asked = view.tower, history.take(support), history.take(query)
    target = own.ratings - tower.offset[own.items]
    vector = posterior(tower.features[own.items], target, view.prior.precision).mean
    features = tower.features[asked.items]
    left = asked.ratings - tower.offset[asked.items] - features @ vector
    rating = LeaveOneOut(left, np.tile(vector, (len(asked), 1)))
    if view.comment_mean is None:
        return rating, replace(rating, residual=np.zeros(len(asked)))
    means = view.comment_mean
    vector = comment_vector(tower, view.prior, means, own, interest.take(support))
    left = to_unit(interest.target[query]) - means[asked.items] - features @ vector
    left = np.where(interest.observed[query], left, 0.0)
    return rating, LeaveOneOut(left, np.tile(vector, (len(asked), 1)))
