# SPDX-License-Identifier: Apache-2.0
"""Recommendations for one owner, with their reasons, computed on the device and kept there.

    shortlist   all items by the cheap linear part of the score (exact up to 1,000 items)
    score       the full interest score of the shortlist, less what the owner wants less of
    diversify   each next item must add something to those above it
    explain     the terms of the score in which an item leads, and the ratings behind them

Before the first model arrives the same code runs on public features alone: text likeness ranks,
and the ridge of the owner's own ratings predicts. Numpy only: neither torch nor flwr.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from client.scoring import (
    RECENT,
    TERMS,
    Contributions,
    Model,
    alike,
    contributions,
    interest_terms,
    stars,
)
from client.training import History
from shared.ranking import recency_weights
from shared.schema import Floats, Ints

SHORTLIST = 1000
"""Items that are scored in full; below that number every item is."""
DIVERSITY = 0.3
"""Weight of being unlike the items above; 0 ranks by score alone."""
LESS = 2.0
"""How far "less like this" moves an item that is quite alike, in standard deviations of score."""
REASONS = 2
"""Reasons given for an item."""


@dataclass(frozen=True)
class Reason:
    """One reason, without words: the page and the commands put it into the owner's language."""

    kind: str
    """A term of the score: "popularity", "text", "category", "time"; or "new" without history."""
    item: int | None = None
    """Rated item behind it, a row of the catalogue."""
    categories: tuple[int, ...] = ()
    """Columns of the categories that both share, for kind "category"."""


@dataclass(frozen=True)
class Recommendation:
    """One item for the owner; private."""

    item: int
    """Row of the catalogue."""
    score: float
    """Interest, comparable within one list only."""
    rating: float
    """Predicted rating in r', not clipped."""
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Explanation:
    """Why one item is predicted as it is; private."""

    item: int
    rating: float
    """Predicted rating in r', not clipped."""
    base: float
    """What a person without a history would give it, in r'."""
    because: tuple[tuple[int, float], ...]
    """Rated items and what each adds to the rating in r', the largest first."""
    rest: float
    """What all other ratings add together, in r'."""
    reasons: tuple[Reason, ...]


def recommend(
    model: Model,
    history: History,
    k: int = 10,
    *,
    diversity: float = DIVERSITY,
    less: Ints | None = None,
) -> list[Recommendation]:
    """Recommend items that the owner has not rated.

    Args:
        model: The released model, or `client.scoring.local_model`.
        history: The owner's ratings, oldest first. Private.
        k: Most items wanted, at least 1.
        diversity: 0 ranks by score alone, 1 by being unlike what stands above alone.
        less: Items of which the owner wants less, rows; never recommended. Private.

    Returns:
        At most k items, the best first, each with its reasons. Private.

    Source: Carbonell and Goldstein (1998), "The Use of MMR", for `diversity`.
    """
    less = np.zeros(0, dtype=np.int64) if less is None else less
    near = _Near.of(model, history, less)
    terms = interest_terms(near.model, near.history.items)
    score = terms.sum(axis=0)
    if len(less):
        every = np.arange(len(near.rows))
        penalty = alike(near.model, every, near.less).max(axis=1)
        score = score - LESS * float(score.std()) * penalty
    chosen = diversified(near.model, near.order(score), score, k, diversity)
    predicted = stars(near.model, near.history, chosen)
    return [
        Recommendation(
            int(near.rows[place]), float(score[place]), float(rating), _reasons(near, terms, place)
        )
        for place, rating in zip(chosen.tolist(), predicted, strict=True)
    ]


@dataclass(frozen=True)
class _Near:
    """The part of the catalogue that is looked at in full: shortlist, history, unwanted items."""

    model: Model
    rows: Ints
    """Rows in the whole catalogue, ascending."""
    history: History
    """The owner's ratings; items are places in `rows`."""
    less: Ints
    """Unwanted items, places in `rows`."""

    @classmethod
    def of(cls, model: Model, history: History, more: Ints) -> "_Near":
        """Restrict the model; no score of an item that stays changes."""
        rows = shortlist(model, history.items, always=np.concatenate([history.items, more]))
        near = model if len(rows) == len(model.catalogue) else model.restricted(rows)
        moved = History(np.searchsorted(rows, history.items), history.ratings)
        return cls(near, rows, moved, np.searchsorted(rows, more))

    def order(self, score: Floats) -> Ints:
        """Return the places of items neither rated nor unwanted, the best first."""
        free = np.ones(len(self.rows), dtype=bool)
        free[self.history.items] = False
        free[self.less] = False
        places = np.flatnonzero(free)
        return np.asarray(places[np.argsort(-score[places], kind="stable")])


