# SPDX-License-Identifier: Apache-2.0
"""What each part brings: RMSE and comment AUC with one part left out, three seeds, three budgets.

A seed draws the split and the noise. Village: `pytest tests/bench/bench_ablations.py -s`; real data
where PRIVET_DATA_DIR has them. Single-task rows: `-comments` trains on ratings alone, `-ratings`
gives the trunk's loss to the comments alone.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from server.plan import Plan, Release, make_plan
from shared.catalogue import Catalogue
from shared.config import RunConfig
from shared.features import build_catalogue
from shared.model.history import History
from shared.model.network import NetworkShape
from shared.model.queries import trunk_network_query
from shared.model.released import SharedModel
from shared.privacy.plan import Cohort, mechanism_for
from simulation.comments import comment_figures
from simulation.dataset import Dataset
from simulation.devices import devices_of
from simulation.federation import federate
from simulation.noise import SimulationRng
from simulation.run import Stage, prepare
from simulation.splits import Split, split
from simulation.vectorised import Vectorised

DATA = Path(os.environ.get("PRIVET_DATA_DIR", "../shared/data"))
SETS = ("village", "ml-100k", "amazon-musical-instruments-5core-2014")
BUDGETS = {
    "none": {"no_privacy": True},
    "8": {"target_epsilon": 8.0},
    "1": {"target_epsilon": 1.0},
}
PARTS = (
    "all",
    "-network",
    "-comments",
    "-ratings",
    "-profile",
    "-text",
    "-prior",
    "-kernel",
    "split",
)
SEEDS = (11, 12, 13)


@dataclass(frozen=True)
class World:
    """One data set, ready to be taken apart."""

    stage: Stage
    plain: Catalogue
    """The catalogue without text."""


def world(name: str) -> World:
    """Load and encode one data set."""
    data = name if name == "village" else str(DATA / name)
    if name != "village" and not Path(data).is_dir():
        pytest.skip(f"no {name} in PRIVET_DATA_DIR")
    stage = prepare(RunConfig(data=data, seed=31), lambda line: None)
    return World(stage, build_catalogue(stage.dataset.items, None)[0])


def plan_of(part: str, config: RunConfig, users: int, catalogue: Catalogue, comments: bool) -> Plan:
    """Leave one part out of the plan."""
    plan = make_plan(config, users, catalogue, comments=comments)
    if part == "-ratings":
        return replace(plan, task_weights=(0.0, 1.0))
    if part == "-profile":
        return _narrow(plan, replace(plan.shape, profile=0))
    if part == "-prior":
        kept = tuple(r for r in plan.releases if r.query.name != "population_prior")
        return replace(plan, releases=kept)
    return plan


def _narrow(plan: Plan, shape: NetworkShape) -> Plan:
    """Give the network's release the length of a smaller network."""
    releases = tuple(
        _shorter(release, shape.size) if release.query.name == "trunk_network" else release
        for release in plan.releases
    )
    return replace(plan, shape=shape, releases=releases)


def _shorter(release: Release, size: int) -> Release:
    """Ask for fewer coordinates at the same ρ."""
    query = trunk_network_query(size, release.query.clipping_norm)
    made = release.mechanism
    if made is None:
        return replace(release, query=query)
    away = Fraction(made.cohort_size - made.min_survivors, made.cohort_size)
    cohort = Cohort(made.trust, made.cohort_size, away, made.max_colluders)
    return replace(release, query=query, mechanism=mechanism_for(query, made.rho, cohort))


def one_run(world: World, part: str, budget: str, seed: int) -> tuple[float, float | None]:
    """Train with one part left out; return RMSE and comment AUC on the same held-out rows."""
    dataset: Dataset = world.stage.dataset
    if part == "-comments":
        dataset = replace(dataset, comments_declared=False)
    parts: Split = split(dataset, "random", 0.2, seed)
    catalogue = world.plain if part == "-text" else world.stage.catalogue
    devices = devices_of(dataset, parts.known)
    blocks = ("items",) if part == "-network" else ("items", "network")
    way = "split" if part == "split" else "leave-one-out"
    config = RunConfig.model_validate(
        BUDGETS[budget] | {"blocks": blocks, "reconstruction": way, "objective": "ratings"}
    )
    plan = plan_of(part, config, len(devices), catalogue, dataset.comments_declared)
    engine = Vectorised(np.random.default_rng(seed), SimulationRng(seed))
    model = federate(devices, catalogue, plan, engine.cohort_sum)
    auc = comment_figures(model, devices, parts, dataset)["comment_auc"]
    return rmse(model, devices, parts, dataset, kernel=part != "-kernel"), auc


def rmse(
    model: SharedModel, devices: Sequence[History], parts: Split, dataset: Dataset, *, kernel: bool
) -> float:
    """Root mean squared error in stars over the held-out rows."""
    errors = []
    for user, device in enumerate(devices):
        rows = parts.test.users == user
        if rows.any():
            unit = model.rate(device, parts.test.items[rows], kernel=kernel)
            stars = np.clip(dataset.scale.from_unit(unit), dataset.scale.low, dataset.scale.high)
            errors.append(stars - parts.test.ratings[rows])
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


@pytest.mark.parametrize("name", SETS)
def test_ablations(name: str) -> None:
    """Print one line a part and budget: mean and sd over seeds, and the difference to all parts."""
    made = world(name)
    for budget in BUDGETS:
        whole = np.zeros(len(SEEDS))
        for part in PARTS:
            found = [one_run(made, part, budget, seed) for seed in SEEDS]
            errors = np.array([figures[0] for figures in found])
            whole = errors if part == "all" else whole
            change = errors - whole
            aucs = [figures[1] for figures in found if figures[1] is not None]
            told = f"  comment AUC {np.mean(aucs):.4f} ± {np.std(aucs):.4f}" if aucs else ""
            print(
                f"{name}  epsilon {budget}  {part:10s} RMSE {errors.mean():.4f} "
                f"± {errors.std(ddof=1):.4f}  change {change.mean():+.4f} "
                f"± {change.std(ddof=1):.4f}{told}",
                flush=True,
            )
            assert np.isfinite(errors).all()
