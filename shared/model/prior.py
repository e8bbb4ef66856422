# SPDX-License-Identifier: Apache-2.0
"""The population prior (query `population_prior`): what people have in common, how they differ.

Every device knows a posterior of its owner's user vector. Its first moments over all features and
its second moments over the features that ratings tell most about are, summed over people, one step
of EM for a Gaussian prior N(μ0, S). The step is short where a device knows little: an expected
moment is the true difference from the current prior times h = a_k a_l, where a is how far ratings
of a typical length determine a coordinate. The server knows a from public numbers, so it divides
by h where that stands out of the noise and shrinks where it does not (Wiener). A second round asks
about people as the first one has described them.

Source: Dempster, Laird and Rubin (1977) for EM; Efron and Morris (1973) and Wiener (1949) for
shrinkage with known noise. RECIPE R2 is the first form: one round, one factor 4 for every h.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shared.catalogue import Catalogue
from shared.model.ridge import NOISE_VARIANCE, posterior
from shared.model.statistics import ItemStatistics
from shared.model.tower import Tower
from shared.schema import Floats, Ints

ROUNDS = 2
"""Rounds of the query under privacy; each has half of its share."""
ROUNDS_FREE = 6
"""Rounds without privacy."""
CLIPPING_NORM = 5.0
"""Clipping norm of the whole vector (first moments, second moments)."""
KEPT = 0.8
"""What clipping leaves of a moment, about; 1 without privacy."""
MEAN_VARIANCE = 0.1
"""Prior variance of a coordinate of μ0."""
VARIANCE_VARIANCE, COVARIANCE_VARIANCE = 0.3, 0.03
"""Prior variances of an entry of S − I, on and off the diagonal."""
TYPICAL = 0.9
"""Part of the typical number of ratings that counts: people vary, and what the short histories
lack the long ones do not make up."""
NARROWEST, WIDEST = -0.8, 30.0
"""Bounds of what a round may add to a variance, as a part of it."""


@dataclass(frozen=True)
class Prior:
    """Distribution N(0, S) of user vectors; their mean is in the tower's offset; public."""

    covariance: Floats
    """Prior covariance S, (K, K)."""
    mean: Floats
    """Mean μ0 of user vectors, (K,); `Tower.shifted` moves it into the offset."""

    @classmethod
    def standard(cls, size: int) -> "Prior":
        """Return N(0, I) over `size` features: before anything was learnt about people."""
        return cls(np.eye(size), np.zeros(size))

    @cached_property
    def precision(self) -> Floats:
        """Inverse covariance, (K, K)."""
        return np.asarray(np.linalg.inv(self.covariance))

    def with_slope_one(self, column: int) -> "Prior":
        """Take nothing from the moments on how the mean person follows item means.

        By what a mean is, that slope is one, so its deviation is none. What moments say of it is
        mostly that each item's mean holds each person's own rating: the shorter the histories and
        the less noise, the more.

        Args:
            column: Where the tower has the item means.
        """
        mean = self.mean.copy()
        mean[column] = 0.0
        return Prior(self.covariance, mean)


@dataclass(frozen=True)
class Frame:
    """Coordinates of one round: w = B z, z ~ N(0, I) under the current prior; public."""

    basis: Floats
    """B, (K, K) with B Bᵀ = S; columns by how well ratings determine them, best first. Computed
    once by the server and sent, because eigenvectors differ between machines."""
    known: Floats
    """a, (K,), in (0, 1): the part of a coordinate that ratings of a typical length determine."""
    pairs: int
    """Coordinates, the first ones, whose second moments are asked for."""


def feature_covariance(tower: Tower, statistics: ItemStatistics) -> Floats:
    """Covariance of the features over items, each counted by its share of ratings, (K, K)."""
    share = statistics.share
    centred = tower.features - share @ tower.features
    return np.asarray((centred * share[:, None]).T @ centred)


def prior_frame(
    tower: Tower, statistics: ItemStatistics, prior: Prior, ratings: float, length: int
) -> Frame:
    """Choose the coordinates of one round from what is public.

    Args:
        tower: The tower before any trunk round.
        statistics: Item weights.
        prior: What earlier rounds said of people.
        ratings: What `typical_length` says of how many ratings a person has.
        length: Of the vector of `population_prior`, see `prior_length`.

    Returns:
        The eigenvectors of what a typical device knows, in units of the current prior.
    """
    values, vectors = np.linalg.eigh(prior.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 1e-9))) @ vectors.T
    seen = tower.features @ root
    gram = TYPICAL * ratings / NOISE_VARIANCE * (seen * statistics.share[:, None]).T @ seen
    information, axes = np.linalg.eigh(gram)
    information = np.maximum(information[::-1], 1e-9)
    pairs = math.isqrt(2 * (length - len(information)))  # p² < p (p + 1) < (p + 1)²
    return Frame(root @ axes[:, ::-1], information / (1.0 + information), pairs)


