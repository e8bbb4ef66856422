# SPDX-License-Identifier: Apache-2.0
"""The door to the street: the only port that devices reach, and the few paths that it answers.

Behind the SuperLink's one port stand the Fleet API of devices and the Control and Runtime APIs of
the operator, the latter without any authentication. The guard passes on the nine calls that a
device makes and serves public files by their hash; whatever else is asked gets 404 and no word.
It adds no right: each call still needs a registered transport key.
"""

import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from server.bell import Bell

FLEET_CALLS = frozenset(
    {
        "activate-node",
        "deactivate-node",
        "send-node-heartbeat",
        "pull-messages",
        "push-messages",
        "pull-object",
        "push-object",
        "confirm-message-received",
        "get-run",
    }
)
"""What a device calls. Registering is the operator's; code is never fetched."""
CALLER = "flwr-public-key"
"""Header that names the caller; it is only trusted to wait."""
MAX_BODY_BYTES = 8 * 2**20
"""Longest part of a message: a secure sum's vector has at most 1.2 million words."""
MAX_CALL_BYTES = 64 * 2**10
"""Longest request of any other call, for strangers are read before they are refused."""
_FILE = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "host"})


def guard_app(link: str, ca: Path, files: Path, bell: Path, hold_s: float = 0.0) -> Starlette:
    """Return the guard as an ASGI application.

    Args:
        link: Host and port of the SuperLink.
        ca: The certificate authority that its certificate is under.
        files: Folder of public files, each named by its SHA-256.
        bell: Rings when something was sent to a device, see `server.bell`.
        hold_s: How long an asking for messages waits for the bell, at most.
    """
    context = ssl.create_default_context(cafile=str(ca))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, object]]:
        limits = httpx.Limits(max_connections=64)
        doorbell = Bell(bell, hold_s)
        async with (
            httpx.AsyncClient(
                base_url=f"https://{link}",
                verify=context,
                timeout=30.0,
                limits=limits,
                trust_env=False,
            ) as client,
            doorbell.listening(),
        ):
            yield {"client": client, "bell": doorbell}

    async def fleet(request: Request) -> Response:
        call = request.path_params["call"]
        if call not in FLEET_CALLS:
            return Response(status_code=404)
        body, limit = bytearray(), MAX_BODY_BYTES if call == "push-object" else MAX_CALL_BYTES
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                return Response(status_code=413)
        if call == "pull-messages" and hold_s:
            await request.state.bell.wait(request.headers.get(CALLER, ""))
        return await _forward(request, bytes(body))

    async def health(request: Request) -> Response:
        try:
            answer = await request.state.client.get("/health")
        except httpx.HTTPError:
            return Response(status_code=503)
        return Response(status_code=answer.status_code)

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        path = files / name
        if not _FILE.fullmatch(name) or not path.is_file():
            return Response(status_code=404)
        return FileResponse(
            path,
            media_type="application/octet-stream",
            headers={"cache-control": "public, max-age=31536000, immutable"},
        )

    app = Starlette(
        routes=[
            Route("/v1/fleet/{call}", fleet, methods=["POST"]),
            Route("/health", health, methods=["GET"]),
            Route("/files/{name}", file, methods=["GET"]),
        ],
        lifespan=lifespan,
        exception_handlers={404: _nothing, 405: _nothing},
    )
    app.router.redirect_slashes = False  # a redirect would name a path that is there
    return app


async def _nothing(request: Request, error: Exception) -> Response:
    """Answer whatever is not among the paths: nothing is here."""
    return Response(status_code=404)


async def _forward(request: Request, body: bytes) -> Response:
    """Pass one call on to the SuperLink and its answer back, headers between neighbours aside."""
    headers = [(k, v) for k, v in request.headers.items() if k not in _HOP_BY_HOP]
    try:
        answer = await request.state.client.post(request.url.path, content=body, headers=headers)
    except httpx.HTTPError:
        return Response(status_code=503)
    kept = {
        k: v
        for k, v in answer.headers.items()
        if k not in _HOP_BY_HOP and k not in {"content-length", "content-encoding", "server"}
    }
    return Response(answer.content, answer.status_code, kept)
