# SPDX-License-Identifier: Apache-2.0
"""θ, what each score is worth: a Newton step on the device, and its private mean over people.

The same step serves twice. With a strong ridge it makes the owner's own θ_u, which stays; its mean
over people, clipped, is query `rank_weights`, and moves the shared θ to where the steps of people
cancel: a step of expectation-maximisation for the mean of θ_u.
"""

from dataclasses import replace

import numpy as np

from shared.model.interest import NAMES, InterestModel
from shared.ranking.contexts import Contexts
from shared.schema import Floats

CLIPPING_NORM = 0.6
"""Clipping norm of `rank_weights`."""
RIDGE = 35.0
"""Precision of an owner's θ_u about the shared θ, in contexts."""
STEPS = 2
"""Newton steps to θ_u; the second changes little."""


def newton_step(contexts: Contexts, weights: Floats, prior: Floats, ridge: float) -> Floats:
    """Return (H + ridge I)⁻¹ (g − ridge (θ_u − θ)), (S,). Private.

    Args:
        contexts: Choices of one owner, their probabilities at `weights`. Private.
        weights: θ_u so far, (S,).
        prior: θ, (S,).
        ridge: Precision of θ_u about θ.
    """
    scores, probability = contexts.scores, contexts.probability
    expected = np.einsum("cj,scj->sc", probability, scores)
    gradient = (scores[:, :, 0] - expected).sum(axis=1) - ridge * (weights - prior)
    spread = (scores * np.sqrt(probability)).reshape(len(weights), -1)
    hessian = spread @ spread.T - expected @ expected.T
    return np.linalg.solve(hessian + ridge * np.eye(len(weights)), gradient)


def own_weights(contexts: Contexts | None, model: InterestModel) -> Floats:
    """Return θ_u, (S,): θ moved by the owner's own choices; free, and never sent. Private."""
    weights = model.weights
    if contexts is None:
        return weights
    for _ in range(STEPS):
        step = newton_step(contexts, weights, model.weights, RIDGE)
        weights = weights + step
        contexts = replace(contexts, probability=_moved(contexts, step))
    return weights


def rank_weights_vector(contexts: Contexts | None, model: InterestModel) -> Floats:
    """Answer `rank_weights`: the owner's first step away from the shared θ, (S,). Private."""
    if contexts is None:
        return np.zeros(len(NAMES))
    return newton_step(contexts, model.weights, model.weights, RIDGE)


def _moved(contexts: Contexts, step: Floats) -> Floats:
    """Return the probabilities after a step of the weights."""
    change = np.tensordot(step, contexts.scores, 1)
    moved = contexts.probability * np.exp(change - change.max(axis=1, keepdims=True))
    return np.asarray(moved / moved.sum(axis=1, keepdims=True))
