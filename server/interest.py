# SPDX-License-Identifier: Apache-2.0
"""Interest from the server's side: ask for θ, M and the items' own terms, and step.

Everything after `ask` is post-processing of noisy sums: it costs no budget. Steps know the
variance of the noise, so that what a small budget cannot tell stays zero.

Source: RECIPE RANKING; Gavish and Donoho (2017), "Optimal shrinkage of singular values", for the
noise edge; Efron and Morris (1973) for shrinkage with known variance.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from server.plan import Plan, Release
from shared.catalogue import Catalogue
from shared.model.interest import NAMES, InterestModel
from shared.model.statistics import ItemStatistics
from shared.ranking.contexts import TASTE_RECENCY, TASTE_SCALE
from shared.schema import Floats

START = {
    "text_recent": 0.15,
    "text_all": 0.1,
    "category_recent": 0.25,
    "time_latest": 0.3,
    "time_recent": 0.3,
    "age_latest": 0.2,
    "joint_latest": 0.05,
    "joint_recent": 0.05,
    "joint_best": 0.2,
    "popularity": 1.0,
    "popularity_squared": 0.2,
    "popularity_near_latest": 0.2,
    "popularity_near_recent": 0.4,
    "liking_near_latest": 0.4,
}
"""θ before anything is asked."""
WEIGHTS_STEP = 2.0
"""Over-relaxation of the mean of clipped Newton steps."""
BILINEAR_STEP = 0.2
EDGE = 0.5
"""M's singular values are lowered by this part of the noise's largest."""
ITEM_SD, FACTOR_SD = 0.35, 0.2
"""Prior standard deviations of an item's own term and of its factors."""
SURPRISE_VARIANCE = 0.13
"""Variance of one owner's row per unit of curvature."""


def whitening(catalogue: Catalogue, popularity: Floats, liking: Floats, width: int) -> Floats:
    """Return the projection of [public features, popularity, liking] to unit spread, (F + 2, p)."""
    own = np.column_stack([catalogue.features, popularity, liking])
    _, spread, axes = np.linalg.svd(own, full_matrices=False)
    kept = min(width, int((spread > 1e-6 * spread[0]).sum()))
    projection = np.zeros((own.shape[1], width))
    projection[:, :kept] = axes[:kept].T / spread[:kept] * math.sqrt(len(own))
    return projection


def untrained(
    catalogue: Catalogue, statistics: ItemStatistics, width: int, factors: int
) -> InterestModel:
    """Return interest as it is before devices are asked: popularity, and likeness at START."""
    popularity, liking = statistics.log_weight, standard(statistics.mean)
    items = len(popularity)
    return InterestModel(
        popularity=popularity,
        liking=liking,
        projection=whitening(catalogue, popularity, liking, width),
        weights=np.array([START.get(name, 0.0) for name in NAMES]),
        bilinear=np.zeros((width, width)),
        directions=np.zeros((width, factors)),
        centre=np.zeros(width),
        items=np.zeros((items, 1 + factors)),
    )


def standard(values: Floats) -> Floats:
    """Bring values to mean 0 and spread 1; zeros where they do not vary."""
    centred = values - values.mean()
    return np.asarray(centred / max(float(centred.std()), 1e-9))


@dataclass(frozen=True)
class BilinearState:
    """What the server remembers of M between rounds; public."""

    raw: Floats
    """Sum of steps, with their noise, (p, p)."""
    variance: float
    """Noise variance in each of its entries."""

    def step(self, total: Floats, noise_std: float, users: int) -> "BilinearState":
        """Add a step along the noisy mean gradient, total (p²,)."""
        scale = BILINEAR_STEP / users
        raw = self.raw + scale * total.reshape(self.raw.shape)
        return BilinearState(raw, self.variance + (scale * noise_std) ** 2)

    @property
    def shrunk(self) -> Floats:
        """M: singular values lowered by a part of the noise's largest, 2 sd √p."""
        left, values, right = np.linalg.svd(self.raw)
        edge = EDGE * 2.0 * math.sqrt(self.variance * len(self.raw))
        return np.asarray((left * np.maximum(values - edge, 0.0)) @ right)


def tastes(model: InterestModel, catalogue: Catalogue, share: Floats, factors: int) -> InterestModel:
    """Choose the k directions of taste that M draws most on, in units of their spread.

    Centre and spread of recent taste follow from the item weights: an EMA of events with the
    catalogue's shares.
    """
    vectors = np.column_stack([catalogue.features, model.popularity, model.liking])
    vectors = vectors @ model.projection
    mean = share @ vectors
    covariance = (vectors - mean).T * share @ (vectors - mean)
    left, values, _ = np.linalg.svd(model.bilinear)
    leading = left[:, :factors] * (values[:factors] > 0)
    spread = TASTE_SCALE * TASTE_SPREAD * np.sqrt(np.einsum("pk,pq,qk->k", leading, covariance, leading))
    return replace(
        model, centre=TASTE_SCALE * mean, directions=leading / np.maximum(spread, 1e-9)
    )


@dataclass(frozen=True)
class TermsState:
    """What the server remembers of the items' own terms between rounds; public."""

    items: Floats
    evidence: Floats
    scale: float
    scale_squared: float

    def step(self, total: Floats, noise_std: float, curvature: Floats, sd: Floats, rounds: int) -> "TermsState":
        evidence = self.evidence + rounds * (total + curvature * self.items)
        scale, squared = self.scale + rounds, self.scale_squared + rounds**2
        noise = noise_std**2 * squared / scale**2 + SURPRISE_VARIANCE * curvature
        items = evidence / scale * sd**2 * curvature / (curvature**2 * sd**2 + noise + 1e-6)
        return TermsState(items, evidence, scale, squared)

TASTE_SPREAD = 0.45
