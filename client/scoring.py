# SPDX-License-Identifier: Apache-2.0
"""The one place where the device's recommendations meet the shared model: numpy only.

Everything that the page and the commands compute for the owner goes through these functions, so
that a better score, network or explanation is taken in here and nowhere else.
"""

from dataclasses import dataclass, replace

import numpy as np

from client.training import History
from shared.catalogue import Catalogue
from shared.model.kernel import AMPLITUDE, NEWEST, NOISE_VARIANCE, likeness
from shared.model.local import predict
from shared.model.prior import Prior
from shared.model.statistics import ItemStatistics
from shared.model.tower import Tower, build_tower
from shared.ranking import AGE, CATEGORY, POPULARITY, TEXT, recency_weights
from shared.schema import Floats, Ints

TERMS = ("popularity", "text", "category", "time")
"""Additive terms of the interest score, in the order of `interest_terms`."""
RECENT = 60
"""Events of the history that the time term looks at."""


@dataclass(frozen=True)
class Model:
    """What the device computes with: the released model, or what it has before the first one."""

    catalogue: Catalogue
    tower: Tower
    prior: Prior

    def restricted(self, rows: Ints) -> "Model":
        """Return the model of some items only, in their order; scores of an item do not change."""
        old, tower = self.catalogue, self.tower
        catalogue = replace(
            old,
            item_ids=tuple(old.item_ids[row] for row in rows),
            titles=tuple(old.titles[row] for row in rows),
            features=old.features[rows],
            text=old.text[rows],
            categories=old.categories[rows],
            log_age=old.log_age[rows],
        )
        moved = replace(
            tower,
            features=tower.features[rows],
            offset=tower.offset[rows],
            log_weight=tower.log_weight[rows],
        )
        return Model(catalogue, moved, self.prior)


def local_model(catalogue: Catalogue) -> Model:
    """Return what a device has before any model arrives: public features and a standard prior."""
    tower = build_tower(catalogue, ItemStatistics.empty(len(catalogue)))
    return Model(catalogue, tower, Prior.standard(tower.features.shape[1]))


def interest_terms(model: Model, history: Ints) -> Floats:
    """Score every item for the owner, term by term; their sum ranks.

    Args:
        model: The model.
        history: Rated items, oldest first, (n,). Private.

    Returns:
        (4, I): popularity, likeness to the history by text, by category, by time. Private.
    """
    catalogue = model.catalogue
    terms = np.zeros((len(TERMS), len(catalogue)))
    terms[0] = POPULARITY * model.tower.log_weight
    if len(history) == 0:
        return terms
    weights = recency_weights(len(history))
    for row, weight, vectors in ((1, TEXT, catalogue.text), (2, CATEGORY, catalogue.categories)):
        if vectors.shape[1]:
            terms[row] = weight * (vectors @ (weights @ vectors[history]))
    recent = catalogue.log_age[history[-RECENT:]]
    gaps = np.abs(catalogue.log_age[:, None] - recent)  # (I, n)
    terms[3] = AGE * np.exp(-gaps) @ recency_weights(len(recent))
    return terms


def stars(model: Model, history: History, targets: Ints) -> Floats:
    """Predict the owner's ratings of some items in r', (t,), not clipped. Private."""
    return predict(
        model.tower, model.prior, model.catalogue, history.items, history.ratings, targets
    )


def alike(model: Model, left: Ints, right: Ints) -> Floats:
    """Likeness of items in [0, 1], (a, b). Public."""
    return likeness(model.catalogue, model.tower, left, right)


@dataclass(frozen=True)
class Contributions:
    """A predicted rating as a sum: what is known of the item, and what each rating adds."""

    base: float
    """Rating r' of a person without a history: the item's offset."""
    items: Ints
    """Rated items that take part, oldest first, (n,). Private."""
    parts: Floats
    """What each of their ratings adds in r', (n,). Private."""


def contributions(model: Model, history: History, target: int) -> Contributions:
    """Split the predicted rating of one item into what each rating of the owner adds.

    The posterior mean of a Gaussian process is a weighted sum of the observations, so the split
    is exact: base + parts.sum() is what `stars` predicts.

    Source: Rasmussen and Williams (2006), "Gaussian Processes for Machine Learning", (2.27).
    """
    tower, items = model.tower, history.items[-NEWEST:]
    base = float(tower.offset[target])
    if len(items) == 0:
        return Contributions(base, items, np.zeros(0))
    spread = tower.features[items] @ model.prior.covariance  # (n, K)
    gram = spread @ tower.features[items].T + AMPLITUDE * alike(model, items, items)
    residual = history.ratings[-NEWEST:] - tower.offset[items]
    weights = np.linalg.solve(gram + NOISE_VARIANCE * np.eye(len(items)), residual)
    here = np.array([target])
    cross = spread @ tower.features[target] + AMPLITUDE * alike(model, here, items)[0]
    return Contributions(base, items, cross * weights)
