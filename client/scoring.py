# SPDX-License-Identifier: Apache-2.0
"""The one place where the device's recommendations meet the shared model: numpy only.

Everything that the page and the commands compute for the owner goes through these functions, so
that a better score or network is taken in here and nowhere else.
"""

from dataclasses import replace

import numpy as np

from shared.catalogue import Catalogue
from shared.model.history import History
from shared.model.kernel import likeness
from shared.model.released import SharedModel
from shared.ranking import AGE, CATEGORY, POPULARITY, TEXT, recency_weights
from shared.schema import Floats, Ints

Terms = dict[str, Floats]
"""Additive terms of a score by name, each (I,); their sum ranks."""
RECENT = 60
"""Events of the history that the time term looks at."""
GRID = 512
"""Ages at which the rough score knows likeness by time."""


def interest_terms(model: SharedModel, history: History) -> Terms:
    """Score every item for the owner, term by term.

    Args:
        model: The released model, or what stands in before the first one.
        history: The owner's ratings, oldest first. Private.

    Returns:
        Popularity, and likeness to the history by text, category and time. Private.
    """
    catalogue, items = model.catalogue, history.items
    terms = {"popularity": POPULARITY * model.tower.log_weight}
    if len(items) == 0:
        return terms
    weights = recency_weights(len(items))
    for name, weight, vectors in (
        ("text", TEXT, catalogue.text),
        ("category", CATEGORY, catalogue.categories),
    ):
        if vectors.shape[1]:
            terms[name] = np.asarray(weight * (vectors @ (weights @ vectors[items])))
    recent = catalogue.log_age[items[-RECENT:]]
    gaps = np.abs(catalogue.log_age[:, None] - recent)  # (I, n)
    return terms | {"time": np.asarray(AGE * np.exp(-gaps) @ recency_weights(len(recent)))}


def rough_interest(model: SharedModel, history: History) -> Floats:
    """Score every item nearly as `interest_terms` does, but cheaply: for a shortlist, (I,).

    Likeness by text is read off the principal components of the text (32 numbers an item instead
    of hundreds), at the scale at which they agree best with the full vectors of the owner's items;
    likeness by time off a grid; the rest is exact.
    """
    catalogue, items = model.catalogue, history.items
    score = POPULARITY * model.tower.log_weight
    if len(items) == 0:
        return score
    weights = recency_weights(len(items))
    profile = np.zeros(catalogue.features.shape[1])
    for block in catalogue.blocks:
        if block.kind == "text" and catalogue.text.shape[1]:
            part = catalogue.features[items, block.start : block.stop]
            full, small = catalogue.text[items[-RECENT:]], part[-RECENT:]
            scale = _agreement(full @ full.T, small @ small.T)
            profile[block.start : block.stop] = TEXT * scale * (weights @ part)
    score = score + catalogue.features @ profile
    if catalogue.categories.shape[1]:
        score += CATEGORY * (catalogue.categories @ (weights @ catalogue.categories[items]))
    ages = catalogue.log_age
    recent, oldest = ages[items[-RECENT:]], float(ages.max())
    grid = np.linspace(0.0, oldest, GRID)
    closeness = np.exp(-np.abs(grid[:, None] - recent)) @ recency_weights(len(recent))
    nearest = (ages * ((GRID - 1) / max(oldest, 1e-12)) + 0.5).astype(np.intp)
    return np.asarray(score + AGE * closeness[nearest])


def _agreement(full: Floats, small: Floats) -> float:
    """Return the factor that brings small likenesses nearest to the full ones."""
    return float((full * small).sum() / max(float((small * small).sum()), 1e-12))


def alike(model: SharedModel, left: Ints, right: Ints) -> Floats:
    """Likeness of items in [0, 1], (a, b). Public."""
    return likeness(model.catalogue, model.tower, left, right)


def restricted(model: SharedModel, rows: Ints) -> SharedModel:
    """Return the model of some items only, in their order; no score of an item changes."""
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
        interest=model.interest.take(rows),
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
