# SPDX-License-Identifier: Apache-2.0
"""The device's line to the server: Flower's Fleet API, spoken by our own process.

A stock SuperNode runs whatever code the server sends, keeps everything in memory and delivers a
message at most once. This process fetches no code, confirms a message only once it has it whole,
and repeats every call until the server has answered it, so a restarted SuperLink loses nothing.

The one file on the device that touches Flower's private modules; a contract test holds it against
a real SuperLink of the pinned version.

Source: FLOWER.md, section 8.
"""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from flwr.app import Message
from flwr.app.message import remove_content_from_message
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    DeactivateNodeRequest,
    PullMessagesRequest,
    PushMessagesRequest,
)
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
from flwr.proto.message_pb2 import (
    ConfirmMessageReceivedRequest,
    PullObjectRequest,
    PushObjectRequest,
)
from flwr.proto.node_pb2 import Node
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from shared.errors import DataError, NetworkError, PrivetError

Request = TypeVar("Request")
Response = TypeVar("Response")
MAX_ANSWER_BYTES = 4 * 2**20
"""Longest answer of the server: a roster of 1,000 devices has 209,000 bytes."""
MAX_PARTS = 8
"""Most parts of a message: one record in one dictionary are all that is sent."""
TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
"""Answers of a server that is restarting or busy."""


class NodeRefused(PrivetError):
    """The server does not know this device's transport key, or shut it out."""

    exit_code = NetworkError.exit_code


class Stopping(Exception):
    """The device was told to stop while it waited."""


class Gone(Exception):
    """The run or the message is no longer there: the message is dropped, the device goes on."""


@dataclass(frozen=True)
class Line:
    """How patient the line is, in seconds."""

    heartbeat_s: int = 60
    """Between signs of life; the server counts a device as offline after two."""
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    patience_s: float = 3600.0
    """How long one call is repeated before the device gives up."""


