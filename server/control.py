# SPDX-License-Identifier: Apache-2.0
"""The operator's calls to the SuperLink: register devices, submit the run, watch it.

The one file on the server that touches Flower's private modules; a contract test holds it against
a real SuperLink of the pinned version. Everything goes over loopback.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.cli.build import build_fab_from_files
from flwr.common.serde import fab_to_proto, user_config_to_proto
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    UnregisterNodeRequest,
)
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.fab import Fab
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
from flwr.supercore.primitives.asymmetric import public_key_to_bytes

from shared.errors import NetworkError

Request = TypeVar("Request")
Response = TypeVar("Response")

BUNDLE = """[project]
name = "privet"
version = "1.0.0"
description = "Names the installed Privet; holds no code."
license = "Apache-2.0"
dependencies = []

[tool.flwr.app]
publisher = "privet"

[tool.flwr.app.components]
serverapp = "server.app:app"
clientapp = "client.app:app"

[tool.flwr.app.config]
folder = ""
"""
"""All that the app bundle holds: both sides run what is installed, never what was sent."""


@dataclass(frozen=True)
class Run:
    """One run of Flower's; Privet's own run outlives many of them."""

    run_id: int
    status: str
    """`pending`, `starting`, `running`, `finished:completed`, `finished:failed`, ..."""


class Control:
    """A connection to the SuperLink's Control API."""

    def __init__(self, address: str, ca: Path) -> None:
        self._client = ControlHttpClient.from_server_address(
            address,
            False,
            ca.read_bytes(),
            [RuntimeVersionHttpInterceptor(component_name="flwr CLI")],
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def nodes(self) -> dict[bytes, int]:
        """Return registered transport keys (OpenSSH public, bytes) and their node ids."""
        found = self._call(self._client.ListNodes, ListNodesRequest()).nodes_info
        return {bytes(node.public_key): node.node_id for node in found if node.status != "deleted"}

    def online(self) -> set[int]:
        """Return the nodes that are online now, stale by up to two heartbeats."""
        found = self._call(self._client.ListNodes, ListNodesRequest()).nodes_info
        return {node.node_id for node in found if node.status == "online"}

    def register(self, key: bytes) -> int:
        """Register a transport key; return its node id."""
        return int(
            self._call(self._client.RegisterNode, RegisterNodeRequest(public_key=key)).node_id
        )

    def unregister(self, node_id: int) -> None:
        """Forget a node: it can no longer connect."""
        self._call(self._client.UnregisterNode, UnregisterNodeRequest(node_id=node_id))

    def submit(self, settings: Mapping[str, str]) -> int:
        """Submit a run of the installed apps; return Flower's run id."""
        content = build_fab_from_files({"pyproject.toml": BUNDLE.encode()})[0]
        bundle = Fab(sha256(content).hexdigest(), content, {})
        request = StartRunRequest(
            fab=fab_to_proto(bundle), override_config=user_config_to_proto(dict(settings))
        )
        return int(self._call(self._client.StartRun, request).run_id)

    def run(self, run_id: int) -> Run:
        """Return how a run is doing."""
        found = self._call(self._client.ListRuns, ListRunsRequest(run_id=run_id)).run_dict
        status = found[run_id].status
        text = f"{status.status}:{status.sub_status}" if status.sub_status else status.status
        return Run(run_id, text)

    def stop(self, run_id: int) -> None:
        """Stop a run."""
        self._call(self._client.StopRun, StopRunRequest(run_id=run_id))

    def _call(self, method: Callable[[Request], Response], request: Request) -> Response:
        """Make one call; say in one sentence what went wrong."""
        try:
            return method(request)
        except httpx.HTTPError as wrong:
            raise NetworkError(
                f"the SuperLink must answer on loopback, got {type(wrong).__name__}.",
                hint="`privet server start` starts it; its log is flower/flower-superlink.log.",
            ) from wrong


def transport_public(key: ec.EllipticCurvePublicKey) -> bytes:
    """Spell a transport key as the SuperLink does."""
    return bytes(public_key_to_bytes(key))
