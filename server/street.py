# SPDX-License-Identifier: Apache-2.0
"""Runs the guard: TLS on the port that devices reach, in a thread of the supervisor."""

import socket
import threading
import time
from pathlib import Path

import uvicorn

from server.bell import ring
from server.guard import guard_app
from server.superlink import FlowerFolder
from shared.errors import EnvironmentFault

START_TIMEOUT_S = 20.0


class Street:
    """The guard as it listens.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        flower: Where the SuperLink is, and the keys of TLS.
        files: Folder of public files.
        hold_s: How long an asking for messages waits for one, at most.
    """

    def __init__(
        self, host: str, port: int, flower: FlowerFolder, files: Path, *, hold_s: float = 0.0
    ) -> None:
        config = uvicorn.Config(
            guard_app(flower.address, flower.keys / "ca.pem", files, flower.bell, hold_s),
            host=host,
            port=port,
            ssl_certfile=str(flower.keys / "tls.pem"),
            ssl_keyfile=str(flower.keys / "tls.key"),
            log_level="warning",
            access_log=False,
            ws="none",
            loop="asyncio",
            http="h11",
            timeout_graceful_shutdown=2,
            server_header=False,
            date_header=False,
        )
        self._server, self._bell = uvicorn.Server(config), flower.bell
        self._thread = threading.Thread(target=self._server.run, name="guard", daemon=True)

    def start(self) -> None:
        """Listen.

        Raises:
            EnvironmentFault: The port cannot be had.
        """
        self._thread.start()
        until = time.monotonic() + START_TIMEOUT_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                raise EnvironmentFault(
                    f"port {self._server.config.port} must be free to listen on, and is not.",
                    hint="stop what uses it, or choose another in config.toml.",
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop listening; answers under way are finished."""
        self._server.should_exit = True
        ring(self._bell)  # who waits for a message is let go
        self._thread.join(START_TIMEOUT_S)


def free_port() -> int:
    """Return a port of the loopback that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
