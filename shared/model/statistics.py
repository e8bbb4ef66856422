# SPDX-License-Identifier: Apache-2.0
"""Item statistics: the one-shot release `item_sums` and what the server makes of it.

Every device sends, once, how its owner's ratings deviate from their own mean and that they rated
at all; the noisy sum over people tells how much is known of an item and how well it is liked. Both
columns are denoised by empirical Bayes: a mixture prior for the weights, a regression on public
features for the means, so that an item nobody rated still gets a mean from its text.

Source: RECIPE R1. Kiefer and Wolfowitz (1956), Efron (2016), "Empirical Bayes deconvolution
estimates", for the mixture; Fay and Herriot (1979) for the regression with known noise.
"""

from dataclasses import dataclass

import numpy as np

from shared.catalogue import Catalogue
from shared.schema import Floats, Ints

CLAMP = 2.0
"""Ratings' deviations in r' are clamped to ±2 before they leave a device."""
COUNT_SCALE = 0.8
"""Size of the count column beside the rating column; 2 serves the ranking better."""
USER_SHRINK = 2.0
"""Pseudo-ratings at the centre in a person's mean: few, or short histories carry their owner's
generosity into the item means."""
MEAN_SD, MEAN_SD_BARE = 0.38, 0.25
"""Standard deviation of item means about their regression, and where the catalogue tells no items
apart: there most of a mean is who happened to rate."""
RATING_VARIANCE = 0.9
"""Variance of one person's deviation, in r'."""
ROW_SCALE = 0.1
"""Typical scale of one row after a person's vector is brought to norm 1, of 60 ratings."""
DEVIATION_VARIANCE = 0.92
"""Mean square of the rating column of `item_sums`."""
MEAN_PRECISION = {"category": 30.0, "time": 10.0, "text": 60.0, "number": 60.0}
"""Ridge precision of each block's coefficients in the regression of item means."""


@dataclass(frozen=True)
class ItemStatistics:
    """What is known of every item after `item_sums`; public."""

    mean: Floats
    """Denoised mean deviation m_j in r', weighted mean zero over the catalogue, (I,)."""
    weight: Floats
    """Item weight: expected sum of the raters' row scales, (I,); 0 where nothing is known."""
    log_weight: Floats
    """Expected log weight, standardised over the catalogue, (I,): popularity."""

    @classmethod
    def empty(cls, items: int) -> "ItemStatistics":
        """Return what a device has without any federation: nothing."""
        return cls(np.zeros(items), np.zeros(items), np.zeros(items))

    def take(self, rows: Ints) -> "ItemStatistics":
        """Return the statistics of some items, in their order."""
        return ItemStatistics(self.mean[rows], self.weight[rows], self.log_weight[rows])

    @property
    def known(self) -> bool:
        """Whether anything was released."""
        return bool(self.weight.any())

    @property
    def share(self) -> Floats:
        """Share of each item in all ratings, (I,), sums to 1."""
        total = self.weight.sum()
        items = len(self.weight)
        return self.weight / total if total > 0 else np.full(items, 1.0 / items)


def item_sums_rows(ratings: Floats, *, count_scale: float = COUNT_SCALE) -> Floats:
    """Build one device's rows of `item_sums`, before they are scaled to norm 1.

    Args:
        ratings: The owner's ratings in r', shape (n,). Private.
        count_scale: Size of the count column, public.

    Returns:
        Rows (clamped deviation from the shrunk user mean, count_scale), shape (n, 2). Private.

    Source: RECIPE R1, with 2 for 8 pseudo-ratings: r̄_u = Σ r' / (n + 2), y = clip(r' − r̄_u, ±2).
    """
    centre = ratings.sum() / (len(ratings) + USER_SHRINK)
    deviation = np.clip(ratings - centre, -CLAMP, CLAMP)
    return np.column_stack([deviation, np.full(len(ratings), count_scale)])


def denoise(
    sums: Floats,
    noise_std: float,
    catalogue: Catalogue,
    *,
    users: int,
    count_scale: float = COUNT_SCALE,
) -> ItemStatistics:
    """Turn the noisy sums of `item_sums` into item statistics; post-processing, costs no budget.

    Args:
        sums: Released sums over people of rows at norm 1, shape (I, 2).
        noise_std: Standard deviation of the noise in each coordinate; 0 without privacy.
        catalogue: Public features, the prior of the means.
        users: People in the sum.
        count_scale: As on the devices.

    Returns:
        Denoised statistics; finite for every finite input.
    """
    count_noise = (noise_std / count_scale) ** 2
    counts = sums[:, 1] / count_scale
    scale = row_scale(float(counts.sum()), users, count_scale)
    weight, log_weight, variance = denoise_weights(counts, count_noise, scale=scale)
    popularity = (log_weight - log_weight.mean()) / max(float(log_weight.std()), 0.3)
    noise = noise_std**2 + RATING_VARIANCE * scale * weight + 0.3 * variance
    mean = denoise_means(sums[:, 0] / weight, noise / weight**2, popularity, catalogue)
    centred = mean - weight @ mean / weight.sum()
    return ItemStatistics(centred, weight, popularity)


