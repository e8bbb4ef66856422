# SPDX-License-Identifier: Apache-2.0
"""Interest from the server's side: ask for θ, M and the items' own terms, and step.

    rank_weights    θ += mean of people's clipped Newton steps
    rank_bilinear   M += step along the mean gradient, then low rank: what the noise hides is cut
    rank_items      δ: shrunk with the known variance of noise and choices
    rank_weights    θ again, now that items have learnt factors

Everything after `ask` is post-processing of noisy sums: it costs no budget.

Source: RECIPE RANKING; Gavish and Donoho (2017), "Optimal shrinkage of singular values", for the
noise's edge; Efron and Morris (1973) for shrinkage with known variance.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from server.plan import Plan, Release, Summed
from shared.catalogue import Catalogue
from shared.model.interest import InterestModel
from shared.model.statistics import ItemStatistics
from shared.model.view import InterestQuery, InterestView, heaviest
from shared.ranking.contexts import TASTE_SCALE
from shared.schema import Floats, Ints

Ask = Callable[[Release, int, InterestView], Summed]
WEIGHTS_STEP = 2.0
"""Over-relaxation of the mean of clipped Newton steps."""
WEIGHTS_SD = 0.05
"""How far people's mean step is from zero, typically; what noise exceeds is shrunk away."""
EARLY_ROUNDS = 2
"""Rounds of `rank_weights` before M; the rest come last."""
BILINEAR_STEP = 0.2
EDGE = 0.5
"""Eigenvalues of M's symmetric part are lowered by this part of the noise's largest."""
TASTE_SPREAD = 0.45
"""Spread of recent taste beside that of single events: what is left after its mean."""
ITEM_SD, FACTOR_SD = 0.4, 0.22
"""Prior standard deviations of an item's own term and of its factors."""
CURVATURE = 1.0
"""Curvature of the loss in an item's own term per unit of its weight, both at norm 1."""
CHOICE_VARIANCE = 0.13
"""Variance of people's rows per unit of curvature: their typical scale at norm 1."""


def train_interest(
    catalogue: Catalogue, statistics: ItemStatistics, start: InterestModel, plan: Plan, ask: Ask
) -> InterestModel:
    """Learn what people choose next.

    Args:
        catalogue: The public catalogue, I items.
        statistics: Item weights, as released.
        start: Untrained interest with the released popularity.
        plan: Which of the three queries are asked, how often, with which mechanism.
        ask: The only way from devices to the server.

    Returns:
        The shared part of interest; public under the plan's ρ.
    """
    model = start
    if "rank_weights" in plan:
        early = range(1, EARLY_ROUNDS + 1)
        model = learn_weights(model, catalogue, plan["rank_weights"], early, ask)
    if "rank_bilinear" in plan:
        model = widened(model, catalogue, plan.taste_width)
        model = learn_bilinear(model, catalogue, plan["rank_bilinear"], ask)
    if "rank_items" in plan:
        model = with_directions(model, catalogue, statistics.share, plan.taste_factors)
        model = learn_terms(model, catalogue, statistics, plan, ask)
    if "rank_weights" in plan:
        late = range(EARLY_ROUNDS + 1, plan["rank_weights"].rounds + 1)
        model = learn_weights(model, catalogue, plan["rank_weights"], late, ask)
    return model


def widened(model: InterestModel, catalogue: Catalogue, width: int) -> InterestModel:
    """Give the model item vectors: leading directions of [features, popularity, liking], whitened.

    Width p is part of the question; directions that the catalogue lacks stay zero.
    """
    own = np.column_stack([catalogue.features, model.popularity, model.liking])
    _, spread, axes = np.linalg.svd(own, full_matrices=False)
    kept = min(width, int((spread > 1e-6 * spread[0]).sum()))
    projection = np.zeros((own.shape[1], width))
    projection[:, :kept] = axes[:kept].T / spread[:kept] * math.sqrt(len(own))
    return replace(
        model,
        projection=projection,
        bilinear=np.zeros((width, width)),
        directions=np.zeros((width, 0)),
        centre=np.zeros(width),
    )


def learn_weights(
    model: InterestModel, catalogue: Catalogue, asked: Release, rounds: range, ask: Ask
) -> InterestModel:
    """Move θ to where people's own steps away from it cancel."""
    for server_round in rounds:
        found = ask(asked, server_round, _view("rank_weights", catalogue, model))
        noise = found.noise_std / found.users
        step = WEIGHTS_STEP * WEIGHTS_SD**2 / (WEIGHTS_SD**2 + noise**2)
        model = replace(model, weights=model.weights + step * found.total / found.users)
    return model


def learn_bilinear(
    model: InterestModel, catalogue: Catalogue, asked: Release, ask: Ask
) -> InterestModel:
    """Learn M: which recent taste draws people to which items."""
    raw, variance = model.bilinear, 0.0
    for server_round in range(1, asked.rounds + 1):
        found = ask(asked, server_round, _view("rank_bilinear", catalogue, model))
        step = BILINEAR_STEP / found.users
        raw = raw + step * found.total.reshape(raw.shape)
        variance += (step * found.noise_std) ** 2
        model = replace(model, bilinear=above_edge(raw, variance))
    return model


