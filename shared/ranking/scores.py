# SPDX-License-Identifier: Apache-2.0
"""The scores that interest weighs: how well an item fits what an owner took up so far.

Each score compares a candidate with the owner's history in time order: likeness by text, category,
time, all three, and learned factors, recent events counting more; popularity and mean rating;
closeness of both to what the owner takes up. One function serves a device that scores its
catalogue (one context, the whole history) and a device that learns (many contexts, the prefixes of
its history), so that both compute the same numbers.

Axes: n events of the history, C contexts, N candidates, S scores.

Source: RECIPE RANKING. Rendle et al. (2010), "Factorizing personalized Markov chains", for ranking
by the recent history.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.catalogue import Catalogue
from shared.model.interest import NAMES, InterestModel
from shared.schema import Floats, Ints

LATEST = 10
"""Events among which the single most alike is sought."""
USUAL_LENGTH = 60.0
"""Length of a history at which popularity is worth what θ says."""
SCALE = {
    "text_recent": 30.0,
    "text_all": 30.0,
    "category_recent": 6.0,
    "time_latest": 5.0,
    "time_recent": 5.0,
    "time_all": 5.0,
    "age_latest": 4.0,
    "joint_latest": 30.0,
    "joint_recent": 30.0,
    "joint_all": 30.0,
    "joint_best": 10.0,
    "learned_latest": 0.5,
    "learned_recent": 0.5,
}
"""Brings a score to about unit spread over a catalogue; 1 where nothing is said. θ is then of
order 1, and one ridge suits all scores."""


@dataclass(frozen=True)
class ItemSide:
    """What the scores need of every item, computed once a model; public."""

    text: npt.NDArray[np.float32]
    """Unit text vectors, (I, D); float32, because reading them is what a large catalogue costs."""
    categories: Floats
    """Unit category vectors, (I, G)."""
    log_age: Floats
    age: Floats
    """Years before the catalogue's end, (I,)."""
    popularity: Floats
    liking: Floats
    learned: Floats
    """Factors in units of their spread, (I, k)."""
    vectors: Floats
    """Whitened item vectors x, (I, p)."""
    ages: Floats
    """Distinct ages, (A,)."""
    age_place: Ints
    """Which of them an item has, (I,)."""

    @classmethod
    def of(cls, catalogue: Catalogue, model: InterestModel) -> "ItemSide":
        """Gather it from a catalogue and a model."""
        age = np.expm1(catalogue.log_age)
        ages, place = np.unique(age, return_inverse=True)
        return cls(
            catalogue.text.astype(np.float32),
            catalogue.categories,
            catalogue.log_age,
            age,
            model.popularity,
            model.liking,
            model.learned,
            model.vectors(catalogue),
            ages,
            place,
        )


def context_scores(side: ItemSide, history: Ints, ends: Ints, candidates: Ints) -> Floats:
    """Score candidates in several contexts: after the first `ends[c]` events of the history.

    Args:
        side: Public item arrays.
        history: Items, oldest first, (n,). Private.
        ends: Length of the prefix that each context knows, (C,), each in 0..n.
        candidates: Items to score, (N,).

    Returns:
        Scores, (S, C, N), in the order of `shared.model.interest.NAMES`. Private.
    """
    text, category, years, ages, joint = _likenesses(side, history, candidates)
    decays = {a: decay(history, ends, a) for a in (0.5, 0.7, 0.9, 1.0)}
    w7, w9, w1 = decays[0.7], decays[0.9], decays[1.0]
    z, m = side.popularity[candidates], side.liking[candidates]
    length = np.log(np.maximum(ends, 1) / USUAL_LENGTH)[:, None]
    past = np.column_stack([side.popularity[history], side.liking[history]])  # (n, 2)
    near = {a: decays[a] @ past for a in (0.5, 0.9)}  # (C, 2)
    flat = np.ones((len(ends), 1))
    some = (ends > 0).astype(np.float64)[:, None]  # nothing is near a history without events
    own, other = side.learned[history], side.learned[candidates].T
    columns = {
        "text_recent": w9 @ text,
        "text_all": w1 @ text,
        "category_recent": w9 @ category,
        "time_latest": w7 @ years,
        "time_recent": w9 @ years,
        "time_all": w1 @ years,
        "age_latest": w7 @ ages,
        "joint_latest": w7 @ joint,
        "joint_recent": w9 @ joint,
        "joint_all": w1 @ joint,
        "joint_best": _best(joint, ends),
        "popularity": flat * z,
        "popularity_squared": flat * z**2,
        "liking": flat * m,
        "popularity_length": length * z,
        "liking_length": length * m,
        "popularity_near_latest": -some * np.abs(z - near[0.5][:, :1]),
        "popularity_near_recent": -some * np.abs(z - near[0.9][:, :1]),
        "liking_near_latest": -some * np.abs(m - near[0.5][:, 1:]),
        "liking_near_recent": -some * np.abs(m - near[0.9][:, 1:]),
        "learned_latest": (w7 @ own) @ other,
        "learned_recent": (w9 @ own) @ other,
    }
    scores = np.empty((len(NAMES), len(ends), len(candidates)))
    for row, name in zip(scores, NAMES, strict=True):
        np.multiply(columns[name], SCALE.get(name, 1.0), out=row)
    return scores


def decay(history: Ints, ends: Ints, recency: float) -> Floats:
    """Return weights of events in each context, (C, n): rows sum to 1, events to come weigh 0.

    Example:
        >>> decay(np.array([7, 8, 9]), np.array([2]), 0.5).round(3).tolist()
        [[0.333, 0.667, 0.0]]
    """
    ago = ends[:, None] - 1 - np.arange(len(history))  # (C, n)
    powers = np.append(recency ** np.arange(len(history)), 0.0)
    weights = powers[np.where(ago >= 0, ago, -1)]
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12))


def _likenesses(side: ItemSide, history: Ints, candidates: Ints) -> tuple[Floats, ...]:
    """Compare every event with every candidate: text, category, years, age, all three, (n, N)."""
    text = (side.text[history] @ side.text[candidates].T).astype(np.float64)
    category = side.categories[history] @ side.categories[candidates].T
    years = np.exp(-0.5 * np.abs(side.age[history][:, None] - side.age[candidates]))
    gap = (side.log_age[history][:, None] - side.log_age[candidates]) ** 2
    joint = np.exp(2.0 * (text + category) - 4.0 - 0.5 * gap)
    return text, category, years, np.exp(-gap), joint


def _best(joint: Floats, ends: Ints) -> Floats:
    """Return the largest likeness among the latest events of each context, (C, N)."""
    best = np.zeros((len(ends), joint.shape[1]))
    for back in range(1, LATEST + 1):
        there = ends >= back
        best[there] = np.maximum(best[there], joint[ends[there] - back])
    return best
