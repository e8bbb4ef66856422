# SPDX-License-Identifier: Apache-2.0
"""Who gets budget: a public rule in (users, items, budget), never in the number of ratings."""

import math
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class ModelPlan:
    """Which releases are made and how the budget is shared; public."""

    shares: tuple[float, float, float]
    """Shares of ρ for `item_sums`, `population_prior` and all rounds of `trunk_items`."""
    factors: int
    """k, factors of an item; 0 where there are no rounds."""
    rounds: int
    """T, rounds of `trunk_items`; each has an equal part of their share."""
    preference: float
    """b, weight of the offset beside the factors."""
    pairs: int = 12
    """p, coordinates of a user vector whose second moments `population_prior` asks for."""
    network_share: float = 0.0
    """Share of ρ for all rounds of `trunk_network`; 0 where it does not run."""
    network_rounds: int = 0


@dataclass(frozen=True)
class RankingPlan:
    """Which releases the ranking makes and how they share the budget; public."""

    shares: tuple[float, float, float, float]
    """Shares of ρ for `item_sums` and for all rounds of `rank_weights`, `rank_bilinear`,
    `rank_items`."""
    width: int
    """p, length of a whitened item vector."""
    factors: int
    """k, factors of an item; 0 where items have no terms of their own."""


Objective = Literal["ratings", "ranking", "balanced"]
COUNT_SCALES: dict[Objective, float] = {"ratings": 0.8, "balanced": 1.2, "ranking": 2.0}
"""α of `item_sums`: how much of a person's norm tells that they rated, not how."""
WEIGHTS_SHARE = 0.01
"""Share of `rank_weights` in every plan with ranking: 22 numbers stand out of any noise."""
WEIGHTS_ROUNDS, BILINEAR_ROUNDS, TERMS_ROUNDS = 3, 3, 4
BLOCKS = ("items", "network")
"""Blocks of the trunk that a run may train."""
WEAKEST_TRUNK = ModelPlan((0.70, 0.05, 0.25), 2, 2, 2.0)
"""The item block with the smallest budget that still pays."""
PAIRS, PAIRS_SIGNAL = (12, 24), 4000.0
"""Second moments asked for, and μ · users from which more of them stand out of the noise."""
ITEMS_SIGNAL = 8.5
"""t from which the item block pays."""
NETWORK_SIGNAL = 150.0
"""t from which the network pays: some 4,000 users at ε = 8 on 1,700 items."""
NETWORK_USERS = 4000
"""Users from which it runs without privacy; 500 to 1,400 were too few on three data sets."""
NETWORK_SHARE, NETWORK_ROUNDS, NETWORK_ROUNDS_FREE = 0.05, 10, 10
"""Share and rounds of the network under privacy, and its rounds without."""


def trunk_rule(
    users: int, items: int, mu: float, blocks: tuple[str, ...] | None = None
) -> ModelPlan:
    """Choose by the public rule, or train exactly the blocks that were asked for.

    Args:
        users: Enrolled users, public.
        items: Items of the catalogue, public.
        mu: √(2ρ) of the whole budget; `math.inf` without privacy.
        blocks: Blocks to train whatever the rule says; None for the rule.
    """
    plan = budget_rule(users, items, mu)
    free = math.isinf(mu)
    signal = math.inf if free else mu * users / math.sqrt(items)
    many = users >= NETWORK_USERS if free else signal >= NETWORK_SIGNAL
    on = many if blocks is None else "network" in blocks
    if blocks is not None and "items" in blocks and not plan.rounds:
        plan = WEAKEST_TRUNK
    if blocks is not None and "items" not in blocks and plan.rounds:
        first, second, third = plan.shares
        plan = replace(plan, shares=(first + third, second, 0.0), rounds=0)
    if not on:
        return plan
    if free:
        return replace(plan, network_share=1.0, network_rounds=NETWORK_ROUNDS_FREE)
    first, second, third = ((1 - NETWORK_SHARE) * share for share in plan.shares)
    return replace(
        plan,
        shares=(first, second, third),
        network_share=NETWORK_SHARE,
        network_rounds=NETWORK_ROUNDS,
    )


