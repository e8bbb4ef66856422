# SPDX-License-Identifier: Apache-2.0
"""How popular each item is, as the ranking needs it: noisy counts under a prior from features.

The item weights of `shared.model.statistics` share one prior; under much noise that leaves items
nobody is sure about at the same place. Ranking lives of exactly that order, so here the prior of an
item's log weight is Gaussian about its regression on public features (its year and its kind tell
much), its coefficients and variance learnt by EM from the same released counts.

Source: RECIPE RANKING, "log-popularity from the count mixture with public features as prior";
Efron (2016), "Empirical Bayes deconvolution estimates"; Fay and Herriot (1979).
"""

import numpy as np

from shared.catalogue import Catalogue
from shared.model.statistics import weight_likelihood
from shared.schema import Floats

RIDGE = 30.0
"""Precision of the regression's coefficients, in items."""
STEPS = 12
"""EM steps; further ones change nothing."""


def popularity(counts: Floats, noise_variance: float, catalogue: Catalogue) -> Floats:
    """Estimate the log weight of each item; post-processing, costs no budget.

    Args:
        counts: Released counts in units of row scales, (I,).
        noise_variance: Variance of the noise in a count.
        catalogue: Public features.

    Returns:
        Posterior means of the log weight, standardised over the catalogue, (I,).
    """
    log_grid, likelihood = weight_likelihood(counts, noise_variance)
    design = np.column_stack([np.ones(len(counts)), catalogue.features])
    penalty = np.diag([0.01, *np.full(catalogue.features.shape[1], RIDGE)])
    fitted, variance = np.zeros(len(counts)), float(np.ptp(log_grid)) ** 2
    for _ in range(STEPS):
        mean, spread = _posterior(log_grid, likelihood, fitted, variance)
        gram = design.T @ design / variance + penalty
        fitted = design @ np.linalg.solve(gram, design.T @ mean / variance)
        variance = float(np.mean((mean - fitted) ** 2 + spread))
    mean, _ = _posterior(log_grid, likelihood, fitted, variance)
    return np.asarray((mean - mean.mean()) / max(float(mean.std()), 0.3))


def _posterior(
    log_grid: Floats, likelihood: Floats, fitted: Floats, variance: float
) -> tuple[Floats, Floats]:
    """Return posterior mean and variance of each log weight, (I,) each."""
    gap = (log_grid - fitted[:, None]) ** 2 / (2.0 * variance)
    weight = likelihood * np.exp(gap.min(axis=1, keepdims=True) - gap)
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
    mean = weight @ log_grid
    return mean, np.maximum(weight @ log_grid**2 - mean**2, 0.0)
