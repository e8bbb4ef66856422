# SPDX-License-Identifier: Apache-2.0
"""The whole algorithm from the server's side, on one page: ask, sum, step, ask again.

All that the server learns is what `ask` returns: noisy sums. With each question it sends a public
view; devices solve their user vector, compute their answer (`client.training`) and pass the door.
Simulation and deployment run this page and differ in `ask` alone.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from server.interest import train_interest
from server.optimiser import AdamSettings, initial_state, network_step
from server.plan import Plan, Release, Summed
from shared.catalogue import Catalogue
from shared.model.comment_task import denoise_comments
from shared.model.interest import InterestModel
from shared.model.network import Network, initial_network
from shared.model.popularity import popularity
from shared.model.prior import prior_frame, prior_step
from shared.model.released import SharedModel
from shared.model.statistics import (
    denoise,
    mean_sd,
    mean_variance,
    row_scale,
    typical_length,
)
from shared.model.tower import Tower
from shared.model.trunk_items import (
    ItemBlock,
    directions,
    item_step,
    moved,
    variance_of_gradients,
)
from shared.model.view import (
    ItemSumsView,
    NetworkView,
    PriorView,
    TrunkView,
    View,
    heaviest,
    profile_texts,
)
from shared.schema import Floats

Ask = Callable[[Release, int, View], Summed]
"""Sends a view to the devices of a round (from 1) and returns their noisy sum, (d,), with who is in
it: each step shrinks by the noise of the actual survivors, not by the plan's."""


NETWORK_SEED = 0
"""Of the network's initial weights: a public constant, so that everybody can redraw them."""


def train(catalogue: Catalogue, plan: Plan, ask: Ask) -> SharedModel:
    """Improve one shared model with many devices.

    Args:
        catalogue: The public catalogue, I items.
        plan: Which queries, how often, with which mechanism.
        ask: The only way from devices to the server.

    Returns:
        The shared model; public under the plan's ρ.
    """
    model, counted = SharedModel.before_any_release(catalogue), None
    if "item_sums" in plan:
        counted = ask(plan["item_sums"], 1, items_view(catalogue, plan))
        model = learn_items(catalogue, plan, counted)
    if "population_prior" in plan:
        model = learn_prior(model, plan, ask, counted)
    # Directions come from what is known before the rounds; both blocks see people through them.
    axes = directions(model.tower, model.statistics, model.prior, plan.factors)
    if "trunk_items" in plan:
        model = replace(model, tower=train_items(model, plan, ask, axes, counted))
    if "trunk_network" in plan:
        model = replace(model, network=train_network(model, plan, ask, axes))
    taste = train_interest(catalogue, model.statistics, model.interest, plan, ask)
    return replace(model, interest=taste)


def items_view(catalogue: Catalogue, plan: Plan) -> ItemSumsView:
    """Return what goes with `item_sums`."""
    return ItemSumsView(len(catalogue), plan.comments, plan.count_scale)


def learn_items(catalogue: Catalogue, plan: Plan, counted: Summed) -> SharedModel:
    """Learn how well each item is liked, how often it is rated, how much its comments interest."""
    scale, noise = plan.count_scale, counted.noise_std
    sums = counted.total.reshape(len(catalogue), -1)
    statistics = denoise(sums[:, :2], noise, catalogue, users=counted.users, count_scale=scale)
    popular = popularity(sums[:, 1] / scale, (noise / scale) ** 2, catalogue)
    model = replace(
        SharedModel.of_items(catalogue, statistics),
        interest=InterestModel.untrained(catalogue, popular, statistics.mean),
    )
    if not plan.comments:
        return model
    mean = denoise_comments(sums[:, 2:], noise, catalogue, statistics.log_weight)
    return replace(model, comment_mean=mean)


def learn_prior(model: SharedModel, plan: Plan, ask: Ask, counted: Summed | None) -> SharedModel:
    """Learn in which directions people differ; their mean moves into the offsets."""
    asked, prior, statistics = plan["population_prior"], model.prior, model.statistics
    length = asked.query.dimension
    users = counted.users if counted else asked.users
    ratings = typical_length(statistics, users, plan.count_scale)
    for server_round in range(1, asked.rounds + 1):
        frame = prior_frame(model.tower, statistics, prior, ratings, length)
        view = PriorView(model.tower.shifted(prior.mean), frame.basis, frame.pairs)
        found = ask(asked, server_round, view)
        prior = prior_step(found.total, found.noise_std, found.users, frame, prior)
        if statistics.known:
            prior = prior.with_slope_one(model.tower.axes[-2])
    return replace(model, prior=prior, tower=model.tower.shifted(prior.mean))


def train_items(
    model: SharedModel, plan: Plan, ask: Ask, axes: Floats, counted: Summed | None
) -> Tower:
    """Learn offsets and factors of the heaviest items, round by round; return the moved tower."""
    asked, factors, preference = plan["trunk_items"], plan.factors, plan.preference
    statistics, prior = model.statistics, model.prior
    rows = heaviest(statistics.weight, asked.query.dimension // (1 + factors))
    noise, users = (counted.noise_std, counted.users) if counted else (0.0, asked.users)
    left_open = mean_variance(statistics, noise, users, plan.count_scale, mean_sd(model.catalogue))
    scale = row_scale(float(statistics.weight.sum()), users, plan.count_scale)
    chance = variance_of_gradients(model.catalogue, scale)
    place = np.full(len(statistics.weight), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    block = ItemBlock.zeros(len(rows), factors)
    current = model.tower
    for server_round in range(1, asked.rounds + 1):
        view = TrunkView(
            current,
            prior,
            axes,
            preference,
            place,
            model.comment_mean,
            plan.task_weights,
            plan.reconstruction,
        )
        found = ask(asked, server_round, view)
        block = item_step(
            block,
            found.total.reshape(len(rows), 1 + factors),
            found.noise_std,
            statistics.take(rows),
            preference=preference,
            offset_variance=left_open[rows],
            gradient_variance=chance,
        )
        deltas = np.zeros((len(place), 1 + factors))
        deltas[rows] = block.deltas
        current = moved(model.tower, replace(block, deltas=deltas), axes)
    return current


def train_network(model: SharedModel, plan: Plan, ask: Ask, axes: Floats) -> Network:
    """Learn what ratings and comments have in common beyond the closed forms, round by round.

    It runs after the item block, on what that leaves over: beside it both would chase one residual.
    """
    asked, shape = plan["trunk_network"], plan.shape
    state = initial_state(initial_network(shape, NETWORK_SEED))
    heads = len(shape.heads) * shape.hidden
    texts = profile_texts(model.catalogue)[:, : shape.profile]
    first = NetworkView(
        model.tower,
        model.prior,
        axes,
        texts,
        model.comment_mean,
        shape,
        state.parameters,
        plan.task_weights,
        plan.reconstruction,
        plan.local_steps,
        plan.local_rate,
    )
    for server_round in range(1, asked.rounds + 1):
        found = ask(asked, server_round, replace(first, parameters=state.parameters))
        state = network_step(
            state,
            found.total,
            found.users,
            AdamSettings(),
            noise_std=found.noise_std,
            blocks=(shape.size - heads, heads),
        )
    return Network(shape, axes, state.average)
