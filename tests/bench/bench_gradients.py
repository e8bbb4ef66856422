# SPDX-License-Identifier: Apache-2.0
"""Private against plain step of the network block: 600 users × 166 ratings, one thread.

Run: OMP_NUM_THREADS=1 python -m tests.bench.bench_gradients
Both steps stack the same per-user arrays with the same code; the "compute" rows start from stacked
tensors (what a plain trainer with a ready data set pays, and what a run pays after its first
round). CPU seconds of this process, the sides by turns. The goal is a ratio of at most 1.3.
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from shared.gradients import (
    NetworkTrunk,
    _padded,
    stack_users,
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


def main() -> None:
    torch.set_num_threads(1)
    users = cohort()
    parameters = initial_network(SHAPE, 0) + 0.1
    trunk = NetworkTrunk(SHAPE, parameters)
    model = torch.nn.Sequential(
        torch.nn.Linear(SHAPE.inputs, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2, bias=False)
    )
    ready = stack_users(users)
    batches = [list(bucket[1:]) for bucket in ready.buckets]
    sides: dict[str, Callable[[], object]] = {
        "plain": lambda: plain_step(stacked(users), model),
        "private": lambda: clipped_sum(user_gradients(trunk, users)),
        "plain, compute": lambda: [plain_step(batch, model) for batch in batches],
        "private, compute": lambda: user_gradients(trunk, ready),
        "private, clipped": lambda: clipped_sum(user_gradients(trunk, ready)),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(REPEATS):
        for name, side in sides.items():
            start = time.process_time()
            side()
            times[name].append(time.process_time() - start)
    median = {name: float(np.median(values)) for name, values in times.items()}
    for name, seconds in median.items():
        print(f"{name:18s}{seconds:.4f} s")
    print(f"ratio              {median['private'] / median['plain']:.2f}")
    print(f"ratio, compute     {median['private, compute'] / median['plain, compute']:.2f}")


if __name__ == "__main__":
    main()
