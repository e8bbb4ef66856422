# SPDX-License-Identifier: Apache-2.0
"""Who gets budget: a public rule in (users, items, budget), never in the number of ratings."""

import math
from dataclasses import dataclass


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
        return ModelPlan((1.0, 1.0, 1.0), 8, 6, 1.0)
    signal = mu * users / math.sqrt(items)
    if signal < 8.5:
        return ModelPlan((1.0, 0.0, 0.0), 0, 0, 1.0)
    if signal < 16:
        return ModelPlan((0.70, 0.05, 0.25), 2, 2, 2.0)
    if signal < 30:
        return ModelPlan((0.65, 0.05, 0.30), 2, 2, 1.5)
    growth = math.log2(signal / 30)
    factors, rounds = min(8, 2 + int(growth)), min(6, 3 + int(growth / 2))
    return ModelPlan((0.45, 0.05, 0.50), factors, rounds, 1.0)
