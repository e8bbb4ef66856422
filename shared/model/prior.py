# SPDX-License-Identifier: Apache-2.0
"""The population prior (query `population_prior`): how tastes differ between people.

Every device knows a posterior of its owner's user vector. The noisy sum of their first and second
moments over a dozen directions is one step of EM for a Gaussian prior, over-relaxed because there
is budget for one step only. Six directions carry meaning (constant, mean, popularity, time), six
are where the items people rate spread most.

Source: RECIPE R2; Dempster, Laird and Rubin (1977) for EM; Gavish and Donoho (2014) for the
threshold at the noise's spectral edge.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shared.catalogue import Catalogue
from shared.model.ridge import posterior
from shared.model.statistics import ItemStatistics
from shared.model.tower import Tower
from shared.schema import Floats, Ints

SPECTRAL_AXES = 6
"""Directions of the basis beside the axes that mean something."""
CLIPPING_NORM = 6.0
"""Clipping norm of the whole vector (first moments, second moments)."""
EDGE = 0.35
"""Soft threshold of eigenvalues, in units of the spectral edge of the noise, 2 √dimension."""
OVER_RELAXATION = 4.0
"""One EM step, lengthened."""
MEAN_SHRINK = 12.0
"""Dimensions of noise that the mean is shrunk for (James and Stein)."""


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


def feature_covariance(tower: Tower, statistics: ItemStatistics) -> Floats:
    """Covariance of the features over items, each counted by its share of ratings, (K, K)."""
    share = statistics.share
    centred = tower.features - share @ tower.features
    return np.asarray((centred * share[:, None]).T @ centred)


def prior_basis(tower: Tower, statistics: ItemStatistics) -> Floats:
    """Choose the directions B that the release describes.

    Args:
        tower: The tower before any trunk round.
        statistics: Item weights; public.

    Returns:
        Orthonormal columns, shape (K, p): the tower's axes, then the leading eigenvectors of the
        weighted covariance of the other features. Computed once by the server and sent, because
        eigenvectors differ between machines.
    """
    size = tower.features.shape[1]
    covariance = feature_covariance(tower, statistics)
    axes = list(tower.axes)
    covariance[axes, :] = 0.0
    covariance[:, axes] = 0.0
    spectral = min(SPECTRAL_AXES, size - len(axes))
    _, vectors = np.linalg.eigh(covariance)
    return np.hstack([np.eye(size)[:, axes], vectors[:, size - spectral :]])


def prior_length(catalogue: Catalogue) -> int:
    """Length of the vector of `population_prior`, as it follows from the public catalogue."""
    features = int(catalogue.features.shape[1])
    time = sum(block.stop - block.start for block in catalogue.blocks if block.kind == "time")
    axes = time + 3  # constant, mean, popularity
    dimension: int = axes + min(SPECTRAL_AXES, features + 3 - axes)
    return dimension + dimension * (dimension + 1) // 2


def prior_size(basis: Floats) -> int:
    """Length of the vector of `population_prior`: p first and p (p + 1) / 2 second moments."""
    dimension = int(basis.shape[1])
    return dimension + dimension * (dimension + 1) // 2


def prior_vector(tower: Tower, basis: Floats, items: Ints, ratings: Floats) -> Floats:
    """Build one device's vector of `population_prior`, before clipping to `CLIPPING_NORM`.

    Args:
        tower: The tower before any trunk round.
        basis: The server's directions B, shape (K, p).
        items: Rated items, shape (n,). Private.
        ratings: Their ratings in r', shape (n,). Private.

    Returns:
        d = Bᵀw, then the upper triangle of M = ddᵀ + BᵀVB − I with off-diagonals times √2, so
        that the vector's norm is the matrix's. Private.
    """
    residual = ratings - tower.offset[items]
    solved = posterior(tower.features[items], residual, np.eye(tower.features.shape[1]))
    first = basis.T @ solved.mean
    second = np.outer(first, first) + basis.T @ solved.covariance @ basis - np.eye(len(first))
    rows, columns = np.triu_indices(len(first))
    weight = np.where(rows == columns, 1.0, np.sqrt(2.0))
    return np.concatenate([first, weight * second[rows, columns]])


def prior_step(total: Floats, noise_std: float, users: int, basis: Floats) -> Prior:
    """Turn the noisy sum of `prior_vector` into the population prior; post-processing.

    Args:
        total: Released sum over people, shape (p + p (p + 1) / 2,).
        noise_std: Standard deviation of the noise in each coordinate of the sum.
        users: People in the sum; public.
        basis: The server's directions B.

    Returns:
        Prior with S = I + B Q diag(clip(4 λ, −.7, 30)) Qᵀ Bᵀ and shrunk mean.
    """
    size, dimension = basis.shape
    average, noise = total / users, noise_std / users
    first = average[:dimension]
    shrink = max(0.0, 1.0 - MEAN_SHRINK * noise**2 / max(float(first @ first), 1e-12))
    rows, columns = np.triu_indices(dimension)
    second = np.zeros((dimension, dimension))
    second[rows, columns] = average[dimension:] / np.where(rows == columns, 1.0, np.sqrt(2.0))
    second[columns, rows] = second[rows, columns]
    values, vectors = np.linalg.eigh(second)
    threshold = EDGE * noise * np.sqrt(2.0 * dimension)
    values = np.sign(values) * np.maximum(np.abs(values) - threshold, 0.0)
    axes = basis @ vectors
    stretched = axes * np.clip(OVER_RELAXATION * values, -0.7, 30.0)
    return Prior(np.eye(size) + stretched @ axes.T, shrink * basis @ first)
