# SPDX-License-Identifier: Apache-2.0
"""The network of the shared trunk in numpy: one hidden layer, one linear head a task.

h = tanh(W [Uᵀw, p, v_j] + b); head_r, head_c: ⟨a_task, h⟩. The heads start at zero, so round 0 is
exactly the closed-form model and a network that learns nothing costs nothing. Devices and the
simulator predict with this file; only training needs torch (`shared.gradients`). Its parameters
travel as one flat vector, in the order of `NetworkShape.split`.

Source: Caruana (1997), "Multitask Learning": tasks that share a hidden layer.
"""

from dataclasses import dataclass

import numpy as np

from shared.errors import DataError
from shared.schema import Floats

HIDDEN_UNITS = 16
SQUARED_TASKS = ("rating", "comment")
"""Tasks with squared loss; a head more is a name more in `NetworkShape.heads`."""


@dataclass(frozen=True)
class Weights:
    """Parameters of the network by name; public."""

    hidden: Floats
    """W, (H, in)."""
    bias: Floats
    """b, (H,)."""
    heads: Floats
    """One row of weights a task, (Q, H)."""


@dataclass(frozen=True)
class NetworkShape:
    """The sizes that fix the layout of the flat parameter vector; public, part of the model."""

    factors: int
    """k, directions in which people differ most."""
    profile: int
    """Length of the profile p_u."""
    features: int
    """K, length of an item vector v_j."""
    hidden: int = HIDDEN_UNITS
    heads: tuple[str, ...] = SQUARED_TASKS

    @property
    def inputs(self) -> int:
        """Length of one input row [Uᵀw, p, v_j]."""
        return self.factors + self.profile + self.features

    @property
    def size(self) -> int:
        """Length d of the flat parameter vector: query `trunk_network` has this dimension."""
        return self.hidden * (self.inputs + 1 + len(self.heads))

    def split(self, flat: Floats) -> Weights:
        """Give the flat vector (d,) its names: W row by row, b, heads row by row.

        Raises:
            DataError: The vector has another length than this shape.
        """
        if flat.shape != (self.size,):
            raise DataError(
                f"network parameters must have shape ({self.size},), got {flat.shape}.",
                hint="Use a model file whose sizes match this catalogue and prior.",
            )
        hidden, bias, heads = np.split(flat, np.cumsum([self.hidden * self.inputs, self.hidden]))
        return Weights(
            hidden.reshape(self.hidden, self.inputs),
            bias,
            heads.reshape(len(self.heads), self.hidden),
        )

    def join(self, weights: Weights) -> Floats:
        """Undo `split`."""
        return np.concatenate([weights.hidden.ravel(), weights.bias, weights.heads.ravel()])


@dataclass(frozen=True)
class Network:
    """A trained network as it is released; public."""

    shape: NetworkShape
    directions: Floats
    """U, (K, k): what a user vector is seen through."""
    parameters: Floats
    """Flat, (d,)."""


def initial_network(shape: NetworkShape, seed: int) -> Floats:
    """Draw the public initial weights: hidden layer N(0, 1), bias and heads zero.

    The three input blocks have norms about 1, so unit weights put the hidden units where tanh
    bends; with the usual 1/√in they would start as a nearly linear, nearly constant layer.

    Args:
        shape: Sizes of the network.
        seed: Carried in the public model, so that everybody can redraw them.

    Returns:
        Flat parameters, shape (d,), float64. Public.
    """
    hidden = np.random.default_rng(seed).standard_normal((shape.hidden, shape.inputs))
    zeros = np.zeros((len(shape.heads), shape.hidden))
    return shape.join(Weights(hidden, np.zeros(shape.hidden), zeros))


def join_inputs(factors: Floats, profile: Floats, item_vectors: Floats) -> Floats:
    """Stack the input rows [Uᵀw, p, v_j] of some (user, item) pairs.

    Args:
        factors: Uᵀw_u: shape (n, k) leave-one-out in training, (k,) when predicting. Private.
        profile: p_u: shape (n, P) leave-one-out in training, (P,) when predicting. Private.
        item_vectors: v_j of the n items, shape (n, K). Public.

    Returns:
        Inputs, shape (n, in). Private.
    """
    rows = len(item_vectors)
    parts = (np.broadcast_to(part, (rows, part.shape[-1])) for part in (factors, profile))
    return np.concatenate([*parts, item_vectors], axis=1)


def network_forward(weights: Weights, inputs: Floats) -> Floats:
    """Evaluate all heads.

    Args:
        weights: The network.
        inputs: Rows of `join_inputs`, shape (n, in).

    Returns:
        What each head adds to its task's prediction, shape (n, Q), in the order of the shape.
    """
    hidden: Floats = np.tanh(inputs @ weights.hidden.T + weights.bias)
    return hidden @ weights.heads.T
