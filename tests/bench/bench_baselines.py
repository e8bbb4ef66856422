# SPDX-License-Identifier: Apache-2.0
"""What a claim of utility must beat, in one table: means, a device alone, A+, bias + factors.

Run with ``pytest tests/bench/bench_baselines.py -o addopts=--import-mode=importlib``. On ML-100K
(PRIVET_DATA_DIR) over the official folds, otherwise on the village. A+ is the cheapest private
competitor: one noisy sum gives item offsets, a local ridge on genres does the rest. Its noise is
continuous and seeded: a yardstick of utility, not a mechanism to deploy.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from shared.model.ridge import posterior
from simulation.baselines import ItemUserMean, Popularity, UserMean
from simulation.evaluate import evaluate, indicators
from simulation.layouts import load
from simulation.splits import split

DATA = Path(os.environ.get("PRIVET_DATA_DIR", Path(__file__).parents[3] / "shared" / "data"))
NOISE = {"no DP": 0.0, "ε = 8": 0.600, "ε = 4": 1.081, "ε = 2": 1.994, "ε = 1": 3.730}
"""Noise multiplier of one release at δ = 1e-5, zero-out; one cohort."""
OFFSET_SD, COUNT_SHARE, USER_DAMPING = 0.38, 0.8, 8.0
PRIOR = (1 / 3, 1 / 20)
"""Prior variance of a user's level and of their taste in genres, in r'."""
FACTORS, SWEEPS, REGULARISATION = 20, 10, 0.15
"""Like PRIOR chosen on 20 % of the rows of u1's training part."""


class Ridge(Popularity):
    """A ridge on genres on each device, over item offsets that came from somewhere."""

    def __init__(self, known, dataset, offset):
        super().__init__(known, len(dataset.items))
        self.scale, self.offset = dataset.scale, offset
        genres = indicators(dataset.items.categories)
        genres -= genres.mean(axis=0)
        genres /= np.sqrt(np.mean(np.sum(genres**2, axis=1)))
        level = np.full((len(genres), 1), np.sqrt(PRIOR[0]))
        self.features = np.hstack([level, genres * np.sqrt(PRIOR[1])])  # (I, 1 + G)
        self.users = [self._fit(*history) for history in _histories(known, dataset)]

    def _fit(self, items, target):
        features = self.features[items]
        return posterior(features, target - self.offset[items], np.eye(features.shape[1])).mean

    def rate(self, user, items):
        unit = self.offset[items] + self.features[items] @ self.users[user]
        return self.scale.from_unit(unit)


class Factors(ItemUserMean):
    """Bias + alternating least squares on what the offsets leave, damped by number of ratings.

    Source: Zhou et al. (2008), "Large-scale parallel collaborative filtering", 3.1.
    """

    def __init__(self, known, dataset):
        users, items = len(dataset.users), len(dataset.items)
        super().__init__(known, dataset.scale, users, items)
        left = known.ratings - self._mean - self._item[known.items] - self._user[known.users]
        rng = np.random.default_rng(0)
        self.p, self.q = np.zeros((users, FACTORS)), rng.normal(0, 0.1, (items, FACTORS))
        by_user, by_item = _groups(known.users, users), _groups(known.items, items)
        for _ in range(SWEEPS):
            _solve(self.p, by_user, self.q, known.items, left)
            _solve(self.q, by_item, self.p, known.users, left)

    def rate(self, user, items):
        stars = self._mean + self._item[items] + self._user[user] + self.q[items] @ self.p[user]
        return np.clip(stars, self._scale.low, self._scale.high)


def _solve(target, groups, other, columns, left):
    """Solve one side given the other."""
    for row, rows in enumerate(groups):
        if len(rows):
            x = other[columns[rows]]  # (n, k)
            gram = x.T @ x + REGULARISATION * len(rows) * np.eye(FACTORS)
            target[row] = np.linalg.solve(gram, x.T @ left[rows])


def _groups(rows, size):
    order = np.argsort(rows, kind="stable")
    return np.split(order, np.searchsorted(rows[order], np.arange(1, size)))


def _histories(known, dataset):
    """Return each user's items and r'."""
    unit = dataset.scale.to_unit(known.ratings)
    groups = _groups(known.users, len(dataset.users))
    return [(known.items[rows], unit[rows]) for rows in groups]


def noisy_offsets(known, dataset, multiplier, rng):
    """Release item offsets once: rows (y, count share) of a user scaled to norm 1, plus noise."""
    sums = np.zeros((len(dataset.items), 2))
    for items, unit in _histories(known, dataset):
        if len(items):
            y = np.clip(unit - unit.sum() / (len(unit) + USER_DAMPING), -2, 2)
            rows = np.stack([y, np.full(len(y), COUNT_SHARE)], axis=1)
            sums[items] += rows / max(np.linalg.norm(rows), 1e-3)
    sums += rng.normal(0, multiplier, sums.shape)
    weight = np.maximum(sums[:, 1] / COUNT_SHARE, 0.3 + multiplier)
    spread = (multiplier**2 + 0.09 * weight) / weight**2
    precision = 1 / (OFFSET_SD**2 + spread)
    raw = sums[:, 0] / weight
    centre = np.sum(precision * raw) / precision.sum()
    return centre + OFFSET_SD**2 * precision * (raw - centre)


def contenders(known, dataset, fold):
    """Yield name, noise and predictor of every row of the table."""
    sizes = len(dataset.users), len(dataset.items)
    yield "user mean", "no DP", UserMean(known, dataset.scale, *sizes)
    yield "local ridge on genres", "no DP", Ridge(known, dataset, np.zeros(sizes[1]))
    yield "item + user mean", "no DP", ItemUserMean(known, dataset.scale, *sizes)
    for name, multiplier in NOISE.items():
        rng = np.random.default_rng([fold, 1])
        yield "A+", name, Ridge(known, dataset, noisy_offsets(known, dataset, multiplier, rng))
    yield "bias + factors", "no DP", Factors(known, dataset)


def table():
    """Return the mean RMSE over folds by name and noise, and what it was measured on."""
    folder = DATA / "ml-100k"
    dataset = load(str(folder) if folder.is_dir() else "village")
    folds = [name for name in dataset.folds if name in ("u1", "u2", "u3", "u4", "u5")]
    found: dict[tuple[str, str], list[float]] = {}
    for index, fold in enumerate(folds or ["random"]):
        parts = split(dataset, fold)
        for name, noise, predictor in contenders(parts.known, dataset, index):
            figures = evaluate(
                predictor, parts, items_count=len(dataset.items),
                categories=dataset.items.categories, seed=0, ranking=False,
            )  # fmt: skip
            found.setdefault((name, noise), []).append(figures["rmse"])
    return dataset.name, {key: float(np.mean(values)) for key, values in found.items()}


def test_baselines_stand_in_their_order(capsys):
    where, rows = table()
    with capsys.disabled():
        print(f"\n{where}, RMSE in stars\n{'':24}" + "".join(f"{n:>9}" for n in NOISE))
        for name in dict.fromkeys(name for name, _ in rows):
            cells = (rows.get((name, noise)) for noise in NOISE)
            print(f"{name:24}" + "".join(f"{c:9.4f}" if c else " " * 9 for c in cells))
    assert rows["bias + factors", "no DP"] < rows["item + user mean", "no DP"]
    assert rows["item + user mean", "no DP"] < rows["user mean", "no DP"]
    private = [rows["A+", noise] for noise in NOISE]
    assert private == pytest.approx(sorted(private), abs=0.003)
