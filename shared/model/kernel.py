# SPDX-License-Identifier: Apache-2.0
"""The likeness kernel: items that read alike, are of one kind, age, esteem and popularity.

The linear features say what tastes have in common; the kernel lets a device learn from its owner's
rating of this one sequel. It needs public text and released statistics only, and runs at home.

Source: Rasmussen and Williams (2006), "Gaussian Processes for Machine Learning", Algorithm 2.1.
"""

import numpy as np

from shared.catalogue import Catalogue
from shared.model.tower import Tower
from shared.schema import Floats, Ints

AMPLITUDE = 0.85
"""Prior variance of the part of a taste that only likeness explains, in r'."""
NOISE_VARIANCE = 0.45
"""Variance of a rating about linear part and kernel together, in r'."""
NEWEST = 1000
"""Ratings of the owner that enter the kernel, the newest ones."""
TEXT, CATEGORY, AGE, MEAN, POPULARITY = 2.0, 1.2, 0.5, 0.3, 0.1
"""Weight of each squared distance in the exponent."""


def likeness(catalogue: Catalogue, tower: Tower, left: Ints, right: Ints) -> Floats:
    """Likeness of items, in [0, 1], 1 on the diagonal.

    Args:
        catalogue: Public text, categories and ages; what is missing has no say.
        tower: Offset and popularity.
        left: Items, shape (a,).
        right: Items, shape (b,).

    Returns:
        exp(−weighted distance), shape (a, b).
    """
    distance = MEAN * _squared(tower.offset[left], tower.offset[right])
    distance += POPULARITY * _squared(tower.log_weight[left], tower.log_weight[right])
    distance += AGE * _squared(catalogue.log_age[left], catalogue.log_age[right])
    if catalogue.text.shape[1]:
        distance += TEXT * (1.0 - catalogue.text[left] @ catalogue.text[right].T)
    if catalogue.categories.shape[1]:
        distance += CATEGORY * (1.0 - catalogue.categories[left] @ catalogue.categories[right].T)
    return np.asarray(np.exp(-distance))


def _squared(left: Floats, right: Floats) -> Floats:
    """Squared differences, (a, b)."""
    return np.asarray((left[:, None] - right[None, :]) ** 2)


def gaussian_process(gram: Floats, cross: Floats, target: Floats, noise: float) -> Floats:
    """Posterior mean of a Gaussian process.

    Args:
        gram: Covariance of the observed, shape (n, n).
        cross: Covariance of wanted and observed, shape (t, n).
        target: Observations, shape (n,). Private.
        noise: Noise variance, > 0.

    Returns:
        cross (gram + noise I)⁻¹ target, shape (t,). Private.
    """
    return np.asarray(cross @ np.linalg.solve(gram + noise * np.eye(len(gram)), target))
