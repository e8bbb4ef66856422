# SPDX-License-Identifier: Apache-2.0
"""The line towards a hostile server: no other host, no answer without end, no message of parts."""

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import RecordDict
from flwr.common.serde import message_to_proto
from flwr.proto.fleet_pb2 import PullMessagesResponse
from flwr.proto.message_pb2 import ObjectTree

from client.fleet import MAX_ANSWER_BYTES, Fleet, Line, NodeRefused
from server.keys import make_tls
from shared.errors import NetworkError
from tests.client.test_run import received

Server = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Callable[[Server], Fleet]]:
    make_tls(tmp_path, ["127.0.0.1"], datetime.datetime.now(datetime.UTC))
    made: list[Fleet] = []

    def make(server: Server) -> Fleet:
        found = Fleet(
            "127.0.0.1:9",
            (tmp_path / "ca.pem").read_bytes(),
            ec.generate_private_key(ec.SECP384R1()),
            line=Line(patience_s=0),
        )
        found._client._client._transport = httpx.MockTransport(server)
        made.append(found)
        return found

    yield make
    for found in made:
        found.close(farewell=False)


def test_a_server_cannot_send_the_device_to_another_host(
    line: Callable[[Server], Fleet],
) -> None:
    asked: list[str] = []

    def elsewhere(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(307, headers={"location": "http://192.168.0.1/reboot"})

    with pytest.raises(NodeRefused):
        line(elsewhere).connect()
    assert asked == ["127.0.0.1"]


def test_an_answer_without_end_is_cut_off(line: Callable[[Server], Fleet]) -> None:
    taken: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(2**16)
            assert sum(taken) < 4 * MAX_ANSWER_BYTES
            yield bytes(2**16)

    with pytest.raises(NetworkError):
        line(lambda request: httpx.Response(200, content=endless())).receive()
    assert sum(taken) <= MAX_ANSWER_BYTES + 2**16


def test_an_answer_that_would_swell_is_not_unpacked(line: Callable[[Server], Fleet]) -> None:
    asked: list[str] = []

    def packed(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["accept-encoding"])
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Whole(b"\x1f\x8b"))

    with pytest.raises(NetworkError):
        line(packed).receive()
    assert asked == ["identity"]


def test_a_message_of_too_many_parts_is_not_fetched(line: Callable[[Server], Fleet]) -> None:
    calls: list[str] = []
    tree = ObjectTree(object_id="m", children=[ObjectTree(object_id=str(n)) for n in range(99)])

    def many(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        outline = message_to_proto(received(RecordDict()))
        found = PullMessagesResponse(messages_list=[outline], message_object_trees=[tree])
        return httpx.Response(200, content=found.SerializeToString())

    assert line(many).receive() is None
    assert calls == ["/v1/fleet/pull-messages"]


class Whole(httpx.SyncByteStream):
    """A body in one piece."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __iter__(self) -> Iterator[bytes]:
        yield self.data
