# SPDX-License-Identifier: Apache-2.0
"""How well comment interest is predicted on held-out pairs, and what single tasks would give.

Pairs are the held-out rows. What happened there is read by the same public rule that the device
applies to its own history, with the user's own mean length where the rule is length. Each figure
rests on one rule, the one that most users with both classes follow; others are listed apart and
never averaged in. All figures are the researcher's full view: private.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from client.measuring import told
from shared.metrics import auc
from shared.model.comment_task import interest_of
from shared.model.comments import Rule
from shared.model.history import History
from shared.model.released import SharedModel
from shared.schema import Floats, Ints
from simulation.dataset import Dataset
from simulation.devices import acts_at
from simulation.splits import Split

MINIMUM_USERS = 30
"""Users with both classes below which a mean AUC says nothing."""


@dataclass(frozen=True)
class Pairs:
    """One user's held-out pairs that a rule speaks of; private."""

    user: int
    rule: Rule
    items: Ints
    interested: np.ndarray[Any, np.dtype[np.bool_]]


def comment_figures(
    model: SharedModel,
    devices: Sequence[History],
    parts: Split,
    dataset: Dataset,
    per_user: dict[str, Floats] | None = None,
) -> dict[str, Any]:
    """Return `comment_auc`, the item-mean and single-task controls beside it, and their rule.

    Args:
        model: The shared model.
        devices: What each user's device knows. Private.
        parts: The split; pairs are its test rows. Private.
        dataset: The data set, for recorded acts. Private.
        per_user: Columns of `evaluate`; gets one more, `comment_auc`, NaN where unknown. Private.

    Returns:
        Figures by name, None where fewer than 30 users have both classes.
    """
    none = dict.fromkeys(
        (
            "comment_auc",
            "comment_auc_item_mean",
            "comment_auc_single_task",
            "comment_rule",
            "comment_users",
        )
    )
    if model.comment_mean is None:
        return none | {"comment_auc_by_rule": {}}
    by_rule: dict[str, list[Pairs]] = defaultdict(list)
    for pairs in held_out(devices, parts, dataset):
        by_rule[pairs.rule].append(pairs)
    enough = {rule: found for rule, found in by_rule.items() if len(found) >= MINIMUM_USERS}
    figures = {rule: _figures(model, devices, found) for rule, found in enough.items()}
    if per_user is not None:
        known = {p.user: p for found in by_rule.values() for p in found}
        column = [_own_auc(model, devices, known.get(int(user))) for user in per_user["user"]]
        per_user["comment_auc"] = np.array(column)
    if not figures:
        return none | {"comment_auc_by_rule": {}}
    chosen = max(figures, key=lambda rule: len(enough[rule]))
    return figures[chosen] | {"comment_rule": chosen, "comment_auc_by_rule": figures}


def _own_auc(model: SharedModel, devices: Sequence[History], pairs: Pairs | None) -> float:
    """Return one user's own AUC, NaN where there are no pairs of both classes."""
    if pairs is None:
        return float("nan")
    return auc(model.comment_interest(devices[pairs.user], pairs.items), pairs.interested)


def held_out(devices: Sequence[History], parts: Split, dataset: Dataset) -> list[Pairs]:
    """Read each user's held-out rows by the rule of their own history; both classes or nothing."""
    test = parts.test.take(np.argsort(parts.test.users, kind="stable"))
    acts = acts_at(dataset.comment_events, test, len(dataset.items))
    lengths = np.array([len(text) for text in test.comments], dtype=np.int64)
    cuts = np.searchsorted(test.users, np.arange(len(devices) + 1))
    found = []
    for user, device in enumerate(devices):
        rows = slice(cuts[user], cuts[user + 1])
        own = interest_of(device)
        said = History(
            test.items[rows],
            test.ratings[rows],
            lengths[rows],
            None if acts is None else acts[rows],
        )
        known, positive = told(own, said)
        items, positive = test.items[rows][known], positive[known]
        if positive.any() and not positive.all():
            found.append(Pairs(user, own.rule, items, positive))
    return found


def _figures(
    model: SharedModel, devices: Sequence[History], found: Sequence[Pairs]
) -> dict[str, Any]:
    """Return the mean within-user AUC of the model, of item means, and of the task alone.

    Alone, the task has its own item means and its own ridge, and nothing that ratings taught.
    """
    alone = model.stages()["item_sums"]
    scores: dict[str, list[float]] = defaultdict(list)
    for pairs in found:
        device = devices[pairs.user]
        for name, one in (("comment_auc", model), ("comment_auc_single_task", alone)):
            scores[name].append(auc(one.comment_interest(device, pairs.items), pairs.interested))
        means = model.comment_mean
        assert means is not None  # noqa: S101 - the caller has asked
        scores["comment_auc_item_mean"].append(auc(means[pairs.items], pairs.interested))
    return {name: float(np.mean(values)) for name, values in scores.items()} | {
        "comment_users": len(found)
    }
