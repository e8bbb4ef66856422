# SPDX-License-Identifier: Apache-2.0
"""How a model serves who or what is new: people after 0, 1, 3 and 10 ratings, items after none.

People of the split `users` took no part in the federation. Their device has the shared model and
their first n ratings; it predicts the stars of the later half of their ratings and looks for the
first of those items among 99 uniform negatives. Items of the split `items` have no rating at all:
their public features speak for them (`shared.model.extension`), and they are looked for among 99
negatives that may be well known. All figures are the researcher's full view: private.

Source: Schein et al. (2002), "Methods and metrics for cold-start recommendations".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared import metrics
from shared.model.extension import as_new
from shared.model.history import History
from shared.model.released import SharedModel
from shared.schema import Floats, Ints, Scale
from simulation.devices import DevicePredictor
from simulation.evaluate import NEGATIVES, K
from simulation.splits import Split

RATINGS = (0, 1, 3, 10)
"""How many of their first ratings a device knows."""


def cold_start(
    model: SharedModel, devices: Sequence[History], parts: Split, scale: Scale, seed: int
) -> list[dict[str, Any]] | None:
    """Measure newcomers.

    Args:
        model: The shared model, trained without the newcomers.
        devices: What each user's device knows, oldest first. Private.
        parts: The split; None is returned for other splits than users and items. Private.
        scale: The rating scale.
        seed: Seed of the negatives.

    Returns:
        One row a number of ratings: `of` ("user" or "item"), `ratings`, `users` in the row,
        `rmse` in stars, `hr@10`, and for items `auc_new`: how well the new items that a user rated
        stand among all new ones. The same users and negatives in every row. None where no user
        has enough ratings.
    """
    if parts.name not in ("users", "items"):
        return None
    of, counts = ("user", RATINGS) if parts.name == "users" else ("item", (0,))
    fewest = max(counts) if of == "user" else 1
    users = [user for user in np.unique(parts.test.users).tolist() if len(devices[user]) >= fewest]
    if not users:
        return None
    if of == "item":
        model = as_new(model, np.setdiff1d(parts.test.items, parts.train.items))
    rows = []
    for count in counts:
        known = [_first(device, count) if of == "user" else device for device in devices]
        shown = DevicePredictor(model, known, scale)
        rmse, hits = _measure(shown, users, devices, parts, seed)
        row = {"of": of, "ratings": count, "users": len(users), "rmse": rmse, "hr@10": hits}
        rows.append(row | {"auc_new": _among_new(shown, users, parts) if of == "item" else None})
    return rows


def _first(device: History, count: int) -> History:
    """Return a device that knows the first ratings alone."""
    return History(device.items[:count], device.ratings[:count])


def _measure(
    shown: DevicePredictor,
    users: Sequence[int],
    devices: Sequence[History],
    parts: Split,
    seed: int,
) -> tuple[float, float]:
    """Return RMSE over the users' test rows and the hit rate of the first of each."""
    predicted: list[Floats] = []
    actual: list[Floats] = []
    hits = []
    for user in users:
        mine = parts.test.users == user
        items = parts.test.items[mine]
        predicted.append(shown.rate(user, items))
        actual.append(parts.test.ratings[mine])
        scores = shown.score(user)
        drawn = negatives(len(scores), int(items[0]), devices[user].items, (seed, user))
        hits.append(hit_chance(scores[items[0]], scores[drawn]))
    error = metrics.rmse(np.concatenate(predicted), np.concatenate(actual))
    return error, float(np.mean(hits))


def _among_new(shown: DevicePredictor, users: Sequence[int], parts: Split) -> float | None:
    """Return the mean AUC of rated new items against the other new ones, None without others."""
    new = np.unique(parts.test.items)
    found = []
    for user in users:
        rated = np.isin(new, parts.test.items[parts.test.users == user])
        found.append(metrics.auc(shown.score(user)[new], rated))
    known = [value for value in found if not np.isnan(value)]
    return float(np.mean(known)) if known else None


def negatives(items: int, wanted: int, known: Ints, seed: tuple[int, ...]) -> Ints:
    """Draw 99 uniform items beside the wanted one, fewer where the catalogue has fewer left.

    Args:
        items: Number of items in the catalogue.
        wanted: The item that is looked for.
        known: Items that the device knows: never drawn. Private.
        seed: Seed of the draw.
    """
    free = np.ones(items, dtype=np.bool_)
    free[known] = False
    free[wanted] = False
    pool = np.flatnonzero(free)
    return np.random.default_rng(seed).choice(pool, min(NEGATIVES, len(pool)), replace=False)


def hit_chance(score: float, others: Floats) -> float:
    """Return the chance, over ties, that a score is among the ten best with the others.

    Example:
        >>> hit_chance(1.0, np.ones(19))
        0.5
    """
    above, equal = int((others > score).sum()), int((others == score).sum())
    return float(np.clip((K - above) / (equal + 1), 0.0, 1.0))
