# SPDX-License-Identifier: Apache-2.0
"""What a device learns interest from: its owner's own choices, each against items not chosen.

A context is a moment of the history: the owner knew the events before it and took up the next one.
The loss is that of a choice among the item taken up and negatives drawn uniformly from outside the
whole history; negatives that excluded anything else would leak what is held out.

Source: RECIPE RANKING. McFadden (1974) for the choice model; Rendle et al. (2009), "BPR", for
negatives from what was not taken up.
"""

from dataclasses import dataclass

import numpy as np

from shared.model.interest import InterestModel
from shared.ranking.scores import ItemSide, context_scores, decay
from shared.schema import Floats, Ints

CONTEXTS, PREFIX = 60, 3
"""Contexts are the newest 60 events that have 3 events before them."""
NEGATIVES = 150
"""Negatives of one owner, shared by all contexts: one comparison with the history serves all."""
TASTE_RECENCY, TASTE_SCALE = 0.8, 1.5
"""c = 1.5 · EMA of the vectors of the history."""
TILT_CLAMP = 3.0
"""Factors of a context, of unit spread, are clamped to ±3."""


@dataclass(frozen=True)
class Contexts:
    """The choices of one owner; private."""

    chosen: Ints
    """Item taken up in each context, (C,)."""
    negatives: Ints
    """Items never taken up, (P,)."""
    scores: Floats
    """Scores of the chosen item, then of the negatives, (S, C, 1 + P)."""
    taste: Floats
    """Recent taste c before each choice, (C, p)."""
    probability: Floats
    """What the model thinks of each candidate, rows sum to 1, (C, 1 + P)."""

    @property
    def surprise(self) -> Floats:
        """1[chosen] − probability: minus the gradient of the loss in the interest, (C, 1 + P)."""
        gradient = -self.probability
        gradient[:, 0] += 1.0
        return gradient


def contexts_of(side: ItemSide, model: InterestModel, history: Ints) -> Contexts | None:
    """Return the choices of one owner under a model; None where the history is too short.

    Args:
        side: Public item arrays of the model.
        model: The shared model, whose θ stands for the owner's.
        history: Items, oldest first, (n,), each once. Private.
    """
    ends = np.arange(max(PREFIX, len(history) - CONTEXTS), len(history))
    negatives = draw_negatives(history, len(side.popularity))
    if not len(ends) or not len(negatives):
        return None
    candidates = np.concatenate([history[ends], negatives])
    scores = _own(context_scores(side, history, ends, candidates))
    c = taste(side, history, ends)
    interest = np.tensordot(model.weights, scores, 1) + _own(
        shared_terms(side, model, c, candidates)
    )
    probability = np.exp(interest - interest.max(axis=1, keepdims=True))
    probability /= probability.sum(axis=1, keepdims=True)
    return Contexts(history[ends], negatives, scores, c, probability)


def draw_negatives(history: Ints, items: int) -> Ints:
    """Draw items from outside the history, uniformly, (P,): the same for the same history.

    The seed is the history itself: private as the vector is, and nothing else can tell it.
    """
    outside = np.ones(items, dtype=np.bool_)
    outside[history] = False
    free = np.flatnonzero(outside)
    rng = np.random.default_rng(history.tolist())
    return rng.choice(free, min(NEGATIVES, len(free)), replace=False)


def taste(side: ItemSide, history: Ints, ends: Ints) -> Floats:
    """Return c of each context, (C, p)."""
    return TASTE_SCALE * decay(history, ends, TASTE_RECENCY) @ side.vectors[history]


def tilt(model: InterestModel, c: Floats) -> Floats:
    """Return (1, Uᵀ(c − c̄)), clamped, (C, 1 + k): what an item's own terms are multiplied with."""
    factors = np.clip((c - model.centre) @ model.directions, -TILT_CLAMP, TILT_CLAMP)
    return np.column_stack([np.ones(len(c)), factors])


def shared_terms(
    side: ItemSide, model: InterestModel, c: Floats, candidates: Ints | slice
) -> Floats:
    """Return cᵀ M x + ⟨δ, (1, Uᵀ(c − c̄))⟩ of candidates in contexts, (C, N)."""
    likeness = (c @ model.bilinear) @ side.vectors[candidates].T
    return np.asarray(likeness + tilt(model, c) @ model.items[candidates].T)


def _own(table: Floats) -> Floats:
    """Keep, of (..., C, C + P), what each context needs: its own choice, then the negatives."""
    every = np.arange(table.shape[-2])
    own = table[..., every, every]
    return np.concatenate([own[..., None], table[..., len(every) :]], axis=-1)