def shortlist(model: Model, history: Ints, size: int = SHORTLIST, *, always: Ints) -> Ints:
    """Choose the items worth a full score, by a linear form over their public features.

    The text term is read off the principal components of the text instead of the full vectors.

    Args:
        model: The model.
        history: Rated items, oldest first. Private.
        size: Items to keep.
        always: Items that are kept whatever their score.

    Returns:
        Rows in ascending order; all rows where the catalogue has at most `size` items.
    """
    items = len(model.catalogue)
    if items <= size:
        return np.arange(items)
    features, rough = model.catalogue.features, model.tower.log_weight
    if len(history):
        rough = rough + features @ (recency_weights(len(history)) @ features[history])
    kept = np.zeros(items, dtype=bool)
    kept[np.argpartition(-rough, size)[:size]] = True
    kept[always] = True
    return np.flatnonzero(kept)


def diversified(model: Model, order: Ints, score: Floats, k: int, diversity: float) -> Ints:
    """Choose k items greedily: a high score, and unlike those chosen before (MMR).

    Args:
        model: The model whose rows `order` names.
        order: Candidates, the best first.
        score: Interest of every row.
        k: Items wanted.
        diversity: Weight of unlikeness in [0, 1].

    Returns:
        Rows of the chosen items, at most k.
    """
    pool = order[: max(10 * k, 50)]
    if diversity <= 0.0 or len(pool) <= 1:
        return pool[:k]
    spread = max(float(score[pool].max() - score[pool].min()), 1e-12)
    relevance = (score[pool] - score[pool].min()) / spread
    nearest = np.zeros(len(pool))
    left = np.ones(len(pool), dtype=bool)
    chosen: list[int] = []
    for _ in range(min(k, len(pool))):
        gain = np.where(left, (1.0 - diversity) * relevance - diversity * nearest, -np.inf)
        best = int(np.argmax(gain))
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, alike(model, pool, pool[best : best + 1])[:, 0])
    return np.asarray(pool[chosen])


def explain(model: Model, history: History, item: int, *, most: int = 5) -> Explanation:
    """Explain one predicted rating: exactly, as a sum over the owner's own ratings.

    Args:
        model: The released model, or `client.scoring.local_model`.
        history: The owner's ratings, oldest first. Private.
        item: Row of the catalogue.
        most: Ratings named one by one.

    Returns:
        The split; base + named parts + rest is the rating. Private.
    """
    near = _Near.of(model, history, np.array([item]))
    place = int(near.less[0])
    split = contributions(near.model, near.history, place)
    top = np.argsort(-np.abs(split.parts), kind="stable")[:most]
    named = tuple((int(near.rows[split.items[i]]), float(split.parts[i])) for i in top)
    return Explanation(
        item=item,
        rating=split.base + float(split.parts.sum()),
        base=split.base,
        because=named,
        rest=_rest(split, named),
        reasons=_reasons(near, interest_terms(near.model, near.history.items), place),
    )


def _rest(split: Contributions, named: Sequence[tuple[int, float]]) -> float:
    """Return what the ratings that are not named add."""
    return float(split.parts.sum()) - sum(part for _, part in named)


def _reasons(near: _Near, terms: Floats, place: int) -> tuple[Reason, ...]:
    """Name the terms in which an item leads most over the average candidate."""
    lead = terms[:, place] - terms.mean(axis=1)
    best = [row for row in np.argsort(-lead, kind="stable")[:REASONS] if lead[row] > 0]
    found = [_reason(near, TERMS[row], place) for row in best]
    return tuple(found) or (Reason("new"),)


def _reason(near: _Near, kind: str, place: int) -> Reason:
    """Find the rated item behind one term."""
    history, catalogue = near.history.items, near.model.catalogue
    if kind == "popularity":
        return Reason(kind)
    if kind == "time":
        recent = history[-RECENT:]
        gaps = np.abs(catalogue.log_age[recent] - catalogue.log_age[place])
        return Reason(kind, int(near.rows[recent[np.argmin(gaps)]]))
    weights = recency_weights(len(history))
    vectors = catalogue.text if kind == "text" else catalogue.categories
    nearest = int(history[np.argmax(weights * (vectors[history] @ vectors[place]))])
    shared = np.zeros(0, dtype=np.int64)
    if kind == "category":
        shared = np.flatnonzero(catalogue.categories[nearest] * catalogue.categories[place])
    return Reason(kind, int(near.rows[nearest]), tuple(shared.tolist()))
