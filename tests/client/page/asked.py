# SPDX-License-Identifier: Apache-2.0
"""Ask the page as a browser or an attacker would, byte by byte, without a network."""

import asyncio
import html
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from client.page.app import Page, make_app
from client.page.session import Session
from tests.client.made import MemoryDevice, resident

HOST = "privet-0123456789abcdef.localhost:8423"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str


@dataclass
class Asker:
    """A running page and the browser that entered it."""

    device: MemoryDevice = field(default_factory=resident)
    session: Session = field(default_factory=Session)
    stopped: list[bool] = field(default_factory=list)
    cookie: str = ""

    def __post_init__(self) -> None:
        page = Page(self.device, self.session, "home", lambda: self.stopped.append(True))
        self.app = make_app(page, HOST)

    def enter(self) -> "Asker":
        """Show the one-time token, keep the cookie."""
        answer = self.ask("GET", f"/enter?token={self.session.token}")
        self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return self

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str | None] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Send one request; a header of None is left out."""
        given: dict[str, str | None] = {"host": HOST, "sec-fetch-site": "same-origin"}
        given |= {"cookie": self.cookie or None, **(headers or {})}
        return asyncio.run(_call(self.app, method, path, given, body))

    def post(
        self,
        path: str,
        fields: Mapping[str, str],
        headers: Mapping[str, str | None] | None = None,
        token: str | None = None,
    ) -> Answer:
        """Send a form with the token of its action, or another."""
        carried = self.session.form_token(path) if token is None else token
        body = urllib.parse.urlencode({"form-token": carried, **fields}).encode()
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self.ask("POST", path, {**kind, **(headers or {})}, body)


async def _call(
    app: Any, method: str, path: str, headers: Mapping[str, str | None], body: bytes
) -> Answer:
    where, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": urllib.parse.unquote(where),
        "raw_path": where.encode(),
        "query_string": query.encode(),
        "scheme": "http",
        "headers": [(k.encode(), v.encode("latin-1")) for k, v in headers.items() if v is not None],
        "server": ("127.0.0.1", 8423),
        "client": ("127.0.0.1", 50000),
        "state": {},
    }
    sent: list[dict[str, Any]] = []
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return pending.pop() if pending else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    found = {k.decode(): v.decode("latin-1") for k, v in sent[0]["headers"]}
    text = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], found, text.decode())


def visible(page: str) -> str:
    """Return the text of a page without its tags."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))
