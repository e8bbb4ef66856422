# SPDX-License-Identifier: Apache-2.0
"""Recommendations for one owner, with their reasons, computed on the device and kept there.

    shortlist   all items by a cheap copy of the score (every item up to 700)
    score       the full interest score of the shortlist, less what the owner wants less of
    diversify   each next item must add something to those above it
    explain     the terms of the score in which an item leads, and the ratings behind them

Before the first model arrives the same code runs on public features alone: likeness ranks, and
the ridge of the owner's own ratings predicts. Numpy only: neither torch nor flwr.
"""

from dataclasses import dataclass, replace

import numpy as np

from client.scoring import Scorer, Terms, alike, restricted
from shared.diversity import POOL, diversify, item_vectors
from shared.explanation import explain_ratings
from shared.model.history import History
from shared.model.released import SharedModel
from shared.ranking import recency_weights
from shared.schema import Floats, Ints

SHORTLIST = 700
"""Items that are scored in full; what that keeps of the best is in docs/log.md."""
DIVERSITY = 0.3
"""Weight of being unlike the items above; 0 ranks by score alone."""
LESS = 2.0
"""How far "less like this" moves an item that is quite alike, in standard deviations of score."""
REASONS = 2
"""Reasons given for an item."""
NEAR_EQUAL = 0.5
"""Part of the largest term from which a liked item may be named for it."""
SMALL = 1e-9
"""Lead of a term below which it is no reason."""
OTHERS = ("popularity", "liking", "taste")
"""Kinds of reasons that lie in what others released, not in the owner's own ratings."""
NOTHING = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Reason:
    """One reason, without words: the page and the commands put it into the owner's language."""

    kind: str
    """A term of `client.scoring.Scorer`, or "new" where the score has nothing to say."""
    item: int | None = None
    """Rated item behind it, a row of the catalogue; None where others than the owner are."""
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
class Explained:
    """Why one item is predicted as it is, exactly: base + named + rest = rating; private, in r'."""

    item: int
    rating: float
    """Predicted rating, not clipped."""
    base: float
    """What the item gets without the owner's ratings; a network's part is in it."""
    because: tuple[tuple[int, float], ...]
    """Rated items and what each adds, the largest first."""
    rest: float
    """What all other ratings add together."""
    reasons: tuple[Reason, ...]


def recommend(
    model: SharedModel,
    history: History,
    k: int = 10,
    *,
    diversity: float = DIVERSITY,
    less: Ints = NOTHING,
) -> list[Recommendation]:
    """Recommend items that the owner has not rated.

    Args:
        model: The released model, or what stands in before the first one.
        history: The owner's ratings, oldest first. Private.
        k: Most items wanted, at least 1.
        diversity: In [0, 1]; see `shared.diversity`.
        less: Items of which the owner wants less, rows; never recommended. Private.

    Returns:
        At most k items, the best first, each with its reasons. Private.

    Raises:
        UsageError: diversity lies outside [0, 1].
    """
    near = _Near.of(model, history, less)
    terms = near.scorer.terms(near.rows)
    score = near.wanted(terms)
    order = near.order(score)[: max(POOL, k)]
    vectors = item_vectors(restricted(near.model, order).catalogue)
    picked = diversify(np.arange(len(order)), score[order], vectors, k, diversity)
    chosen = order[picked]
    predicted, beyond = near.model.rate(near.history, chosen), _beyond(terms)
    return [
        Recommendation(
            int(near.rows[place]), float(score[place]), float(rating), _reasons(near, beyond, place)
        )
        for place, rating in zip(chosen.tolist(), predicted, strict=True)
    ]


def explain(model: SharedModel, history: History, item: int, *, most: int = 5) -> Explained:
    """Explain one predicted rating: exactly, as a sum over the owner's own ratings.

    Args:
        model: The released model, or what stands in before the first one.
        history: The owner's ratings, oldest first. Private.
        item: Row of the catalogue.
        most: Ratings named one by one.

    Returns:
        The split. Private.
    """
    near = _Near.of(model, history, np.array([item]))
    place = int(near.less[0])
    mine, target = near.history, near.less
    split = explain_ratings(
        near.model.tower,
        near.model.prior,
        near.model.catalogue,
        mine.items,
        mine.ratings,
        target,
        network=near.model.heads(mine, target)[:, 0],
    )[0]
    top = np.argsort(-np.abs(split.influence), kind="stable")[:most]
    named = tuple((int(near.rows[split.rated[i]]), float(split.influence[i])) for i in top)
    everything = float(split.influence.sum())
    return Explained(
        item=item,
        rating=split.score,
        base=split.score - everything,
        because=named,
        rest=everything - sum(part for _, part in named),
        reasons=_reasons(near, _beyond(near.scorer.terms(near.rows)), place),
    )