def rule_words(
    users: int, items: int, mu: float, blocks: tuple[str, ...] | None, *, budget_given: bool
) -> str:
    """Say why these blocks of the trunk are trained, in one sentence.

    Example:
        >>> rule_words(943, 1682, 1 / 0.6, None, budget_given=False)
        't = 38.3 (users · √(2ρ) / √items): items on (from 8.5), network off (from 150)'
    """
    if budget_given:
        return "queries and shares as --budget says"
    if blocks is not None:
        return f"blocks as --blocks says: {', '.join(blocks)}"
    if math.isinf(mu):
        on = "on" if users >= NETWORK_USERS else "off"
        return f"no privacy: items on, network {on} (from {NETWORK_USERS:,} users)"
    signal = mu * users / math.sqrt(items)
    trunk = "on" if budget_rule(users, items, mu).rounds else "off"
    network = "on" if signal >= NETWORK_SIGNAL else "off"
    return (
        f"t = {signal:.1f} (users · √(2ρ) / √items): items {trunk} (from {ITEMS_SIGNAL:g}), "
        f"network {network} (from {NETWORK_SIGNAL:g})"
    )


def budget_rule(users: int, items: int, mu: float) -> ModelPlan:
    """Choose releases, rank and rounds by how much a coordinate stands out of the noise.

    Args:
        users: Enrolled users, public.
        items: Items of the catalogue, public.
        mu: √(2ρ) of the whole budget; `math.inf` without privacy.

    Returns:
        The plan, by t = μ · users / √items.

    Source: RECIPE, "Shares of μ²"; ARCHITECTURE, "Who gets budget".

    Example:
        >>> budget_rule(943, 1682, 1 / 0.6).shares
        (0.45, 0.05, 0.5)
    """
    if math.isinf(mu):
        return ModelPlan((1.0, 1.0, 1.0), 8, 6, 1.0, PAIRS[1])
    signal = mu * users / math.sqrt(items)
    if signal < ITEMS_SIGNAL:
        return ModelPlan((0.95, 0.05, 0.0), 0, 0, 1.0)
    if signal < 16:
        return WEAKEST_TRUNK
    if signal < 30:
        return ModelPlan((0.65, 0.05, 0.30), 2, 2, 1.5)
    growth = math.log2(signal / 30)
    factors, rounds = min(8, 2 + int(growth)), min(6, 3 + int(growth / 2))
    pairs = PAIRS[mu * users >= PAIRS_SIGNAL]
    return ModelPlan((0.45, 0.05, 0.50), factors, rounds, 1.0, pairs)


def ranking_rule(users: int, items: int, mu: float) -> RankingPlan:
    """Choose the releases of a run that serves the ranking alone, by the same t as `budget_rule`.

    Args:
        users: Enrolled users, public.
        items: Items of the catalogue, public.
        mu: √(2ρ) of the whole budget; `math.inf` without privacy.

    Source: RECIPE RANKING, "Shares Q1..Q4".

    Example:
        >>> ranking_rule(943, 1682, 1 / 0.6).shares
        (0.53, 0.01, 0.11, 0.35)
    """
    if math.isinf(mu):
        return RankingPlan((1.0, 1.0, 1.0, 1.0), 55, 16)
    signal = mu * users / math.sqrt(items)
    if signal < 4:
        return RankingPlan((1.0, 0.0, 0.0, 0.0), 1, 0)
    if signal < 16:
        return RankingPlan((0.90, WEIGHTS_SHARE, 0.09, 0.0), 20, 0)
    if signal < 30:
        return RankingPlan((0.65, WEIGHTS_SHARE, 0.10, 0.24), 20, 2)
    return RankingPlan((0.53, WEIGHTS_SHARE, 0.11, 0.35), 55, 4)


def shares_of(objective: Objective, trunk: ModelPlan, ranking: RankingPlan) -> dict[str, float]:
    """Share the budget over all queries of a model, by name.

    `balanced` gives either task half of what it would spend beside `item_sums`, and that query,
    which serves both, the rest. Without privacy every query has all it wants.
    """
    own = dict(
        zip(
            ("item_sums", "population_prior", "trunk_items", "trunk_network"),
            (*trunk.shares, trunk.network_share),
            strict=True,
        )
    )
    names = ("item_sums", "rank_weights", "rank_bilinear", "rank_items")
    ranked = dict(zip(names, ranking.shares, strict=True))
    if objective == "ratings":
        return own
    if objective == "ranking":
        return ranked
    if ranked["item_sums"] == 1:  # nothing is scarce, or nothing is left to share
        return ranked | own
    both = {name: 0.5 * share for name, share in (own | ranked).items()}
    both["rank_weights"] = WEIGHTS_SHARE
    both["item_sums"] += 1.0 - sum(both.values())
    return both
