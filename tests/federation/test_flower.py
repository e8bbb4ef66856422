# SPDX-License-Identifier: Apache-2.0
"""The whole way over Flower: supervisor, SuperLink, SuperExec, ServerApp, guard, five devices."""

from pathlib import Path

import numpy as np

from server.catalogue import update
from server.operate import covered_plan
from shared.comments_file import load_comments
from shared.features import build_catalogue, item_text
from shared.flower import quiet_flower
from shared.ledger.replay import replay
from shared.model.file import load_model
from shared.model.history import History
from shared.publication import state
from shared.text.encoder import load_encoder
from simulation.dataset import Dataset
from simulation.deployed import Server
from tests.federation.made import seeded_key
from tests.federation.street import found, neighbourhood

USERS = 5
SHARES = {"item_sums": 0.5, "population_prior": 0.1, "trunk_items": 0.3, "metrics": 0.1}


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
    folder = found(
        tmp_path / "operator",
        catalogue,
        basis,
        users=USERS,
        dropout=0.3,
        encoder="characters",
        budget=SHARES,
    )
    new = tmp_path / "items.csv"
    new.write_text("item_id,title,genres,description\nnew,A newer hedge,Drama,It grows.\n")
    update(folder, new)
    quiet_flower(folder.flower.path / "home")
    with Server(folder.path) as server, neighbourhood(folder, owners, tmp_path) as devices:
        for device in devices:
            device.door.known = catalogue
        author = devices[0]
        author.door.told = (
            state(seeded_key("device 0"), folder.config.run, 1, "new", "a hedge to remember"),
        )
        outcome = server.process.wait(240)
    assert outcome == 0, (folder.path / "start.log").read_text()[-3000:]
    assert not lookups.exists()  # none of five processes looked a name up
    assert not [device.errors for device in devices if device.errors]
    newest = folder.newest_catalogue[0]
    assert len(newest) == len(catalogue) + 1
    load_model((folder.path / "model.safetensors").read_bytes(), newest)
    assert set(author.door.uploaded) == {1}  # asked again it answers again, to no effect
    took = [device.door for device in devices if device.door.model]
    assert len(took) >= 4
    for door in took:
        assert door.model == (folder.path / "model.safetensors").read_bytes()
        assert door.listed == folder.newest_file.read_bytes()
        assert load_comments(door.spoken or b"").texts == ("a hedge to remember",)
    book = replay(folder.path / "ledger").book
    plan = covered_plan(folder, catalogue, folder.draft)
    rounds = sum(release.rounds for release in plan.releases)
    assert (book.rounds, book.released) == (rounds, rounds)
    assert (len(book.releases), book.publications) == (2, 1)
    (measured,) = book.metrics
    assert set(measured["figures"]) > {"rmse_user", "rmse_user_se"}
    assert book.survivors_min >= 4
    assert book.rho == plan.rho
    receipts = {found for device in devices for _, _, found in device.door.charges}
    records = (folder.path / "ledger" / "records.jsonl").read_text()
    assert 4 * rounds <= len(receipts) <= USERS * rounds
    assert all(records.count(receipt) == 1 for receipt in receipts)
