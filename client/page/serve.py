# SPDX-License-Identifier: Apache-2.0
"""Serve the page on the loopback interface of this machine, until its owner closes it."""

import secrets
import socket
from collections.abc import Callable

import uvicorn

from client.owner import Owner
from client.page.app import Page, make_app
from client.page.guard import ENTRANCE
from client.page.session import Session
from shared.errors import EnvironmentFault

LOOPBACK = "127.0.0.1"
"""The only address that is ever bound: no other machine can connect."""


def serve(device: Owner, folder: str, announce: Callable[[str], None], port: int = 0) -> None:
    """Serve the page until the owner closes it, erases the device or interrupts the command.

    Args:
        device: The owner's device.
        folder: How the owner names it on the command line.
        announce: Told the address with its one-time token, once the page listens.
        port: Port to listen on; 0 takes a free one.

    Raises:
        EnvironmentFault: The port is taken.
    """
    with bind(port) as listener:
        server, address = make_server(device, folder, listener)
        announce(address)
        server.run(sockets=[listener])


def make_server(device: Owner, folder: str, listener: socket.socket) -> tuple[uvicorn.Server, str]:
    """Make the server of a page and the address that opens it once.

    The page lives under a random name below `localhost`, which browsers resolve to this machine
    by themselves (RFC 6761): cookies do not tell ports apart, so under a plain 127.0.0.1 any other
    program that listens here could receive the page's cookie.
    """
    host = f"privet-{secrets.token_hex(8)}.localhost:{listener.getsockname()[1]}"
    session = Session()

    def stop() -> None:
        server.should_exit = True

    app = make_app(Page(device, session, folder, stop), host)
    config = uvicorn.Config(
        app,
        access_log=False,  # paths name items
        log_level="error",
        lifespan="off",
        server_header=False,
        http="h11",
        loop="asyncio",
        ws="none",
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    return server, f"http://{host}{ENTRANCE}?token={session.token}"


def bind(port: int) -> socket.socket:
    """Listen on a port of the loopback interface.

    Raises:
        EnvironmentFault: The port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen()
    except OSError as wrong:
        listener.close()
        raise EnvironmentFault(
            f"the page needs a free port on this machine, got {port}: {wrong.strerror}.",
            hint="leave --port out to take any free port.",
        ) from None
    return listener
