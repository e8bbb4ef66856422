# SPDX-License-Identifier: Apache-2.0
"""What `flwr run .` runs: a small federation of the village, one person on each of Flower's nodes.

The two components that `pyproject.toml` names. Both are the deployment's own apps, given people to
work for; the bundle that Flower packs holds no code, so what runs is what is installed.
"""

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from client.encoder import load_encoder
from server.folder import OperatorFolder
from shared.config import RunConfig
from shared.errors import UsageError
from shared.features import build_catalogue, item_text
from shared.ledger.replay import replay
from shared.model.file import load_model
from shared.privacy.accountant import epsilon
from simulation.baselines import UserMean
from simulation.dataset import Dataset
from simulation.devices import DevicePredictor, devices_of
from simulation.evaluate import evaluate
from simulation.flower import deployment, found, serve, settled, told
from simulation.splits import Split, split
from simulation.village import village
from simulation.virtual import VirtualDevices, place_of

NODES_MIN = 2
"""Fewer have no sum; two of them is what Flower itself starts with."""

serverapp = ServerApp()
clientapp = VirtualDevices()


@serverapp.main()
def main(grid: Grid, context: Context) -> None:
    """Settle a village on the nodes, run its federation, print what came of it."""
    place = place_of(context.run_id)
    try:
        for line in run(grid, context, place, _print):
            _print(line)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def run(grid: Grid, context: Context, place: Path, say: Callable[[str], None]) -> list[str]:
    """Run the federation; return the lines of its result."""
    nodes, chosen = len(settled(grid)), context.run_config
    if nodes < NODES_MIN:
        raise UsageError(
            f"a federation must have at least {NODES_MIN} nodes, got {nodes}.",
            hint="flwr run . --federation-config 'num-supernodes=8'",
        )
    dataset = village(nodes, int(chosen["items"]), seed=int(chosen["seed"]))
    parts = split(dataset, "random", 0.1, int(chosen["seed"]))
    config = RunConfig(
        target_epsilon=float(chosen["target-epsilon"]),
        rounds=int(chosen["rounds"]),
        dropout=0.0 if nodes < 6 else 0.2,
        budget={"item_sums": 0.7, "trunk_items": 0.3},
    )
    vectors = np.asarray(load_encoder("characters").encode(item_text(dataset.items)))
    catalogue, basis = build_catalogue(dataset.items, vectors)
    devices = devices_of(dataset, parts.known)
    declared = dataset.comments_declared
    found(place, deployment(config, nodes, comments=declared), catalogue, basis, devices, None)
    with told(say):
        serve(grid, context, place)
    return _result(place / "operator", dataset, parts)


def _result(operator: Path, dataset: Dataset, parts: Split) -> list[str]:
    """Say what the federation gave and what it cost."""
    catalogue = OperatorFolder(operator).catalogue
    model = load_model((operator / "model.safetensors").read_bytes(), catalogue)
    devices = devices_of(dataset, parts.known)
    shared = DevicePredictor(model, devices, dataset.scale)
    users, items = len(dataset.users), len(dataset.items)
    alone = UserMean(parts.known, dataset.scale, users, items)
    rmse, mean = (
        evaluate(
            one,
            parts,
            items_count=items,
            categories=dataset.items.categories,
            seed=0,
            ranking=False,
        )["rmse"]
        for one in (shared, alone)
    )
    book = replay(operator / "ledger").book
    assert book.run is not None  # noqa: S101 - a run that released has opened its ledger
    delta = float(Fraction(book.run["delta"]))
    return [
        f"{users} devices, {items} items, {book.released} rounds released, "
        f"{book.discarded} discarded; the ledger replays",
        f"ε {epsilon(book.rho, delta):.2f} at δ {delta:.0e}",
        f"RMSE on held-out ratings {rmse:.3f} stars, {mean:.3f} by the user's mean",
        f"model {book.releases[-1]['file']}",
    ]


def _print(line: str) -> None:
    """Show a line where `flwr run --stream` and `flwr log` find it."""
    print(line, flush=True)  # noqa: T201
