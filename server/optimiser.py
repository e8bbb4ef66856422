# SPDX-License-Identifier: Apache-2.0
"""The server's step for the network block: Adam on noisy means, and averaging of the iterates.

Everything here is post-processing of released sums: it costs no privacy. The divisor is the
*public* number of survivors, never a count that devices report. The iterate that is published is
a polynomial-decay average: it forgets the start and needs no choice of a best round, which would
be a look at private data.

Source: Kingma and Ba (2015), Algorithm 1; Shamir and Zhang (2013), "Stochastic Gradient Descent
for Non-smooth Optimization", §3.3 (η = 8, as De et al. 2022 use it under privacy).
"""

from dataclasses import dataclass

import numpy as np

from shared.errors import DataError
from shared.schema import Floats


@dataclass(frozen=True)
class AdamSettings:
    """Public constants of the step."""

    rate: float = 0.05
    momentum: float = 0.9
    decay: float = 0.99
    floor: float = 1e-6
    """Added to the root of the second moment."""
    averaging: float = 8.0
    """η of the average; larger forgets the first rounds faster."""


@dataclass(frozen=True)
class NetworkState:
    """All that the server remembers of the network between rounds; public, five arrays."""

    parameters: Floats
    """Last iterate, (d,): what the next round's gradients are taken at."""
    average: Floats
    """Average of the iterates, (d,): what is predicted with and released."""
    first: Floats
    """Adam's mean of gradients, (d,)."""
    second: Floats
    """Adam's mean of squared gradients, (d,)."""
    rounds: int
    """Steps taken."""


def initial_state(parameters: Floats) -> NetworkState:
    """Start from the public initial weights (d,)."""
    zeros = np.zeros_like(parameters)
    return NetworkState(parameters, parameters, zeros, zeros, 0)


def network_step(
    state: NetworkState,
    noisy_sum: Floats,
    survivors: int,
    settings: AdamSettings,
    *,
    noise_std: float = 0.0,
    blocks: tuple[int, ...] = (),
) -> NetworkState:
    """Take one step against the mean trunk gradient of the cohort.

    Args:
        state: Where the last round ended.
        noisy_sum: Decoded sum of the survivors' clipped gradients, minimiser's sign, shape (d,).
        survivors: Number of devices in that sum; public.
        settings: Public constants.
        noise_std: Standard deviation of the noise in each coordinate of the sum; 0 without privacy.
        blocks: Lengths of the parts that are shrunk each for itself; one part where empty.

    Returns:
        The next state. Public: made of released sums only.

    Raises:
        DataError: The sum has another shape than the parameters, is not finite, or nobody is in it.
    """
    if survivors < 1 or noisy_sum.shape != state.parameters.shape:
        raise DataError(
            f"a network step needs at least 1 survivor and a sum of shape "
            f"{state.parameters.shape}, got {survivors} and {noisy_sum.shape}.",
            hint="Keep the last model and open a new round.",
        )
    if not np.isfinite(noisy_sum).all():
        raise DataError(
            "the decoded sum must be finite, got NaN or infinity.",
            hint="Keep the last model and open a new round.",
        )
    gradient = noisy_sum / survivors
    rounds = state.rounds + 1
    first = settings.momentum * state.first + (1.0 - settings.momentum) * gradient
    second = settings.decay * state.second + (1.0 - settings.decay) * gradient**2
    mean = first / (1.0 - settings.momentum**rounds)
    root = np.sqrt(second / (1.0 - settings.decay**rounds))
    signal = signal_share(mean, (noise_std / survivors) ** 2 * _kept(settings, rounds), blocks)
    parameters = state.parameters - settings.rate * signal * mean / (root + settings.floor)
    newest = min(1.0, (1.0 + settings.averaging) / (rounds + settings.averaging))
    average = (1.0 - newest) * state.average + newest * parameters
    return NetworkState(parameters, average, first, second, rounds)


def signal_share(mean: Floats, variance: float, blocks: tuple[int, ...]) -> Floats:
    """Estimate how much of each part of a noisy mean is signal, from the known noise.

    Adam divides by the size of what it sees, so pure noise would move every parameter by the whole
    rate. The positive part of James and Stein's factor, 1 − d·variance/‖mean‖², takes that back.

    Args:
        mean: Noisy mean gradient, shape (d,).
        variance: Variance of the noise in each coordinate.
        blocks: Lengths of the parts, summing to d; one part where empty.

    Returns:
        A factor in [0, 1] for each coordinate, equal within a part, shape (d,).

    Source: James and Stein (1961), "Estimation with Quadratic Loss".
    """
    share = np.ones(len(mean))
    start = 0
    for size in blocks or (len(mean),):
        part = mean[start : start + size]
        norm = max(float(part @ part), 1e-300)
        share[start : start + size] = max(0.0, 1.0 - size * variance / norm)
        start += size
    return share


def _kept(settings: AdamSettings, rounds: int) -> float:
    """Sum of squared weights of Adam's bias-corrected mean: the noise that averaging leaves."""
    kept = settings.momentum
    squares = (1.0 - kept) ** 2 * (1.0 - kept ** (2 * rounds)) / (1.0 - kept**2)
    return float(squares / (1.0 - kept**rounds) ** 2)