def prior_length(size: int, pairs: int) -> int:
    """Length of the vector of `population_prior`: K first moments, p (p + 1) / 2 second ones.

    Example:
        >>> prior_length(56, 12), prior_length(3, 12)
        (134, 9)
    """
    pairs = min(pairs, size)
    return size + pairs * (pairs + 1) // 2


def features_of(catalogue: Catalogue) -> int:
    """K, columns of the tower after `item_sums`: with constant, mean and popularity."""
    return int(catalogue.features.shape[1]) + 3


def prior_vector(tower: Tower, basis: Floats, pairs: int, items: Ints, ratings: Floats) -> Floats:
    """Build one device's vector of `population_prior`, before clipping to `CLIPPING_NORM`.

    Args:
        tower: The tower before any trunk round, its offset with the current μ0.
        basis: The server's coordinates B, shape (K, K).
        pairs: p, coordinates whose second moments are asked for.
        items: Rated items, shape (n,). Private.
        ratings: Their ratings in r', shape (n,). Private.

    Returns:
        The posterior mean z, shape (K,), then, for the first p coordinates, the upper
        triangle of zzᵀ + V − I with off-diagonals times √2, so that the vector's norm is the
        matrix's. Private.
    """
    size = basis.shape[1]
    solved = posterior(tower.features[items] @ basis, ratings - tower.offset[items], np.eye(size))
    first = solved.mean[:pairs]
    second = np.outer(first, first) + solved.covariance[:pairs, :pairs] - np.eye(pairs)
    rows, columns = np.triu_indices(pairs)
    weight = np.where(rows == columns, 1.0, np.sqrt(2.0))
    return np.concatenate([solved.mean, weight * second[rows, columns]])


def prior_step(total: Floats, noise_std: float, users: int, frame: Frame, prior: Prior) -> Prior:
    """Turn the noisy sum of `prior_vector` into a better prior; post-processing, costs nothing.

    Args:
        total: Released sum over people, shape (prior_length(K, p),).
        noise_std: Standard deviation of the noise in each coordinate of the sum.
        users: People in the sum; public.
        frame: The round's coordinates.
        prior: What the devices were asked with.

    Returns:
        N(μ0 + B m, B (I + D) Bᵀ) with m and D the shrunk first and second moments and the
        eigenvalues of D within bounds.
    """
    size, average, noise = len(prior.mean), total / users, (noise_std / users) ** 2
    pairs = frame.pairs
    kept = KEPT if noise_std > 0 else 1.0
    first = _wiener(average[:size], kept * frame.known, MEAN_VARIANCE, noise + frame.known / users)
    known = frame.known[:pairs]
    rows, columns = np.triu_indices(pairs)
    diagonal = rows == columns
    moments = average[size:] / np.where(diagonal, 1.0, np.sqrt(2.0))
    chance = known[rows] * known[columns] * np.where(diagonal, 2.0, 1.0) / users
    entries = _wiener(
        moments,
        kept * known[rows] * known[columns],
        np.where(diagonal, VARIANCE_VARIANCE, COVARIANCE_VARIANCE),
        noise * np.where(diagonal, 1.0, 0.5) + chance,
    )
    second = np.zeros((pairs, pairs))
    second[rows, columns] = second[columns, rows] = entries
    values, vectors = np.linalg.eigh(second)
    stretched = frame.basis[:, :pairs] @ vectors
    covariance = frame.basis @ frame.basis.T
    covariance += (stretched * np.clip(values, NARROWEST, WIDEST)) @ stretched.T
    return Prior(covariance, prior.mean + frame.basis @ first)


def _wiener(
    observed: Floats, gain: Floats, variance: Floats | float, noise: Floats | float
) -> Floats:
    """Posterior mean of x ~ N(0, variance) from observed = gain · x + N(0, noise)."""
    return np.asarray(observed * gain * variance / (gain**2 * variance + noise))