def shortlist(scorer: Scorer, items: int, *, always: Ints = NOTHING) -> Ints:
    """Choose the items worth a full score.

    Args:
        scorer: The model and the owner; what they rated is kept.
        items: Length of the catalogue.
        always: Items that are kept whatever their score.

    Returns:
        Rows in ascending order; all rows of a catalogue of at most `SHORTLIST` items.
    """
    if items <= SHORTLIST:
        return np.arange(items)
    kept = np.zeros(items, dtype=bool)
    kept[np.argpartition(-scorer.quick(), SHORTLIST)[:SHORTLIST]] = True
    kept[scorer.items] = True
    kept[always] = True
    return np.flatnonzero(kept)


@dataclass(frozen=True)
class _Near:
    """The part of the catalogue that is looked at in full: shortlist, history, unwanted items."""

    scorer: Scorer
    """Of the whole model."""
    model: SharedModel
    """Of these items alone."""
    rows: Ints
    """Rows in the whole catalogue, ascending."""
    history: History
    """The owner's ratings; items are places in `rows`."""
    less: Ints
    """Unwanted items, places in `rows`."""

    @classmethod
    def of(cls, model: SharedModel, history: History, more: Ints) -> "_Near":
        """Restrict the model; no score of an item that stays changes."""
        scorer = Scorer(model, history)
        rows = shortlist(scorer, len(model.catalogue), always=more)
        near = model if len(rows) == len(model.catalogue) else restricted(model, rows)
        moved = replace(history, items=np.searchsorted(rows, history.items))
        return cls(scorer, near, rows, moved, np.searchsorted(rows, more))

    def wanted(self, terms: Terms) -> Floats:
        """Return the score of each place, lower the more it is like an unwanted item."""
        score = np.asarray(sum(terms.values()))
        if len(self.less) == 0:
            return score
        likest = alike(self.model, np.arange(len(self.rows)), self.less).max(axis=1)
        return np.asarray(score - LESS * float(score.std()) * likest)

    def order(self, score: Floats) -> Ints:
        """Return the places of items neither rated nor unwanted, the best first."""
        free = np.ones(len(self.rows), dtype=bool)
        free[self.history.items] = False
        free[self.less] = False
        places = np.flatnonzero(free)
        return np.asarray(places[np.argsort(-score[places], kind="stable")])


def _beyond(terms: Terms) -> Terms:
    """Return each term less its mean over the candidates."""
    return {name: values - values.mean() for name, values in terms.items()}


def _reasons(near: _Near, beyond: Terms, place: int) -> tuple[Reason, ...]:
    """Name the terms in which an item leads most over the average candidate.

    Where both do, one lies in the owner's own ratings and one in what others released; the
    owner's comes first. That an item is like one that the owner disliked is no reason to show it.
    """
    lead = {name: float(values[place]) for name, values in beyond.items()}
    best = [name for name in sorted(lead, key=lambda name: -lead[name]) if lead[name] > SMALL]
    found = [reason for name in best if (reason := _reason(near, name, place))]
    other = [one for one in found[1:] if (one.kind in OTHERS) != (found[0].kind in OTHERS)]
    named = dict.fromkeys(found[:1] + other + found[1:])  # in this order, each once
    return tuple(sorted([*named][:REASONS], key=lambda one: one.kind in OTHERS)) or (Reason("new"),)


def _reason(near: _Near, kind: str, place: int) -> Reason | None:
    """Find the rated item behind one term; None where the owner disliked it."""
    history = near.history.items
    if kind in OTHERS or len(history) == 0:
        return Reason(kind)
    nearest = _behind(near.history, recency_weights(len(history)) * _parts(near, kind, place))
    ratings = near.history.ratings
    if kind != "time" and ratings[history == nearest][0] < ratings.mean():
        return None
    shared = NOTHING
    if kind == "category":
        kinds = near.model.catalogue.categories
        shared = np.flatnonzero(kinds[nearest] * kinds[place])
    return Reason(kind, int(near.rows[nearest]), tuple(shared.tolist()))


def _parts(near: _Near, kind: str, place: int) -> Floats:
    """Return how alike an item is to each rated one in one respect, (n,)."""
    history, catalogue = near.history.items, near.model.catalogue
    if kind == "likeness":
        return alike(near.model, history, np.array([place])).ravel()
    if kind == "time":
        return np.asarray(np.exp(-np.abs(catalogue.log_age[history] - catalogue.log_age[place])))
    vectors = catalogue.text if kind == "text" else catalogue.categories
    return np.asarray(vectors[history] @ vectors[place])


def _behind(history: History, parts: Floats) -> int:
    """Return the rated item that adds most to a term; of near equals, one that was liked.

    Args:
        history: The owner's ratings.
        parts: What each adds, (n,).
    """
    liked = (history.ratings >= history.ratings.mean()) & (parts >= NEAR_EQUAL * parts.max())
    pool = np.flatnonzero(liked) if liked.any() else np.arange(len(parts))
    return int(history.items[pool[np.argmax(parts[pool])]])
