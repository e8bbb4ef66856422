# SPDX-License-Identifier: Apache-2.0
"""The item block of the shared trunk (query `trunk_items`): offsets and factors by rounds.

A device sends, at the rows its owner rated, the gradient ∂/∂(o, Δ) of half its squared errors,
leave-one-out: minus residual times (b, Uᵀw), the comment task's share beside it, clamped and
brought to norm 1. The server averages what the rounds say of each coordinate and shrinks it with
the known variance of noise and ratings: its step, against the gradient.

Source: RECIPE R3; Singhal et al. (2021), "Federated Reconstruction", https://arxiv.org/abs/2102.03448;
Efron and Morris (1973) for shrinkage with known variance.
"""

from dataclasses import dataclass, replace

import numpy as np

from shared.catalogue import Catalogue
from shared.model.prior import Prior, feature_covariance
from shared.model.statistics import CLAMP, ItemStatistics
from shared.model.tasks import UserTasks, item_gradient
from shared.model.tower import Tower
from shared.schema import Floats

OFFSET_SD, FACTOR_SD = 0.05, 0.15
"""Prior standard deviations of an item's offset, beside what `item_sums` left open, and factors."""
GRADIENT_VARIANCE = 0.12
"""Variance of one person's gradient per unit of item weight."""
GRADIENT_VARIANCE_BARE = 1.2
"""The same, per unit of row scale, where the catalogue tells no items apart: nothing but chance is
left in a residual there, and the shorter the histories, the more one person weighs."""


@dataclass(frozen=True)
class ItemBlock:
    """State of the item block between rounds; public."""

    deltas: Floats
    """Offset d_j and factors Δ_j of each item, (I, 1 + k)."""
    evidence: Floats
    """Sum over rounds of s (gradient + count · deltas), (I, 1 + k)."""
    scale: float
    """Sum of round numbers s."""
    noise: float
    """Σ s² σ_s²: variance of the noise in the evidence, which rounds with drop-outs differ in."""
    rounds: int
    """Rounds made."""

    @classmethod
    def zeros(cls, items: int, factors: int) -> "ItemBlock":
        """Return the start: no offset, no factors, no evidence."""
        return cls(np.zeros((items, 1 + factors)), np.zeros((items, 1 + factors)), 0.0, 0.0, 0)


def directions(tower: Tower, statistics: ItemStatistics, prior: Prior, factors: int) -> Floats:
    """Return U, shape (K, k): the directions in which people differ most, unit prior variance.

    Leading eigenvectors of S + .01 G/‖G‖, where the covariance G of the rated items' features
    breaks ties only. Computed once by the server and sent.
    """
    covariance = feature_covariance(tower, statistics)
    tie_break = 0.01 * covariance / max(float(np.linalg.norm(covariance, 2)), 1e-12)
    _, vectors = np.linalg.eigh(prior.covariance + tie_break)
    leading = vectors[:, ::-1][:, :factors]
    variance = np.einsum("kj,kl,lj->j", leading, prior.covariance, leading)
    return np.asarray(leading / np.sqrt(variance))


def trunk_rows(tasks: UserTasks, *, preference: float) -> Floats:
    """Build one device's rows of `trunk_items`, before they are scaled to norm 1.

    Args:
        tasks: The owner's events, residuals and factors leave-one-out. Private.
        preference: b, how much of the norm the offset takes beside the factors; public.

    Returns:
        Gradient rows −(b e, e t + λ_c eᶜ tᶜ), minimiser's sign, shape (n, 1 + k), with residuals
        e, eᶜ and factors t = Uᵀw, tᶜ = Uᵀwᶜ clamped to ±2. Private.
    """
    clamped = replace(
        tasks,
        residual=np.clip(tasks.residual, -CLAMP, CLAMP),
        factors=np.clip(tasks.factors, -CLAMP, CLAMP),
    )
    offset, factors = item_gradient(clamped)
    return np.column_stack([preference * offset, factors])


def item_counts(statistics: ItemStatistics, factors: int) -> Floats:
    """Effective counts of each coordinate, (I, 1 + k): ĉ, then ĉ · .8 / j^.8 for factor j."""
    fall = 0.8 / np.arange(1, factors + 1) ** 0.8
    return np.asarray(statistics.weight[:, None] * np.concatenate([[1.0], fall]))


def variance_of_gradients(catalogue: Catalogue, scale: float) -> float:
    """Give the variance of one person's gradient per unit of item weight.

    Args:
        catalogue: Public.
        scale: Typical scale of one row, see `row_scale`.
    """
    if catalogue.tells_items_apart:
        return GRADIENT_VARIANCE
    return GRADIENT_VARIANCE_BARE * scale


def item_step(
    block: ItemBlock,
    total: Floats,
    noise_std: float,
    statistics: ItemStatistics,
    *,
    preference: float,
    offset_variance: Floats,
    gradient_variance: float = GRADIENT_VARIANCE,
) -> ItemBlock:
    """Take one server step; post-processing, costs no budget.

    Args:
        block: State before the round.
        total: Released sum of gradient rows, minimiser's sign, shape (I, 1 + k).
        noise_std: Standard deviation of the noise in each coordinate.
        statistics: Item weights.
        preference: b, as on the devices.
        offset_variance: What `item_sums` left open of each mean, shape (I,): an item whose mean is
            well known moves little.
        gradient_variance: Variance of one person's gradient per unit of weight.

    Returns:
        State after it. Later rounds count more, s-th round s-fold, since their gradients are taken
        at better factors.
    """
    factors = total.shape[1] - 1
    unit = np.concatenate([[1.0 / preference], np.ones(factors)])
    count = item_counts(statistics, factors)
    rounds = block.rounds + 1
    evidence = block.evidence + rounds * (count * block.deltas - total * unit)
    scale, noisy = block.scale + rounds, block.noise + (rounds * noise_std) ** 2
    noise = noisy * unit**2 / scale**2 + gradient_variance * count
    variance = np.full_like(count, FACTOR_SD**2)
    variance[:, 0] = OFFSET_SD**2 + offset_variance
    deltas = evidence / scale * variance * count / (count**2 * variance + noise + 1e-6)
    return ItemBlock(deltas, evidence, scale, noisy, rounds)


def moved(tower: Tower, block: ItemBlock, directions: Floats) -> Tower:
    """Return the tower with the block's offsets and factors: v = f + U Δ, o = o + d.

    `tower` is the one before any round; its offset already holds the mean person, whom Δ does not
    move.
    """
    return replace(
        tower,
        features=tower.features + block.deltas[:, 1:] @ directions.T,
        offset=tower.offset + block.deltas[:, 0],
    )
