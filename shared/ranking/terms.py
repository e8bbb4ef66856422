# SPDX-License-Identifier: Apache-2.0
"""What devices answer about M and about the items' own terms: gradients of their choices.

`rank_bilinear` asks for the gradient in M, averaged over the owner's contexts. `rank_items` asks
for the gradient in δ_j at the items that the owner chose or was compared with, as rows: one number
for the item, k for its factors.
"""

import numpy as np

from shared.model.interest import InterestModel
from shared.privacy.query import SparseVector
from shared.ranking.contexts import Contexts, tilt
from shared.ranking.scores import ItemSide
from shared.schema import Floats, Ints


def rank_bilinear_vector(contexts: Contexts | None, side: ItemSide, model: InterestModel) -> Floats:
    """Answer `rank_bilinear`: mean over contexts of c (x_chosen − expected x)ᵀ, (p²,). Private."""
    if contexts is None:
        return np.zeros(model.bilinear.size)
    surprise = contexts.surprise
    pull = surprise[:, :1] * side.vectors[contexts.chosen]
    pull = pull + surprise[:, 1:] @ side.vectors[contexts.negatives]  # (C, p)
    return np.asarray(contexts.taste.T @ pull / len(pull)).ravel()


def rank_items_vector(contexts: Contexts | None, model: InterestModel, place: Ints) -> SparseVector:
    """Answer `rank_items`: Σ over contexts of surprise · (1, Uᵀ(c − c̄)) at each item. Private.

    Args:
        contexts: The owner's choices; None where the history is too short. Private.
        model: The shared model.
        place: Row of each item in the vector, (I,); -1 where the item has no term of its own.

    Returns:
        A vector of dimension rows·(1 + k), not yet scaled to its norm.
    """
    width = model.items.shape[1]
    dimension = (int(place.max(initial=-1)) + 1) * width
    if contexts is None:
        return SparseVector(dimension, np.zeros(0, dtype=np.int64), np.zeros(0))
    factors = tilt(model, contexts.taste)  # (C, 1 + k)
    surprise = contexts.surprise
    rows = np.concatenate([surprise[:, :1] * factors, surprise[:, 1:].T @ factors])
    places = place[np.concatenate([contexts.chosen, contexts.negatives])]
    kept = places >= 0
    indices = places[kept, None] * width + np.arange(width)
    return SparseVector(dimension, indices.ravel(), rows[kept].ravel())
