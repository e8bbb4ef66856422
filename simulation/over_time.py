# SPDX-License-Identifier: Apache-2.0
"""Does it pay that a device learns at once? People are followed through their latest ratings.

Each user's last ratings by time stamp are left out of the federation. Then they happen one after
the other, and each is predicted twice on the user's device, with the same shared model: *frozen*,
from what was known when training ended, and *updated*, from all ratings before this one. Same
items, same negatives; only the owner's side moves. The first event of a user is the same for both
and is not counted.

Figures are the researcher's full view: private. Source: prequential evaluation, Vinagre et al.
(2014), "Evaluation of recommender systems in streaming environments".
"""

from collections.abc import Sequence

import numpy as np

from shared import metrics
from shared.catalogue import Catalogue
from shared.model.history import History
from shared.model.profile import RATED_ALPHA, profile_of
from shared.model.released import SharedModel
from shared.renewal import drift
from shared.schema import Floats, Interactions, Ints, Scale
from simulation.cold_start import hit_chance, negatives
from simulation.dataset import Dataset
from simulation.devices import DevicePredictor
from simulation.splits import Split

EVENTS = 12
"""Ratings of each user that are followed."""


def latest(dataset: Dataset, events: int = EVENTS) -> Split:
    """Hold out each user's last ratings by time stamp; users with too few keep all.

    Args:
        dataset: The data set, interactions sorted by user and time.
        events: Ratings to hold out of each user who has at least twice as many.
    """
    rows = dataset.interactions
    counts = np.bincount(rows.users, minlength=len(dataset.users))
    ends = np.cumsum(counts)[rows.users]
    later = (ends - np.arange(len(rows)) <= events) & (counts[rows.users] >= 2 * events)
    words = f"each user's last {events} ratings by time stamp, users with {2 * events} or more"
    nothing = rows.take(np.zeros(0, dtype=np.intp))
    return Split("latest", rows.take(~later), rows.take(later), words, nothing)


def follow(
    model: SharedModel, devices: Sequence[History], later: Interactions, scale: Scale, seed: int
) -> dict[str, float]:
    """Follow people through their latest ratings.

    Args:
        model: The shared model, trained without the latest ratings.
        devices: What each device knew when training ended, oldest first. Private.
        later: The latest ratings, by user, then time. Private.
        scale: The rating scale.
        seed: Seed of the negatives.

    Returns:
        `frozen_rmse`, `updated_rmse` in stars; `_hr@10` of the item rated next among 99 uniform
        negatives and `_auc`, the share of them below it; `events` they rest on; and
        `profile_drift`: mean of 1 − cosine between the text profiles at both ends.
    """
    units = scale.to_unit(later.ratings)
    errors: dict[str, list[float]] = {"frozen": [], "updated": []}
    hits: dict[str, list[float]] = {"frozen": [], "updated": []}
    beaten: dict[str, list[float]] = {"frozen": [], "updated": []}
    both = list(devices[:1]) * 2  # one predictor for all: what it prepares of the model is costly
    shown = DevicePredictor(model, both, scale)
    for row in range(1, len(later)):
        user = int(later.users[row])
        if later.users[row - 1] != user:
            continue
        start = int(np.searchsorted(later.users, user))
        new = _with(devices[user], later.items[start:row], units[start:row])
        both[:] = [devices[user], new]
        wanted = int(later.items[row])
        drawn = negatives(len(model.catalogue), wanted, new.items, (seed, user, row))
        for side, name in enumerate(("frozen", "updated")):
            stars = shown.rate(side, np.array([wanted]))[0]
            errors[name].append(float(stars - later.ratings[row]))
            scores = shown.score(side)
            others = scores[drawn]
            hits[name].append(hit_chance(scores[wanted], others))
            ties = (others == scores[wanted]).mean() / 2
            beaten[name].append(float((others < scores[wanted]).mean() + ties))
    found = {
        f"{name}_rmse": metrics.rmse(np.array(e), np.zeros(len(e))) for name, e in errors.items()
    }
    for figure, values in (("hr@10", hits), ("auc", beaten)):
        found |= {f"{name}_{figure}": _mean(column) for name, column in values.items()}
    users = np.unique(later.users).tolist()
    before = [devices[user].items for user in users]
    after = [np.append(devices[user].items, later.items[later.users == user]) for user in users]
    moved = profile_drift(model.catalogue, before, after)
    return found | {"events": len(errors["frozen"]), "profile_drift": moved}


def profile_drift(catalogue: Catalogue, before: Sequence[Ints], after: Sequence[Ints]) -> float:
    """Say how far text profiles of people move, mean of 1 − cosine; private.

    Args:
        catalogue: Public text.
        before: Items of each person's earlier history, oldest first. Private.
        after: Items of the later one, which begins with the earlier. Private.
    """
    size = catalogue.text.shape[1]
    ends = [
        [profile_of(catalogue.text[items], RATED_ALPHA).vector for items in both]
        for both in zip(before, after, strict=True)
    ]
    table = np.array(ends).reshape(len(ends), 2, size)
    return drift(table[:, 0], table[:, 1])


def _with(device: History, items: Ints, ratings: Floats) -> History:
    """Return the device after some more ratings."""
    return History(np.concatenate([device.items, items]), np.concatenate([device.ratings, ratings]))


def _root_mean_square(errors: Sequence[float]) -> float:
    """Return the root of the mean square, NaN of none."""
    return metrics.rmse(np.array(errors), np.zeros(len(errors)))


def _mean(values: Sequence[float]) -> float:
    """Return the mean, NaN of none."""
    return float(np.mean(values)) if values else float("nan")