def above_edge(raw: Floats, variance: float) -> Floats:
    """Return M from its noisy estimate (p, p), of the rank that the noise allows.

    What draws people from one taste to another mostly draws them back as well: the symmetric part
    has the signal, so a part of the noise's largest eigenvalue, 2σ√(p/2), is taken off there, and
    all of it off the singular values of the rest.

    Example:
        >>> above_edge(np.diag([3.0, -0.5]), 1.0).round(3).tolist()
        [[2.0, 0.0], [0.0, 0.0]]
    """
    edge = 2.0 * math.sqrt(variance * len(raw) / 2.0)
    values, vectors = np.linalg.eigh((raw + raw.T) / 2.0)
    lowered = np.sign(values) * np.maximum(np.abs(values) - EDGE * edge, 0.0)
    left, rest, right = np.linalg.svd((raw - raw.T) / 2.0)
    one_way = (left * np.maximum(rest - edge, 0.0)) @ right
    return np.asarray((vectors * lowered) @ vectors.T + one_way)


def with_directions(
    model: InterestModel, catalogue: Catalogue, share: Floats, factors: int
) -> InterestModel:
    """Choose the k directions of taste that M draws most on, in units of their spread.

    Centre and spread follow from the shares of the items in all events. A direction that M does
    not know stays zero, and leaves its part of the norm to the items' own terms.
    """
    vectors = model.vectors(catalogue)
    mean = share @ vectors
    covariance = ((vectors - mean).T * share) @ (vectors - mean)
    left, values, _ = np.linalg.svd(model.bilinear)
    leading = left[:, :factors] * (values[:factors] > 0)
    variance = np.einsum("pk,pq,qk->k", leading, covariance, leading)
    spread = TASTE_SCALE * TASTE_SPREAD * np.sqrt(variance)
    return replace(
        model,
        centre=TASTE_SCALE * mean,
        directions=leading / np.maximum(spread, 1e-9),
        items=np.zeros((len(share), 1 + factors)),
    )


@dataclass(frozen=True)
class Terms:
    """State of the items' own terms between rounds; public."""

    items: Floats
    """δ of the asked items, (M, 1 + k)."""
    evidence: Floats
    """Sum over rounds of s (gradient + curvature · δ), (M, 1 + k)."""
    scale: float
    """Sum of round numbers s."""
    noise: float
    """Σ s² σ_s²: variance of the noise in the evidence, which rounds with drop-outs differ in."""
    rounds: int


def terms_step(terms: Terms, total: Floats, noise_std: float, curvature: Floats) -> Terms:
    """Take one server step; post-processing, costs no budget.

    Args:
        terms: State before the round.
        total: Released sum of rows, (M, 1 + k).
        noise_std: Standard deviation of the noise in each coordinate.
        curvature: Expected second derivative of the loss in each item's terms, (M, 1).

    Returns:
        State after it: the s-th round counts s-fold, its gradients are taken at better terms.
    """
    rounds = terms.rounds + 1
    evidence = terms.evidence + rounds * (total + curvature * terms.items)
    scale, noisy = terms.scale + rounds, terms.noise + (rounds * noise_std) ** 2
    variance = np.full(total.shape[1], FACTOR_SD**2)
    variance[0] = ITEM_SD**2
    noise = noisy / scale**2 + CHOICE_VARIANCE * curvature
    shrink = variance * curvature / (curvature**2 * variance + noise + 1e-6)
    return Terms(evidence / scale * shrink, evidence, scale, noisy, rounds)


def learn_terms(
    model: InterestModel, catalogue: Catalogue, statistics: ItemStatistics, plan: Plan, ask: Ask
) -> InterestModel:
    """Learn the own terms of the heaviest items, round by round."""
    asked, width = plan["rank_items"], 1 + plan.taste_factors
    rows = heaviest(statistics.weight, asked.query.dimension // width)
    place = np.full(len(statistics.weight), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    zeros = np.zeros((len(rows), width))
    terms = Terms(zeros, zeros, 0.0, 0.0, 0)
    known = int(model.directions.any(axis=0).sum())
    # A row of norm 1 holds 1 + k numbers here and a rating beside α in `item_sums`.
    scale = CURVATURE * math.sqrt((plan.count_scale**2 + 0.8) / (1 + known))
    curvature = scale * statistics.weight[rows][:, None]
    for server_round in range(1, asked.rounds + 1):
        found = ask(asked, server_round, _view("rank_items", catalogue, model, place))
        rated = found.total.reshape(len(rows), width)
        terms = terms_step(terms, rated, found.noise_std, curvature)
        items = np.zeros((len(place), width))
        items[rows] = terms.items
        model = model.with_items(items)
    return model


def _view(
    query: InterestQuery, catalogue: Catalogue, model: InterestModel, place: Ints | None = None
) -> InterestView:
    """Say what goes with one round of one query."""
    return InterestView(query, catalogue, model, place)