class Fleet:
    """One device's connection.

    Args:
        address: Host and port of the guard.
        ca: The certificate authority of the invitation, PEM.
        key: The device's transport key, P-384.
        node_id: The node id of an earlier connection, which is ended first.
        sleep: Waits; a test passes its own.
    """

    def __init__(
        self,
        address: str,
        ca: bytes,
        key: ec.EllipticCurvePrivateKey,
        *,
        node_id: int = 0,
        line: Line | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.node_id, self._line = node_id, line or Line()
        self._sleep: Callable[[float], object] = sleep
        self._key = public_key_to_bytes(key.public_key())
        self._client = FleetHttpClient.from_server_address(
            address,
            False,
            ca,
            [
                RuntimeVersionHttpInterceptor(component_name="SuperNode"),
                NodeAuthHttpInterceptor(key, key.public_key()),
            ],
        )
        http = self._client._client
        http.follow_redirects = False  # a server must not send the device to other hosts
        http.headers["accept-encoding"] = "identity"
        http.event_hooks = {"response": [_bounded]}

    def wait_with(self, sleep: Callable[[float], object]) -> None:
        """Wait by other means from now on; where they return true, the device is to stop."""
        self._sleep = sleep

    def connect(self) -> int:
        """Say that the device is here, ending an earlier connection of its own first.

        Returns:
            The node id, to be kept for the next start.

        Raises:
            NodeRefused: The transport key is not registered, or another process holds the node.
            NetworkError: The server stayed away for longer than the line is patient.
        """
        if self.node_id:
            with contextlib.suppress(Gone, NodeRefused):  # it may have lapsed by itself
                self._until(
                    self._client.DeactivateNode, DeactivateNodeRequest(node_id=self.node_id)
                )
        request = ActivateNodeRequest(
            public_key=self._key, heartbeat_interval=self._line.heartbeat_s
        )
        try:
            self.node_id = int(self._until(self._client.ActivateNode, request).node_id)
        except Gone:
            raise NodeRefused(
                "the server must know this device's transport key and have no other process with "
                "it, and refused.",
                hint="was the device revoked, or does it run twice? Else wait two minutes.",
            ) from None
        return self.node_id

    def heartbeat(self) -> None:
        """Give a sign of life; a lost one is made up for by the next."""
        request = SendNodeHeartbeatRequest(
            node=self._node, heartbeat_interval=self._line.heartbeat_s
        )
        try:
            self._client.SendNodeHeartbeat(request)
        except httpx.HTTPStatusError as wrong:
            if wrong.response.status_code == 401:
                raise _refused() from None
        except httpx.HTTPError:
            pass

    def receive(self) -> Message | None:
        """Return the next message whole, or None; only a whole one is confirmed."""
        found = self._until(self._client.PullMessages, PullMessagesRequest(node=self._node))
        if not found.messages_list:
            return None
        outline, tree = message_from_proto(found.messages_list[0]), found.message_object_trees[0]
        run_id, message_id = outline.metadata.run_id, outline.metadata.message_id
        parts = list(itertools.islice(iterate_object_tree(tree), MAX_PARTS + 1))
        if len(parts) > MAX_PARTS:
            return None
        try:
            contents = {part.object_id: self._pull(run_id, part.object_id) for part in parts}
            self._until(
                self._client.ConfirmMessageReceived,
                ConfirmMessageReceivedRequest(
                    node=self._node, run_id=run_id, message_object_id=message_id
                ),
            )
        except Gone:
            return None
        message = inflate_object_from_contents(message_id, contents)
        assert isinstance(message, Message)  # noqa: S101 - the tree's root is the message
        message.metadata.__dict__["_message_id"] = message_id
        return message

    def send(self, reply: Message) -> None:
        """Send a reply whole; to send the same again does no harm, the first one stands.

        Flower stamps a reply when it is made. That instant says how long the answer took, and so
        how much the owner rated; it is stamped anew with the instant at which it leaves.
        """
        stamp, now = reply.metadata, time.time()
        stamp.ttl, stamp.created_at = stamp.ttl - (now - stamp.created_at), now
        with no_object_id_recompute():
            reply.metadata.__dict__["_message_id"] = reply.object_id
            parts = get_all_nested_objects(reply)
            request = PushMessagesRequest(
                node=self._node,
                messages_list=[message_to_proto(remove_content_from_message(reply))],
                message_object_trees=[get_object_tree(reply)],
                clientapp_runtime_list=[0.0],  # how long the answer took is nobody's business
            )
            run_id = reply.metadata.run_id
            try:
                pushed = self._until(self._client.PushMessages, request)
                for object_id in pushed.objects_to_push:
                    push = PushObjectRequest(
                        node=self._node,
                        run_id=run_id,
                        object_id=object_id,
                        object_content=parts[object_id].deflate(),
                        session_id=pushed.session_id,
                    )
                    self._until(self._client.PushObject, push)
            except Gone:
                return

    def close(self, *, farewell: bool = True) -> None:
        """End the connection, with a farewell so that the server need not wait for silence."""
        try:
            if self.node_id and farewell:
                self._client.DeactivateNode(DeactivateNodeRequest(node_id=self.node_id))
        except (httpx.HTTPError, ValueError):
            pass
        finally:
            self._client.close()

    @property
    def _node(self) -> Node:
        return Node(node_id=self.node_id)

    def _pull(self, run_id: int, object_id: str) -> bytes:
        """Fetch one part; the server may still be receiving it."""
        request = PullObjectRequest(node=self._node, run_id=run_id, object_id=object_id)
        for attempt in range(20):
            found = self._until(self._client.PullObject, request)
            if not found.object_found:
                break
            if found.object_available:
                return bytes(found.object_content)
            self._sleep(self._line.first_wait_s * min(attempt + 1, 4))
        raise Gone

    def _until(self, call: Callable[[Request], Response], request: Request) -> Response:
        """Repeat a call until the server answers it.

        Raises:
            NodeRefused: Not this device's node (401).
            Gone: The server answers that it will not.
            NetworkError: Patience is over.
            Stopping: The device is to stop.
        """
        waited, wait = 0.0, self._line.first_wait_s
        while True:
            try:
                answer = call(request)
                if waited and self.node_id:
                    self.heartbeat()  # the server may have counted the device out meanwhile
                return answer
            except httpx.HTTPStatusError as wrong:
                code = wrong.response.status_code
                if code == 401:
                    raise _refused() from None
                if code not in TRY_AGAIN:
                    raise Gone from None
            except (httpx.TransportError, ValueError):
                pass
            if waited >= self._line.patience_s:
                raise NetworkError(
                    f"the server must answer within {self._line.patience_s:.0f} s, and did not.",
                    hint="the device goes on recommending; run it again later.",
                )
            if self._sleep(wait):
                raise Stopping
            waited, wait = waited + wait, min(2 * wait, self._line.longest_wait_s)


class _Bounded(httpx.SyncByteStream):
    """A body that ends."""

    def __init__(self, stream: Iterable[bytes], close: Callable[[], None]) -> None:
        self._stream, self.close = stream, close  # type: ignore[method-assign]

    def __iter__(self) -> Iterator[bytes]:
        taken = 0
        for chunk in self._stream:
            taken += len(chunk)
            if taken > MAX_ANSWER_BYTES:
                raise httpx.RemoteProtocolError("an answer must end.")
            yield chunk


def _bounded(response: httpx.Response) -> None:
    """Bound an answer before its body is read; one that was packed could swell without end."""
    if "content-encoding" in response.headers:
        raise httpx.RemoteProtocolError("an answer must not be packed.")
    stream = response.stream
    assert isinstance(stream, httpx.SyncByteStream)  # noqa: S101 - the client is synchronous
    response.stream = _Bounded(stream, stream.close)


def _refused() -> NodeRefused:
    return NodeRefused(
        "the server must accept this device's transport key, and refused it.",
        hint="was the device revoked? Ask the operator for a new invitation.",
    )


def transport_key(pem: str) -> ec.EllipticCurvePrivateKey:
    """Read the transport key of an invitation.

    Raises:
        DataError: It is another kind of key.
    """
    try:
        key = load_pem_private_key(pem.encode(), None)
    except ValueError:
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise DataError("an invitation must hold a transport key.", hint="ask for it again.")
    return key


def transport_public(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Spell the public half of a transport key as Flower does."""
    return bytes(public_key_to_bytes(key.public_key()))
