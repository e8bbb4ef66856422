# SPDX-License-Identifier: Apache-2.0
"""The whole way over Flower: supervisor, SuperLink, SuperExec, ServerApp, guard, five devices."""

from pathlib import Path

import numpy as np

from server.operate import covered_plan
from shared.features import build_catalogue, item_text
from shared.flower import quiet_flower
from shared.ledger.replay import replay
from shared.model.file import load_model
from shared.model.history import History
from shared.text.encoder import load_encoder
from simulation.dataset import Dataset
from simulation.deployed import Server
from tests.federation.street import found, neighbourhood

USERS = 5


def test_five_devices_make_a_model_over_flower(
    tmp_path: Path, hamlet: Dataset, lookups: Path
) -> None:
    vectors = np.asarray(load_encoder("characters").encode(item_text(hamlet.items)))
    catalogue, basis = build_catalogue(hamlet.items, vectors)
    rng = np.random.default_rng(5)
    owners = [
        History(rng.permutation(len(catalogue))[:9], rng.choice([-1.0, 0.0, 1.5], 9))
        for _ in range(USERS)
    ]
    folder = found(tmp_path / "operator", catalogue, basis, users=USERS, dropout=0.3)
    quiet_flower(folder.flower.path / "home")
    with Server(folder.path) as server, neighbourhood(folder, owners, tmp_path) as devices:
        outcome = server.process.wait(240)
    assert outcome == 0, (folder.path / "start.log").read_text()[-3000:]
    assert not lookups.exists()  # none of five processes looked a name up
    assert not [device.errors for device in devices if device.errors]
    load_model((folder.path / "model.safetensors").read_bytes(), catalogue)
    book = replay(folder.path / "ledger").book
    plan = covered_plan(folder, catalogue, folder.draft)
    rounds = sum(release.rounds for release in plan.releases)
    assert (book.rounds, book.released) == (rounds, rounds)
    assert book.survivors_min >= 4
    assert book.rho == plan.rho
    receipts = {found for device in devices for _, _, found in device.door.charges}
    records = (folder.path / "ledger" / "records.jsonl").read_text()
    assert 4 * rounds <= len(receipts) <= USERS * rounds
    assert all(records.count(receipt) == 1 for receipt in receipts)
