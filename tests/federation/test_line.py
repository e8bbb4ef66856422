# SPDX-License-Identifier: Apache-2.0
"""The contract with Flower 1.41: our two adapter files against a real SuperLink."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI

from client.fleet import Fleet, Line, NodeRefused
from server.control import Control, transport_public
from server.guard import FLEET_CALLS
from shared.errors import NetworkError
from tests.federation.conftest import Town


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


@pytest.fixture
def control(town: Town) -> Iterator[Control]:
    with Control(town.link, town.ca) as opened:
        yield opened


@contextmanager
def fleet(
    town: Town, key: ec.EllipticCurvePrivateKey, node_id: int = 0, farewell: bool = True
) -> Iterator[Fleet]:
    line = Fleet(town.public, town.ca.read_bytes(), key, node_id=node_id)
    yield line
    line.close(farewell=farewell)


def test_control_registers_a_key_once(control: Control, key: ec.EllipticCurvePrivateKey) -> None:
    public = transport_public(key.public_key())
    node_id = control.register(public)
    assert control.nodes()[public] == node_id
    with pytest.raises(NetworkError):
        control.register(public)


def test_fleet_connects_and_hears_nothing(
    town: Town, control: Control, key: ec.EllipticCurvePrivateKey
) -> None:
    registered = control.register(transport_public(key.public_key()))
    with fleet(town, key) as line:
        assert line.connect() == registered
        assert line.receive() is None
        line.heartbeat()
        assert registered in control.online()
    assert registered not in control.online()


def test_fleet_refuses_an_unregistered_key(town: Town, key: ec.EllipticCurvePrivateKey) -> None:
    with fleet(town, key) as line, pytest.raises(NodeRefused, match="must know this device's"):
        line.connect()


def test_fleet_refuses_a_second_process_and_takes_over_after_a_crash(
    town: Town, control: Control, key: ec.EllipticCurvePrivateKey
) -> None:
    control.register(transport_public(key.public_key()))
    with fleet(town, key, farewell=False) as first:
        node_id = first.connect()
        with fleet(town, key) as second, pytest.raises(NodeRefused):
            second.connect()
    with fleet(town, key, node_id) as again:
        assert again.connect() == node_id


def test_fleet_refuses_a_revoked_key(
    town: Town, control: Control, key: ec.EllipticCurvePrivateKey
) -> None:
    node_id = control.register(transport_public(key.public_key()))
    with fleet(town, key, farewell=False) as line:
        line.connect()
        control.unregister(node_id)
        with pytest.raises(NodeRefused, match="transport key"):
            line.receive()
    with fleet(town, key, node_id) as line, pytest.raises(NodeRefused):
        line.connect()


def test_fleet_gives_up_when_patience_is_over(town: Town, key: ec.EllipticCurvePrivateKey) -> None:
    waits: list[float] = []
    line = Fleet(
        "127.0.0.1:9", town.ca.read_bytes(), key, line=Line(patience_s=3), sleep=waits.append
    )
    with pytest.raises(NetworkError, match="within 3 s"):
        line.connect()
    line.close()
    assert waits == [0.5, 1.0, 2.0]


OUTSIDE = [
    "/",
    "/docs",
    "/openapi.json",
    "/v1/control/list-nodes",
    "/v1/control/list-runs",
    "/v1/control/register-node",
    "/v1/control/start-run",
    "/v1/control/stop-run",
    "/v1/runtime/acquire-task",
    "/v1/runtime/pull-task-input",
    "/v1/runtime/pull-messages",
    "/v1/fleet",
    "/v1/fleet/",
    "/v1/fleet/register-node",
    "/v1/fleet/unregister-node",
    "/v1/fleet/get-fab",
    "/v1/fleet/../control/list-nodes",
    "/v1/fleet/%2e%2e/control/list-nodes",
    "//v1/control/list-nodes",
    "/files/",
    "/files/../keys/ca.key",
    "/files/%2e%2e%2fkeys%2fca.key",
    "/files/" + "0" * 64,
    "/files/" + "A" * 64,
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_guard_shows_a_stranger_nothing(town: Town, path: str) -> None:
    with town.stranger() as client:
        for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
            answer = client.request(method, path)
            assert answer.status_code == 404
            assert not answer.content


@pytest.mark.parametrize("call", sorted(FLEET_CALLS))
def test_guard_passes_no_call_without_a_registered_key(town: Town, call: str) -> None:
    with town.stranger() as client:
        for headers in ({}, {"content-type": "application/x-protobuf"}):
            answer = client.post(f"/v1/fleet/{call}", content=b"", headers=headers)
            assert 400 <= answer.status_code < 500


def test_guard_serves_a_public_file_by_its_hash(town: Town) -> None:
    data = b"public"
    name = sha256(data).hexdigest()
    (town.folder / "files" / name).write_bytes(data)
    with town.stranger() as client:
        answer = client.get(f"/files/{name}")
    assert answer.content == data
    assert "immutable" in answer.headers["cache-control"]


def test_guard_refuses_a_long_body(town: Town) -> None:
    with town.stranger() as client:
        answer = client.post("/v1/fleet/push-object", content=bytes(8 * 2**20 + 1))
    assert answer.status_code == 413


def test_superlink_itself_is_open_on_loopback_alone(town: Town) -> None:
    assert town.link.startswith("127.0.0.1:")
    with town.stranger() as client, pytest.raises(httpx.HTTPError):
        client.get(f"https://{town.link.replace('127.0.0.1', '127.0.0.2')}/health")


def test_no_process_looks_up_a_name(town: Town, lookups: Path) -> None:
    assert town.link
    assert not lookups.exists()


@pytest.mark.parametrize(
    ("call", "noted"),
    [
        ("socket.getaddrinfo('example.org', 443)", "socket.getaddrinfo example.org\n"),
        ("socket.gethostbyname('example.org')", "socket.gethostbyname example.org\n"),
        ("socket.create_connection(('192.0.2.1', 53))", "socket.getaddrinfo 192.0.2.1\n"),
        ("socket.socket().connect(('192.0.2.1', 53))", "socket.connect 192.0.2.1\n"),
    ],
)
def test_what_is_looked_up_or_reached_outside_is_noticed(
    town: Town, tmp_path: Path, call: str, noted: str
) -> None:
    words = [sys.executable, "-c", f"import socket; {call}"]
    lookups = tmp_path / "lookups"
    env = dict(os.environ) | {"PRIVET_LOOKUPS": str(lookups)}
    assert subprocess.run(words, env=env, stderr=subprocess.DEVNULL).returncode != 0
    assert lookups.read_text() == noted


def flower_paths() -> list[str]:
    """Every path of the installed SuperLink, from its own routers."""
    from flwr.superlink import main

    runtime = main.create_runtime_router("SuperLink")
    routers = [main.control_router, main.fleet_router, main.health.router, runtime]
    routers.append(main.responses_router)
    app = FastAPI()
    for router in routers:
        app.include_router(router)
    return sorted(app.openapi()["paths"])


def test_guard_shows_a_stranger_no_path_of_flowers_but_health(town: Town) -> None:
    """All of Flower's route table, in the spellings by which a path is smuggled."""
    passed = {f"/v1/fleet/{call}" for call in FLEET_CALLS} | {"/health"}
    paths = flower_paths()
    assert len(paths) > 60
    assert passed <= set(paths)
    spellings = ("{}", "{}/", "/{}", "{}%2f", "/v1/fleet/..{}", "/files/..{}")
    with town.stranger() as client:
        for path in paths:
            for spelling in spellings if path not in passed else spellings[1:4]:
                for method in ("POST", "GET"):
                    answer = client.request(method, spelling.format(path))
                    assert (answer.status_code, answer.content) == (404, b""), (path, spelling)
