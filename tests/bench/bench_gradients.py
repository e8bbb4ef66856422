# SPDX-License-Identifier: Apache-2.0
"""Private against plain step of the network block: 600 users × 166 ratings, one thread.

Run: OMP_NUM_THREADS=1 python -m tests.bench.bench_gradients
Both steps stack the same per-user arrays with the same code; the "compute" rows start from stacked
tensors (what a plain trainer with a ready data set pays). Times alternate in one run, so a busy
machine hits all. The goal is a ratio of at most 1.3.
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from shared.gradients import (
    NetworkTrunk,
    _NetworkLayer,
    _padded,
    _per_user,
    _private,
    bucket_by_length,
    user_gradients,
)
from shared.model.network import NetworkShape, initial_network
from shared.model.tasks import UserTasks

SHAPE = NetworkShape(factors=8, profile=32, features=57)
USERS, RATINGS, REPEATS = 600, 166, 15


def cohort() -> list[UserTasks]:
    rng = np.random.default_rng(0)
    return [
        UserTasks(
            np.arange(RATINGS),
            np.zeros((RATINGS, 2, 8)),
            rng.standard_normal((RATINGS, SHAPE.inputs)),
            rng.standard_normal((RATINGS, 2)),
            np.ones((RATINGS, 2)),
        )
        for _ in range(USERS)
    ]


def clipped_sum(gradients: np.ndarray) -> np.ndarray:
    norms = np.sqrt(np.einsum("ud,ud->u", gradients, gradients))
    return np.minimum(1.0, 1.0 / norms) @ gradients


def stacked(users: list[UserTasks]) -> list[torch.Tensor]:
    names = ("inputs", "residual", "weight")
    return [_padded([getattr(u, name) for u in users], torch.float32) for name in names]


def plain_step(arrays: list[torch.Tensor], model: torch.nn.Module) -> None:
    model.zero_grad()
    inputs, residual, weight = (array.flatten(0, 1) for array in arrays)
    (0.5 * weight * (residual - model(inputs)) ** 2).sum().backward()


def private_compute(buckets: list[list[torch.Tensor]], parameters: np.ndarray) -> np.ndarray:
    model = _private(_NetworkLayer(SHAPE, parameters))
    parts = [_per_user(model, (x,), y, w).numpy() for x, y, w in buckets]
    return sum(clipped_sum(part) for part in parts)


def main() -> None:
    torch.set_num_threads(1)
    users = cohort()
    parameters = initial_network(SHAPE, 0) + 0.1
    trunk = NetworkTrunk(SHAPE, parameters)
    model = torch.nn.Sequential(
        torch.nn.Linear(SHAPE.inputs, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2, bias=False)
    )
    once = stacked(users)
    lengths = np.array([len(user) for user in users])
    ready = [stacked([users[row] for row in rows]) for rows in bucket_by_length(lengths)]
    sides: dict[str, Callable[[], object]] = {
        "plain": lambda: plain_step(stacked(users), model),
        "private": lambda: clipped_sum(user_gradients(trunk, users)),
        "plain, compute": lambda: plain_step(once, model),
        "private, compute": lambda: private_compute(ready, parameters),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(REPEATS):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            times[name].append(time.perf_counter() - start)
    median = {name: float(np.median(values)) for name, values in times.items()}
    for name, seconds in median.items():
        print(f"{name:18s}{seconds:.4f} s")
    print(f"ratio              {median['private'] / median['plain']:.2f}")
    print(f"ratio, compute     {median['private, compute'] / median['plain, compute']:.2f}")


if __name__ == "__main__":
    main()
