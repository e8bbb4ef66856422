# SPDX-License-Identifier: Apache-2.0
"""Which ratings are learned from and which are predicted, and the sentence that says so.

A split is a function of the data, a fraction and a seed; each carries its protocol, which is
printed beside every figure. Nobody learns from test rows: neither releases nor devices.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.errors import UsageError
from shared.schema import Interactions, Ints
from simulation.dataset import Dataset

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """Training and test rows of one data set, disjoint, over the same users and items."""

    name: str
    train: Interactions
    """Rows of the users who take part: their devices know them, releases are made from them."""
    test: Interactions
    """Rows to predict."""
    protocol: str
    """One sentence: what was held out and how."""
    history: Interactions
    """Rows that only the device of a held-out user knows when it predicts; empty but for the
    split `users`. They enter no release."""

    @property
    def known(self) -> Interactions:
        """What devices know: training rows and history, by user, each user's in time order."""
        both = Interactions(
            *(
                np.concatenate([a, b])
                for a, b in zip(vars(self.train).values(), vars(self.history).values(), strict=True)
            )
        )
        return both.take(np.argsort(both.users, kind="stable"))


def split(dataset: Dataset, name: str = "random", fraction: float = 0.1, seed: int = 0) -> Split:
    """Split a data set.

    Args:
        dataset: The data set.
        name: random, leave-one-out, one-random, users, items, or one of the official folds
            (u1..u5, ua, ub).
        fraction: Share to hold out: of each user's ratings (random), of users or of items.
        seed: Seed of the choice; the same seed gives the same split.

    Returns:
        The split; interactions keep their canonical order, but for one-random, whose training
        rows are shuffled within each user.

    Raises:
        UsageError: An unknown name, a fold that the data set lacks, or a fraction outside (0, 1).
    """
    if not 0 < fraction < 1:
        raise UsageError(
            f"--test-fraction must be between 0 and 1, got {fraction:g}.", hint="try 0.1."
        )
    if name in dataset.folds:
        train, test = dataset.folds[name]
        rows = dataset.interactions
        empty = rows.take(np.zeros(0, dtype=np.intp))
        protocol = f"official fold {name} of {dataset.name}"
        return Split(name, rows.take(train), rows.take(test), protocol, empty)
    if name not in SPLITS:
        known = ", ".join((*SPLITS, *dataset.folds))
        raise UsageError(
            f"--split must be one of {known} for {dataset.name}, got {name}.",
            hint="u1..u5 exist only where a data set brings official folds; try random.",
        )
    test_rows, history, protocol = SPLITS[name](dataset, fraction, np.random.default_rng(seed))
    rows = dataset.interactions
    train_rows = ~test_rows & ~history
    if not test_rows.any() or not train_rows.any():
        raise UsageError(
            f"--split {name} must leave ratings to learn from and to predict, got none of one.",
            hint="choose another fraction or another split.",
        )
    seeded = protocol if name == "leave-one-out" else f"{protocol}, seed {seed}"
    kept = np.flatnonzero(train_rows)
    if name == "one-random":  # what came first is forgotten, on devices as well
        kept = kept[
            np.lexsort((np.random.default_rng([seed, 1]).random(len(kept)), rows.users[kept]))
        ]
    return Split(name, rows.take(kept), rows.take(test_rows), seeded, rows.take(history))


def _random(dataset: Dataset, fraction: float, rng: np.random.Generator) -> tuple[Mask, Mask, str]:
    """Hold out a share of each user's ratings; one rating a user always stays."""
    users = dataset.interactions.users
    counts = np.bincount(users, minlength=len(dataset.users))
    # A draw rounds up or down, so that short histories are held out in proportion as well.
    wanted = np.floor(counts * fraction + rng.random(len(counts))).astype(np.int64)
    wanted = np.minimum(wanted, np.maximum(counts - 1, 0))
    chosen = _rank_within(users, rng.random(len(users))) < wanted[users]
    return chosen, np.zeros_like(chosen), f"random {100 * fraction:g}% of each user's ratings"


def _leave_one_out(
    dataset: Dataset, fraction: float, rng: np.random.Generator
) -> tuple[Mask, Mask, str]:
    """Hold out each user's last rating; users with a single rating keep it."""
    users = dataset.interactions.users
    last = np.append(users[1:] != users[:-1], True)  # canonical order: user, time, file
    first = np.insert(users[1:] != users[:-1], 0, True)
    test = last & ~first
    protocol = "each user's last rating by time stamp, ties by file order; one-rating users train"
    return test, np.zeros_like(test), protocol


def _one_random(
    dataset: Dataset, fraction: float, rng: np.random.Generator
) -> tuple[Mask, Mask, str]:
    """Hold out one rating of each user at random; users with a single rating keep it.

    Sites show lists, and people rate down them: the item after the last is often the next of a
    list. Here nothing of that order is left.
    """
    users = dataset.interactions.users
    chosen = _rank_within(users, rng.random(len(users))) == 0
    chosen &= np.bincount(users, minlength=len(dataset.users))[users] > 1
    protocol = "one random rating of each user, histories in random order; one-rating users train"
    return chosen, np.zeros_like(chosen), protocol


def _users(dataset: Dataset, fraction: float, rng: np.random.Generator) -> tuple[Mask, Mask, str]:
    """Hold users out of the federation; their later half is predicted from their earlier half."""
    users = dataset.interactions.users
    away = _share(len(dataset.users), fraction, rng)[users]
    counts = np.bincount(users, minlength=len(dataset.users))
    place = _rank_within(users, np.arange(len(users), dtype=np.float64))
    later = place >= counts[users] // 2
    protocol = (
        f"{100 * fraction:g}% of users outside the federation: the later half of their ratings is "
        "predicted from the earlier half on their device"
    )
    return away & later, away & ~later, protocol


def _items(dataset: Dataset, fraction: float, rng: np.random.Generator) -> tuple[Mask, Mask, str]:
    """Hold out all ratings of some items: they are new, known by their public features alone."""
    test = _share(len(dataset.items), fraction, rng)[dataset.interactions.items]
    protocol = f"all ratings of {100 * fraction:g}% of items, unseen in training"
    return test, np.zeros_like(test), protocol


def _share(size: int, fraction: float, rng: np.random.Generator) -> Mask:
    """Choose a share of 0..size-1, at least one of them."""
    chosen = np.zeros(size, dtype=np.bool_)
    chosen[rng.permutation(size)[: max(1, round(fraction * size))]] = True
    return chosen


def _rank_within(users: Ints, key: npt.NDArray[np.float64]) -> Ints:
    """Return each row's rank by key among the rows of its user; users are sorted."""
    order = np.lexsort((key, users))
    starts = np.searchsorted(users, users)  # first row of the same user
    rank = np.empty(len(users), dtype=np.int64)
    rank[order] = np.arange(len(users)) - starts
    return rank


SPLITS: dict[str, Callable[[Dataset, float, np.random.Generator], tuple[Mask, Mask, str]]] = {
    "random": _random,
    "leave-one-out": _leave_one_out,
    "one-random": _one_random,
    "users": _users,
    "items": _items,
}
"""The splits that any data set has; official folds come with a layout."""
ONE_OUT = ("leave-one-out", "one-random")
"""Splits that hold out one rating a user: lists of these are ranked against sampled negatives."""
