# SPDX-License-Identifier: Apache-2.0
"""What a stranger without a key can make the guard hold in memory."""

import asyncio
import datetime
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from server.guard import FLEET_CALLS, MAX_BODY_BYTES, MAX_CALL_BYTES, guard_app
from server.keys import make_tls


@pytest.fixture
def street(tmp_path: Path) -> Callable[[str, int], int]:
    """Post so many bytes to a guard with nothing behind it; the answer's status."""
    make_tls(tmp_path, ["127.0.0.1"], datetime.datetime.now(datetime.UTC))
    app = guard_app("127.0.0.1:9", tmp_path / "ca.pem", tmp_path / "files", tmp_path / "bell")

    async def post(call: str, size: int) -> int:
        async with app.router.lifespan_context(app) as state:

            async def served(scope: Scope, receive: Receive, send: Send) -> None:
                await app({**scope, "state": dict(state or {})}, receive, send)

            transport = httpx.ASGITransport(served)
            async with httpx.AsyncClient(transport=transport, base_url="http://guard") as client:
                return (await client.post(f"/v1/fleet/{call}", content=bytes(size))).status_code

    return lambda call, size: asyncio.run(post(call, size))


@pytest.mark.parametrize("call", sorted(FLEET_CALLS - {"push-object"}))
def test_only_a_vector_is_long(street: Callable[[str, int], int], call: str) -> None:
    assert street(call, MAX_CALL_BYTES) == 503
    assert street(call, MAX_CALL_BYTES + 1) == 413


def test_a_vector_has_an_end(street: Callable[[str, int], int]) -> None:
    assert street("push-object", MAX_CALL_BYTES + 1) == 503
    assert street("push-object", MAX_BODY_BYTES + 1) == 413
