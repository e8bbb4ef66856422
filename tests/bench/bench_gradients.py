# SPDX-License-Identifier: Apache-2.0
"""Private against plain step of the network block: 600 users × 166 ratings, one thread.

Run: OMP_NUM_THREADS=1 python -m tests.bench.bench_gradients
Both sides start from the same arrays per user and pay for stacking them; "compute" leaves the
stacking out on the plain side and shows what it hides. Times alternate in one run, so a busy
machine hits all. The goal is a ratio of at most 1.3.
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from shared.gradients import NetworkTrunk, user_gradients
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


def private_step(users: list[UserTasks]) -> np.ndarray:
    gradients = user_gradients(NetworkTrunk(SHAPE, initial_network(SHAPE, 0)), users)
    norms = np.sqrt(np.einsum("ud,ud->u", gradients, gradients))
    return np.minimum(1.0, 1.0 / norms) @ gradients


def stacked(users: list[UserTasks]) -> list[torch.Tensor]:
    return [
        torch.from_numpy(np.concatenate([getattr(u, name) for u in users])).float()
        for name in ("inputs", "residual", "weight")
    ]


def plain_step(arrays: list[torch.Tensor], model: torch.nn.Module) -> None:
    model.zero_grad()
    inputs, residual, weight = arrays
    (0.5 * weight * (residual - model(inputs)) ** 2).sum().backward()


def main() -> None:
    torch.set_num_threads(1)
    users = cohort()
    model = torch.nn.Sequential(
        torch.nn.Linear(SHAPE.inputs, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2, bias=False)
    )
    once = stacked(users)
    sides: dict[str, Callable[[], object]] = {
        "plain": lambda: plain_step(stacked(users), model),
        "plain, compute": lambda: plain_step(once, model),
        "private": lambda: private_step(users),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(REPEATS):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            times[name].append(time.perf_counter() - start)
    median = {name: float(np.median(values)) for name, values in times.items()}
    print({name: round(value, 4) for name, value in median.items()})
    print(f"ratio with stacking {median['private'] / median['plain']:.2f}")
    extra = median["plain"] - median["plain, compute"]
    own = (median["private"] - extra) / median["plain, compute"]
    print(f"ratio less the plain side's stacking on both {own:.2f}")


if __name__ == "__main__":
    main()
