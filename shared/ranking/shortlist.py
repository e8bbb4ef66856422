# SPDX-License-Identifier: Apache-2.0
"""A quick first pass over a large catalogue: every term of interest but the joint likeness.

The joint likeness compares each event of a history with each item; all other scores are linear in
a profile of the history, or a table over years, and take one pass over the item arrays. Of 10^5
items the best 500 are then scored in full.
"""

import numpy as np

from shared.model.interest import NAMES, InterestModel
from shared.ranking.contexts import shared_terms, taste
from shared.ranking.scores import SCALE, USUAL_LENGTH, ItemSide, decay
from shared.schema import Floats, Ints

SHORTLIST = 500
"""Items that are scored in full."""


def quick_scores(side: ItemSide, model: InterestModel, history: Ints, weights: Floats) -> Floats:
    """Score the whole catalogue, the four joint scores left out.

    Args:
        side: Public item arrays.
        model: The shared model.
        history: Items, oldest first, (n,). Private.
        weights: θ_u, (S,). Private.

    Returns:
        Scores, (I,). Private.
    """
    worth = {name: w * SCALE.get(name, 1.0) for name, w in zip(NAMES, weights, strict=True)}
    ends = np.array([len(history)])
    recent = {a: decay(history, ends, a)[0] for a in (0.5, 0.7, 0.9, 1.0)}  # (n,) each
    score = shared_terms(side, model, taste(side, history, ends), slice(None))[0]
    text = worth["text_recent"] * recent[0.9] + worth["text_all"] * recent[1.0]
    score += side.text @ (text.astype(np.float32) @ side.text[history])
    score += side.categories @ (worth["category_recent"] * recent[0.9] @ side.categories[history])
    learned = worth["learned_latest"] * recent[0.7] + worth["learned_recent"] * recent[0.9]
    score += side.learned @ (learned @ side.learned[history])
    score += _years(side, history, worth, recent)[side.age_place]
    return np.asarray(score + _levels(side, history, worth, recent))


def _years(
    side: ItemSide, history: Ints, worth: dict[str, float], recent: dict[float, Floats]
) -> Floats:
    """Return what each distinct age is worth, (A,)."""
    years = np.exp(-0.5 * np.abs(side.age[history][:, None] - side.ages))  # (n, A)
    gap = (side.log_age[history][:, None] - np.log1p(side.ages)) ** 2
    linear = worth["time_latest"] * recent[0.7] + worth["time_recent"] * recent[0.9]
    linear = linear + worth["time_all"] * recent[1.0]
    return np.asarray(linear @ years + worth["age_latest"] * recent[0.7] @ np.exp(-gap))


def _levels(
    side: ItemSide, history: Ints, worth: dict[str, float], recent: dict[float, Floats]
) -> Floats:
    """Return what popularity and mean rating are worth, by themselves and near the history's."""
    z, m = side.popularity, side.liking
    length = np.log(max(len(history), 1) / USUAL_LENGTH)
    score = (worth["popularity"] + length * worth["popularity_length"]) * z
    score += worth["popularity_squared"] * z**2
    score += (worth["liking"] + length * worth["liking_length"]) * m
    if not len(history):
        return np.asarray(score)
    for name, decayed in (("latest", recent[0.5]), ("recent", recent[0.9])):
        score -= worth[f"popularity_near_{name}"] * np.abs(z - decayed @ z[history])
        score -= worth[f"liking_near_{name}"] * np.abs(m - decayed @ m[history])
    return np.asarray(score)
