# SPDX-License-Identifier: Apache-2.0
"""One owner's list from 10^5 items, numpy alone, one thread; the goal is 20 ms.

Run: OMP_NUM_THREADS=1 python -m tests.bench.bench_ranking
A device solves θ_u when the history changes and keeps it; both times are printed.
"""

import time
from collections.abc import Callable

import numpy as np

from shared.catalogue import Catalogue, FeatureBlock
from shared.model.interest import NAMES, InterestModel
from shared.ranking.interest import Interest

ITEMS, EVENTS, REPEATS = 100_000, 100, 15


def made_up(rng: np.random.Generator) -> Interest:
    """Return interest over random items of the usual sizes: 384 texts, 18 kinds, 32 directions."""
    text = rng.standard_normal((ITEMS, 384), dtype=np.float32)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    kinds = np.eye(18)[rng.integers(18, size=ITEMS)]
    features = rng.standard_normal((ITEMS, 53))
    names = ("",) * ITEMS
    log_age = np.log1p(rng.integers(0, 90, ITEMS).astype(float))
    blocks = (FeatureBlock("text", 0, 53),)
    catalogue = Catalogue(names, names, features, blocks, text, kinds, log_age)
    model = InterestModel(
        rng.standard_normal(ITEMS),
        rng.standard_normal(ITEMS),
        rng.standard_normal((55, 32)) / 8,
        rng.standard_normal(len(NAMES)) / 4,
        rng.standard_normal((32, 32)) / 50,
        rng.standard_normal((32, 4)) / 4,
        np.zeros(32),
        rng.standard_normal((ITEMS, 5)) / 5,
        np.full(1, 0.2),
    )
    return Interest.of(catalogue, model)


def milliseconds(action: Callable[[], object]) -> float:
    """Return the median processor time of an action: on a quiet machine, its time."""
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        action()
        times.append(time.process_time() - started)
    return float(np.median(times)) * 1e3


def main() -> None:
    """Print both times."""
    rng = np.random.default_rng(0)
    ready = made_up(rng)
    history = rng.permutation(ITEMS)[:EVENTS]
    weights = ready.weights(history)
    listed = milliseconds(lambda: ready.rank(history, 10, weights=weights))
    solved = milliseconds(lambda: ready.weights(history))
    print(f"list of 10 from {ITEMS:,} items after {EVENTS} events: {listed:.1f} ms")
    print(f"weights of the owner: {solved:.1f} ms")


if __name__ == "__main__":
    main()
