# SPDX-License-Identifier: Apache-2.0
"""The user vector: Bayesian linear regression on one device, with exact leave-one-out.

Target y = r' − offset, y = V w + noise, w ~ N(0, S). Everything is closed form, so a device needs
no local epochs, and "as if this rating had never happened" is an identity, not a second fit.

Source: Bishop (2006), "Pattern Recognition and Machine Learning", §3.3; Rasmussen and Williams
(2006), "Gaussian Processes", §5.4.2, for leave-one-out.
"""

from dataclasses import dataclass

import numpy as np

from shared.schema import Floats

NOISE_VARIANCE = 0.9
"""Variance of a rating about the ridge's prediction, in r'."""
LEVERAGE_CAP = 0.95
"""Releases cap the leverage of a rating, so that no residual explodes."""


@dataclass(frozen=True)
class Posterior:
    """A user vector with its uncertainty; private, never leaves the device."""

    mean: Floats
    """User vector w_u, (K,)."""
    covariance: Floats
    """Posterior covariance, (K, K)."""


@dataclass(frozen=True)
class LeaveOneOut:
    """For each rating, what the device would know had it never happened; private."""

    residual: Floats
    """Rating minus prediction, (n,)."""
    vectors: Floats
    """User vectors, one a rating, (n, K)."""


def posterior(
    features: Floats, target: Floats, precision: Floats, *, noise: float = NOISE_VARIANCE
) -> Posterior:
    """Solve for the user vector.

    Args:
        features: Item vectors of the rated items, shape (n, K); n may be 0.
        target: r' minus offset, shape (n,). Private.
        precision: Inverse prior covariance S⁻¹, shape (K, K).
        noise: Noise variance s².

    Returns:
        V = (FᵀF/s² + S⁻¹)⁻¹ and w = V Fᵀ y / s².
    """
    covariance: Floats = np.asarray(np.linalg.inv(features.T @ features / noise + precision))
    return Posterior(covariance @ (features.T @ target) / noise, covariance)


def leave_one_out(
    features: Floats, target: Floats, solved: Posterior, *, noise: float = NOISE_VARIANCE
) -> LeaveOneOut:
    """Give every rating's residual and user vector as if that rating had never happened.

    Exact where the leverage is below the cap: h = f V f / s², e = (y − f w)/(1 − h),
    w₋ᵢ = w − V fᵢ eᵢ / s² (Sherman and Morrison).

    Args:
        features: Item vectors of the rated items, shape (n, K).
        target: r' minus offset, shape (n,). Private.
        solved: Their posterior.
        noise: Noise variance s², as in the posterior.

    Returns:
        Residuals (n,) and user vectors (n, K). Private.
    """
    gain = features @ solved.covariance / noise  # (n, K)
    leverage = np.minimum(np.einsum("nk,nk->n", gain, features), LEVERAGE_CAP)
    residual = (target - features @ solved.mean) / (1.0 - leverage)
    return LeaveOneOut(residual, solved.mean - gain * residual[:, None])
