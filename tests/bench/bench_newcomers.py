# SPDX-License-Identifier: Apache-2.0
"""New people, new items, people followed through time: tables on ML-100K, otherwise the village.

Run with ``pytest tests/bench/bench_newcomers.py -o addopts=--import-mode=importlib -s``. Without
privacy, item block alone. Items: the same held-out rows are predicted after 0, 1, 3 and 10 ratings
of each new item have entered a training.
"""

import numpy as np
import pytest

from server.plan import make_plan
from shared.config import RunConfig
from shared.metrics import rmse
from simulation.cold_start import RATINGS, cold_start, hit_chance, negatives
from simulation.devices import DevicePredictor, devices_of
from simulation.federation import federate
from simulation.over_time import follow, latest
from simulation.run import _engine, prepare
from simulation.splits import split
from tests.simulation.made import DATA

CONFIG = RunConfig(no_privacy=True, blocks=("items",))


@pytest.fixture(scope="module")
def stage():
    folder = DATA / "ml-100k"
    data = str(folder) if folder.is_dir() else "village"
    return prepare(CONFIG.model_copy(update={"data": data}), print)


def trained(stage, enrolled):
    """A model of some devices."""
    plan = make_plan(CONFIG, len(enrolled), stage.catalogue)
    return federate(enrolled, stage.catalogue, plan, _engine(CONFIG))


def test_bench_new_people(stage):
    for seed in range(3):
        parts = split(stage.dataset, "users", 0.2, seed)
        devices = devices_of(stage.dataset, parts.known)
        away = set(parts.history.users.tolist())
        model = trained(stage, [d for u, d in enumerate(devices) if u not in away])
        for row in cold_start(model, devices, parts, stage.dataset.scale, seed) or ():
            print(seed, row)


def test_bench_new_items(stage):
    rows, size = stage.dataset.interactions, len(stage.dataset.items)
    rng = np.random.default_rng(0)
    counts = np.bincount(rows.items, minlength=size)
    new = rng.choice(np.flatnonzero(counts >= 20), size // 10, replace=False)
    order = np.lexsort((rng.random(len(rows)), rows.items))
    place = np.empty(len(rows), dtype=np.int64)
    place[order] = np.arange(len(rows)) - np.searchsorted(rows.items[order], rows.items[order])
    is_new = np.isin(rows.items, new)
    test = rows.take(np.flatnonzero(is_new & (place >= max(RATINGS)))[::5])
    for count in RATINGS:
        devices = devices_of(stage.dataset, rows.take(~is_new | (place < count)))
        shown = DevicePredictor(trained(stage, devices), devices, stage.dataset.scale)
        stars = np.array(
            [shown.rate(u, np.array([j]))[0] for u, j in zip(test.users, test.items, strict=True)]
        )
        hits = []
        for user, item in zip(test.users[::5].tolist(), test.items[::5].tolist(), strict=True):
            scores = shown.score(user)
            drawn = negatives(size, item, devices[user].items, (0, user, item))
            hits.append(hit_chance(scores[item], scores[drawn]))
        print(
            {
                "of": "item",
                "ratings": count,
                "rmse": rmse(stars, test.ratings),
                "hr@10": np.mean(hits),
            }
        )


def test_bench_people_through_time(stage):
    parts = latest(stage.dataset)
    devices = devices_of(stage.dataset, parts.known)
    print(follow(trained(stage, devices), devices, parts.test, stage.dataset.scale, 0))
