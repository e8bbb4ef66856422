# SPDX-License-Identifier: Apache-2.0
"""The one place where the device's recommendations meet the shared model: numpy only.

Everything that the page and the commands compute for the owner goes through these functions, so
that a better score or network is taken in here and nowhere else.
"""

from dataclasses import replace

import numpy as np

from shared.catalogue import Catalogue
from shared.model.history import History
from shared.model.interest import NAMES
from shared.model.kernel import likeness
from shared.model.released import SharedModel
from shared.ranking.contexts import shared_terms, taste
from shared.ranking.interest import Interest
from shared.ranking.scores import context_scores
from shared.ranking.shortlist import quick_scores
from shared.schema import Floats, Ints

Terms = dict[str, Floats]
"""Additive terms of a score by kind, one number an item; their sum ranks."""
KINDS = {
    "text": "text",
    "category": "category",
    "time": "time",
    "age": "time",
    "joint": "joint",
    "popularity": "popularity",
    "liking": "liking",
    "learned": "taste",
}
"""Kind of a score, by the first word of its name."""


class Scorer:
    """A model made ready to score for one owner.

    Args:
        model: The released model, or what stands in before the first one.
        history: The owner's ratings, oldest first. Private.
    """

    def __init__(self, model: SharedModel, history: History) -> None:
        self.interest = _ready(model)
        self.items = history.items
        self.weights = self.interest.weights(history.items)
        """θ_u, (S,): solved from the owner's own choices. Private."""

    def quick(self) -> Floats:
        """Score the whole catalogue nearly, for a shortlist, (I,). Private."""
        side, model = self.interest.side, self.interest.model
        return quick_scores(side, model, self.items, self.weights)

    def terms(self, rows: Ints) -> Terms:
        """Score some items exactly, term by term; the sum is what `Interest.score` gives.

        Args:
            rows: Rows of the catalogue, (r,).

        Returns:
            One array a kind, (r,). Private.
        """
        side, model = self.interest.side, self.interest.model
        ends = np.array([len(self.items)])
        scores = context_scores(side, self.items, ends, rows)[:, 0] * self.weights[:, None]
        found: Terms = {}
        for name, score in zip(NAMES, scores, strict=True):
            kind = KINDS[name.partition("_")[0]]
            found[kind] = found.get(kind, 0.0) + score
        shared = shared_terms(side, model, taste(side, self.items, ends), rows)[0]
        found["taste"] = found["taste"] + shared
        return found


_LAST: list[tuple[SharedModel, Interest]] = []


def _ready(model: SharedModel) -> Interest:
    """Make a model ready once: the page asks for the same one again and again. Public."""
    if not _LAST or _LAST[0][0] is not model:
        _LAST[:] = [(model, Interest.of(model.catalogue, model.interest))]
    return _LAST[0][1]


def alike(model: SharedModel, left: Ints, right: Ints) -> Floats:
    """Likeness of items in [0, 1], (a, b). Public."""
    return likeness(model.catalogue, model.tower, left, right)


def restricted(model: SharedModel, rows: Ints) -> SharedModel:
    """Return the model of some items only, in their order, for ratings and likeness.

    No rating changes. Interest is not restricted, since it compares an item with all others: ask
    a `Scorer` of the whole model.
    """
    tower = replace(
        model.tower,
        features=model.tower.features[rows],
        offset=model.tower.offset[rows],
        log_weight=model.tower.log_weight[rows],
    )
    mean = model.comment_mean
    return replace(
        model,
        catalogue=_some(model.catalogue, rows),
        statistics=model.statistics.take(rows),
        tower=tower,
        comment_mean=None if mean is None else mean[rows],
    )


def _some(catalogue: Catalogue, rows: Ints) -> Catalogue:
    """Return some items of a catalogue."""
    return replace(
        catalogue,
        item_ids=tuple(catalogue.item_ids[row] for row in rows),
        titles=tuple(catalogue.titles[row] for row in rows),
        features=catalogue.features[rows],
        text=catalogue.text[rows],
        categories=catalogue.categories[rows],
        log_age=catalogue.log_age[rows],
    )