def row_scale(total: float, users: int, count_scale: float) -> float:
    """Give the typical scale s of one row after a person's vector is brought to norm 1.

    A person's n rows have squared norm n (.92 + α²) before, so s = 1 / √(n (.92 + α²)), and add n s
    to the total of all item weights: the total per person tells s.

    Args:
        total: Sum of all item weights, may be noisy.
        users: People in the sum.
        count_scale: α, as on the devices.

    Example:
        >>> round(row_scale(6.0 * 943, 943, 0.8), 3), round(row_scale(1.8 * 943, 943, 0.8), 3)
        (0.107, 0.356)
    """
    norm = DEVIATION_VARIANCE + count_scale**2
    return float(np.clip(users / (norm * max(total, 1e-9)), 0.03, 1.0))


def typical_length(statistics: ItemStatistics, users: int, count_scale: float) -> float:
    """Give how many ratings a typical person has, as the item weights tell; see `row_scale`."""
    norm = DEVIATION_VARIANCE + count_scale**2
    return norm * float(statistics.weight.sum() / users) ** 2


def denoise_weights(
    counts: Floats,
    noise_variance: float,
    *,
    scale: float = ROW_SCALE,
    cells: int = 80,
    steps: int = 60,
) -> tuple[Floats, Floats, Floats]:
    """Estimate item weights under a mixture prior learnt from the noisy counts themselves.

    The likelihood is N(count; c, noise + s c): Gaussian noise and the spread of row scales s. The
    prior over a logarithmic grid is learnt by EM, each step smoothed so that it stays a density.

    Args:
        counts: Noisy counts, shape (I,).
        noise_variance: Variance of the noise in a count.
        scale: Typical scale s of a row.
        cells: Size of the grid.
        steps: EM steps.

    Returns:
        Posterior mean of the weight, of its logarithm, and its posterior variance, each (I,).
    """
    log_grid, likelihood = weight_likelihood(counts, noise_variance, scale=scale, cells=cells)
    grid = np.exp(log_grid)
    smoother = np.exp(-0.5 * (np.subtract.outer(np.arange(cells), np.arange(cells)) / 4.0) ** 2)
    smoother /= smoother.sum(axis=0)
    prior = np.full(cells, 1.0 / cells)
    for _ in range(steps):
        prior = smoother @ (prior * (likelihood.T @ (1.0 / (likelihood @ prior)))) / len(counts)
    posterior = likelihood * prior
    posterior /= posterior.sum(axis=1, keepdims=True)
    weight = posterior @ grid
    return weight, posterior @ log_grid, np.maximum(posterior @ grid**2 - weight**2, 0.0)


def mean_sd(catalogue: Catalogue) -> float:
    """Give the prior standard deviation of item means about their regression."""
    return MEAN_SD if catalogue.tells_items_apart else MEAN_SD_BARE


def mean_variance(
    statistics: ItemStatistics,
    noise_std: float,
    users: int,
    count_scale: float,
    prior_sd: float = MEAN_SD,
) -> Floats:
    """Give the posterior variance of item means after `item_sums`, shape (I,).

    Args:
        statistics: Of the whole catalogue; where nothing is known, the prior variance comes back.
        noise_std: Standard deviation of the noise in each coordinate of the sums.
        users: People in the sum.
        count_scale: As on the devices.
        prior_sd: What `mean_sd` says of the catalogue.
    """
    scale = row_scale(float(statistics.weight.sum()), users, count_scale)
    weight = np.maximum(statistics.weight, 1e-6)
    variance = (noise_std**2 + RATING_VARIANCE * scale * weight) / weight**2
    return np.asarray(1.0 / (1.0 / prior_sd**2 + 1.0 / variance))


def weight_likelihood(
    counts: Floats, noise_variance: float, *, scale: float = ROW_SCALE, cells: int = 80
) -> tuple[Floats, Floats]:
    """Return a grid of log weights, (G,), and how likely each makes a noisy count, (I, G).

    Every row is relative to its own maximum.
    """
    top = max(60.0, 1.2 * float(counts.max(initial=0.0)))
    log_grid = np.linspace(np.log(0.05), np.log(top), cells)
    grid = np.exp(log_grid)
    spread = noise_variance + scale * grid + 1e-4
    log_likelihood = -0.5 * (counts[:, None] - grid) ** 2 / spread - 0.5 * np.log(spread)  # (I, G)
    likelihood = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    return log_grid, likelihood


def denoise_means(
    raw: Floats, variance: Floats, popularity: Floats, catalogue: Catalogue
) -> Floats:
    """Shrink noisy item means towards their regression on popularity and public features.

    Args:
        raw: Noisy means, shape (I,).
        variance: Known variance of each, shape (I,).
        popularity: Standardised log weight, shape (I,).
        catalogue: Public features.

    Returns:
        Posterior means, shape (I,).

    Source: RECIPE R1, step 2; Fay and Herriot (1979).
    """
    design = np.column_stack([np.ones(len(raw)), popularity, popularity**2, catalogue.features])
    precision = np.concatenate([[0.01, 1.0, 4.0], np.empty(catalogue.features.shape[1])])
    for block in catalogue.blocks:
        precision[3 + block.start : 3 + block.stop] = MEAN_PRECISION[block.kind]
    spread = mean_sd(catalogue) ** 2
    omega = 1.0 / (spread + variance)
    weighted = design * omega[:, None]
    beta = np.linalg.solve(weighted.T @ design + np.diag(precision), weighted.T @ raw)
    fitted = design @ beta
    return np.asarray(fitted + spread * omega * (raw - fitted))
