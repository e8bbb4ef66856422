# SPDX-License-Identifier: Apache-2.0
"""What it brings that each step uses the noise of the actual survivors, not the plan's.

    python -m tests.bench.bench_survivors [--dropout .1 .3] [--draws 3] [--villages 3]

In each round a random part of the village's devices drops out, so the sum lacks their answers and
their noise. Both servers get the very same draws; one is told the plan's figures, one who is there.
"""

import argparse
import sys

import numpy as np

from client.training import Cohort
from server.plan import Plan, Release, Summed, make_plan
from server.training import train
from shared.config import RunConfig
from shared.features import build_catalogue, item_text
from shared.model.history import History
from shared.model.released import SharedModel
from shared.model.view import View
from shared.privacy.encode import decode, encode
from shared.privacy.noise import discrete_gaussian
from shared.privacy.query import SparseVector
from shared.text.encoder import load_encoder
from simulation.dataset import Dataset
from simulation.devices import devices_of
from simulation.noise import SimulationRng
from simulation.splits import Split, split
from simulation.village import village

ENCODER = load_encoder("characters")


class Dropping:
    """`ask` with drop-outs: the noise of a sum is that of the devices that stayed."""

    def __init__(self, devices: list[History], dropout: float, seed: int, *, told: bool) -> None:
        self.devices, self.dropout, self.told = devices, dropout, told
        self.rng = np.random.default_rng(seed)
        self.source = SimulationRng(seed)

    def ask(self, release: Release, server_round: int, view: View) -> Summed:
        mechanism = release.mechanism
        assert mechanism is not None
        stay = len(self.devices) - round(self.dropout * len(self.devices))
        here = np.sort(self.rng.permutation(len(self.devices))[:stay])
        total = np.zeros(release.query.dimension, dtype=np.int64)
        for answer in Cohort([self.devices[user] for user in here]).answers(view):
            sent = encode(answer, release.query, mechanism, self.rng)
            if isinstance(sent, SparseVector):
                total[sent.indices] += sent.values
            else:
                total += sent
        total += discrete_gaussian(stay * mechanism.sigma2, total.size, self.source)
        decoded = decode(total, release.query, mechanism)
        return release.summed(decoded, stay if self.told else None)


def rmse(model: SharedModel, devices: list[History], parts: Split, dataset: Dataset) -> float:
    errors = []
    for user, own in enumerate(devices):
        rows = parts.test.users == user
        stars = dataset.scale.from_unit(model.rate(own, parts.test.items[rows]))
        errors.append(stars - parts.test.ratings[rows])
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


def pairs(seed: int, dropout: float, draws: int) -> list[tuple[float, float]]:
    """Return the RMSE with the plan's figures and with the survivors', draw by draw."""
    dataset = village(seed=seed)
    catalogue, _ = build_catalogue(
        dataset.items, np.asarray(ENCODER.encode(item_text(dataset.items)))
    )
    parts = split(dataset, "random", 0.1, seed)
    devices = devices_of(dataset, parts.known)
    config = RunConfig(target_epsilon=8.0, dropout=dropout, objective="ratings")
    plan: Plan = make_plan(config, len(devices), catalogue)
    found = []
    for draw in range(draws):
        both = []
        for told in (False, True):
            asking = Dropping(devices, dropout, 1000 * seed + draw, told=told)
            both.append(rmse(train(catalogue, plan, asking.ask), devices, parts, dataset))
        found.append((both[0], both[1]))
    return found


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--dropout", type=float, nargs="+", default=[0.1, 0.3])
    words.add_argument("--draws", type=int, default=3)
    words.add_argument("--villages", type=int, default=3)
    args = words.parse_args()
    for dropout in args.dropout:
        found = []
        for seed in range(301, 301 + args.villages):
            found += pairs(seed, dropout, args.draws)
        plan, told = np.array(found).T
        gain = plan - told
        sys.stdout.write(
            f"dropout {dropout:.0%}: plan {plan.mean():.4f}, survivors {told.mean():.4f}, "
            f"gain {gain.mean():+.5f} (sd {gain.std(ddof=1):.5f}, {len(gain)} runs)\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
