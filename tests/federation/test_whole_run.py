# SPDX-License-Identifier: Apache-2.0
"""One whole run over real Flower, each of its five processes killed twice; then every byte of it.

Supervisor, SuperLink, SuperExec, ServerApp, guard, four devices as threads and one as a process,
with sealed stores. What these devices say and hear is recorded outside of TLS.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from client.device import Device
from shared.privacy.query import SparseVector
from simulation.deployed import PLANTED
from tests.federation.lives import TARGETS, Life, judge, live

USERS, SEED = 5, 4
WINDOW = 8
"""Numbers in a row that are searched for: 32 bytes or more, which no chance repeats."""


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, lookups: Path) -> Life:
    order = np.random.default_rng(SEED).permutation(np.repeat(TARGETS, 2))
    choices = {"reserve": 0.8, "spare_rounds": 8}
    return live(tmp_path_factory.mktemp("life"), USERS, list(map(str, order)), SEED, 2.0, **choices)


def test_two_kills_of_each_process_break_no_promise(life: Life) -> None:
    assert sorted(life.kills) == sorted(2 * TARGETS)
    print(judge(life))


def test_no_neighbour_of_a_killed_process_gives_up(life: Life) -> None:
    assert life.errors == []


def test_no_process_looks_a_name_up_or_speaks_to_another_machine(life: Life, lookups: Path) -> None:
    assert life.kills
    assert not lookups.exists()


# ---- every byte ------------------------------------------------------------------------------


def left(life: Life) -> Iterator[tuple[str, bytes]]:
    """Everything that a server and a listener inside of TLS have after a run."""
    yield "traffic", bytes(life.traffic.said)
    for path in sorted(life.street.operator.rglob("*")):
        if path.is_file():
            yield path.relative_to(life.street.operator).as_posix(), path.read_bytes()


ITEM = rb"film-\d{5}"
PAIR = ITEM + rb"""['"]?[,;:\t ]{1,2}['"]?[1-5][.,;'"\n\r)\]}]"""
RECORD = rb"""['"]item(?:_id)?['"] ?: ?['"]""" + ITEM
RATING = re.compile(PAIR + b"|" + RECORD)
"""A rating of any item in any spelling of the code: a table's row, a pair, a sealed record."""


def windows(values: np.ndarray) -> Iterator[np.ndarray]:
    """Two runs of numbers that are not all the same."""
    for start in range(0, len(values) - WINDOW, max(1, (len(values) - WINDOW) // 2)):
        run = values[start : start + WINDOW]
        if len(set(run.tolist())) > WINDOW // 2:
            yield run


def in_bytes(values: np.ndarray) -> Iterator[bytes]:
    """Numbers as arrays of every kind that the code writes, and as text."""
    kinds = ("<i8", "<i4", ">i4", "<u4") if values.dtype.kind in "iu" else ("<f8", "<f4", ">f8")
    for run in windows(values):
        for kind in kinds:
            yield run.astype(kind).tobytes()
        for between in (",", ", "):
            yield between.join(map(str, run.tolist())).encode()


def needles(life: Life) -> Iterator[tuple[str, bytes]]:
    """Everything private of the run, as bytes."""
    yield "comment", PLANTED.encode()
    for index in life.devices:
        with Device.open(life.street.device(index)) as device:
            own = device.history
            outbox = device._store.table("outbox")[0]
        yield from (("rated rows", needle) for needle in in_bytes(own.items))
        yield "noised vector as it is sealed", outbox["residues"][:64].encode()
    for vector, residues in life.released:
        values = vector.values if isinstance(vector, SparseVector) else vector
        yield from (("vector", needle) for needle in in_bytes(np.asarray(values)))
        yield from (("noised vector", needle) for needle in in_bytes(residues.view(np.int32)))
        yield from (("noised vector", needle) for needle in in_bytes(residues))


def test_nothing_private_is_in_the_traffic_or_on_the_server(life: Life) -> None:
    found = list(needles(life))
    kinds, looked_for = {kind for kind, _ in found}, {needle for _, needle in found}
    assert {"comment", "rated rows", "vector", "noised vector"} <= kinds
    assert len(life.released) >= 4 * (USERS - 1)
    for place, data in left(life):
        assert RATING.search(data) is None, place
        assert not [needle for needle in looked_for if needle in data], place
    total = sum(len(data) for _, data in left(life))
    print(f"{len(looked_for)} needles in {total / 1e6:.1f} MB")


def test_the_search_finds_what_is_there(life: Life) -> None:
    """What a leak would look like, put into the same bytes; and public things that do cross."""
    traffic = bytes(life.traffic.said)
    for said in (b"Contribution", b"Opening", b"/v1/fleet/push-object", b"/files/"):
        assert said in traffic
    with Device.open(life.street.device(0)) as device:
        events = device._store.table("events")
        sealed = json.dumps(events, sort_keys=True, separators=(",", ":")).encode()
        pairs = [(entry.item, entry.stars) for entry in device.entries]
    table = "".join(f"{item},{stars:g},\r\n" for item, stars in pairs).encode()
    for spelling in (sealed, json.dumps(events).encode(), table, repr(pairs).encode()):
        assert len(RATING.findall(spelling)) == len(pairs)
    vector, residues = max(life.released, key=lambda pair: len(pair[1]))
    values = np.asarray(vector.values if isinstance(vector, SparseVector) else vector)
    all_needles = list(needles(life))
    for leak, kind in (
        (sealed, "comment"),
        (values.astype("<f8").tobytes(), "vector"),
        (residues.tobytes(), "noised vector"),
    ):
        assert any(needle in leak for found, needle in all_needles if found == kind), kind
