# SPDX-License-Identifier: Apache-2.0
"""A device against its goals: cold start 0.5 s, 120 MB; a local round 150 ms, 700 MB.

    python -m pytest tests/bench/bench_device.py --benchmark-enable -o addopts=

Times of whole processes include starting Python; processor time is printed beside them, because a
busy machine waits more. Memory is the largest resident set of a process of its own.
"""

import os
import resource
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from client.device import Device
from client.store import Store
from server.plan import make_plan
from server.training import train
from shared.catalogue import save_catalogue
from shared.config import RunConfig
from shared.features import build_catalogue, item_text
from shared.model.file import save_model
from shared.model.queries import trunk_network_query
from shared.privacy.canonical import digest, sign
from shared.privacy.door import Contribution
from shared.privacy.plan import mechanism_for
from shared.privacy.policy import RoundConfig
from shared.text.encoder import load_encoder
from simulation.devices import devices_of
from simulation.village import village
from tests.client.made_store import COHORT, POLICY, SERVER, joined

RATINGS = 200


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A village of 1,682 items with a trained model, and one question of every kind."""
    folder = tmp_path_factory.mktemp("world")
    people = village(60, 1682, seed=5)
    encoder = load_encoder("default", os.environ.get("PRIVET_CACHE_DIR"))
    vectors = np.asarray(encoder.encode(item_text(people.items)))
    catalogue, basis = build_catalogue(people.items, vectors, encoder=encoder.name)
    save_catalogue(folder / "catalogue.safetensors", catalogue, basis)
    devices = devices_of(people, people.interactions)
    plan = make_plan(
        RunConfig(no_privacy=True, rounds=1, blocks=("items", "network")),
        len(devices),
        catalogue,
        comments=True,
    )
    views = {}

    def ask(release, server_round, view):
        query = release.query
        if query.name == "trunk_network":
            query = trunk_network_query(query.dimension)
        views.setdefault(query.name, (query, view))
        return release.summed(np.zeros(query.dimension))

    model = train(catalogue, plan, ask)
    (folder / "model.safetensors").write_bytes(save_model(model))
    return folder, views


@pytest.fixture(scope="module")
def home(world, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device with 200 ratings, a quarter of them commented."""
    folder = tmp_path_factory.mktemp("device") / "home"
    model = world[0] / "model.safetensors"
    with Device.create(folder, world[0] / "catalogue.safetensors", model) as device:
        ids = device.catalogue.item_ids
        said = ["a comment", "", "", ""]
        rows = [f"{ids[7 * n]},{1 + n % 5},{n},{said[n % 4]}" for n in range(RATINGS)]
        table = folder.parent / "mine.csv"
        table.write_text("item_id,rating,timestamp,comment\n" + "\n".join(rows))
        device.add(table)
        joined(device)
    return folder


@pytest.mark.benchmark(group="cold start of a command, goal 500 ms")
@pytest.mark.parametrize("words", ["status", "receipts", "recommend", "explain"])
def test_cold_start(benchmark, home: Path, words: str) -> None:
    with Device.open(home) as device:
        item = [device.catalogue.item_ids[3]] * (words == "explain")
    command = [sys.executable, "privet.py", "client", words, str(home), *item]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    benchmark.pedantic(
        lambda: subprocess.run(command, check=True, capture_output=True), rounds=5, warmup_rounds=1
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"\n{words}: {spent / 6:.3f} s of processor time a start")


@pytest.mark.parametrize("words", ["status", "recommend"])
def test_memory_of_a_command(home: Path, words: str) -> None:
    code = (
        "import re, privet, sys\n"
        f"privet.main(['client', {words!r}, {str(home)!r}])\n"
        r"peak = re.search('VmHWM:\s+(\d+)', open('/proc/self/status').read())[1]"
        "\nprint(int(peak) // 1024, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    print(f"\n{words}: {done.stderr.split()[-1]} MB (goal 120)")


def _ask(device: Device, query, view, round_: int) -> None:
    mechanism = mechanism_for(query, Fraction(1, 10_000), COHORT)
    config = RoundConfig(digest(POLICY), "0", "autumn", round_, query, mechanism)
    given = device.answer(sign(config, SERVER), view, f"s{round_}", now=2000 + round_)
    assert isinstance(given, Contribution)
    device.sent(f"s{round_}", given.residues.nbytes, now=2000 + round_)


@pytest.mark.benchmark(group="a whole local round at 200 ratings, goal 150 ms")
@pytest.mark.parametrize("name", ["item_sums", "population_prior", "trunk_items", "trunk_network"])
def test_local_round(benchmark, world, home: Path, name: str) -> None:
    query, view = world[1][name]
    with Device.open(home) as device:
        device.encode_comments()
        state = device._books.settings.state
        first = max((last.round for last in state.last_rounds), default=0)
        rounds = iter(range(first + 1, first + 1000))
        _ask(device, query, view, next(rounds))  # torch and the sampler's tables are loaded once
        benchmark.pedantic(lambda: _ask(device, query, view, next(rounds)), rounds=8)


def test_memory_of_a_round(world, home: Path) -> None:
    """In a process of its own, with torch and Opacus loaded: the network's question."""
    pid = os.fork()
    if pid == 0:
        query, view = world[1]["trunk_network"]
        with Device.open(home) as device:
            _ask(device, query, view, 900)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        os.write(1, f"\na round: {peak} MB at most, with these tests (goal 700)\n".encode())
        os._exit(0)
    os.waitpid(pid, 0)


@pytest.mark.benchmark(group="50,000 events in sealed segments")
@pytest.mark.parametrize("act", ["in", "scan", "one more"])
def test_sealed_store(benchmark, tmp_path: Path, act: str) -> None:
    rows = [
        {"item": f"i{n}", "stars": 4.0, "at": n, "comment": "x" * 40, "published": False}
        for n in range(50_000)
    ]
    store = Store.create(tmp_path / "s", bytes(32), {"events": rows})
    if act == "in":
        benchmark.pedantic(lambda: store.commit({"more": rows}), rounds=1)
    elif act == "scan":
        store.close()

        def scan() -> None:
            again = Store.open(tmp_path / "s", lambda: bytes(32))
            assert len(again.table("events")) == 50_000
            again.close()

        benchmark.pedantic(scan, rounds=3)
    else:
        benchmark.pedantic(
            lambda: store.commit({"events": [*store.table("events"), rows[0]]}), rounds=5
        )
