# SPDX-License-Identifier: Apache-2.0
"""What every request must pass before a page is made, and what every answer carries.

In this order; the first that fails answers, without a word about the owner:

    421  the Host header is the random name that was printed, so that a name which an attacker
         points at this machine (DNS rebinding) reaches nothing
    405  GET, HEAD and POST are all there is
    403  the request comes from this page or from the person at the browser (Sec-Fetch-Site), not
         from another site nor from another port of this machine
    403  it carries the session's cookie; the one-time token of the address gives it
    403  a form carries the token of its action, and 413 or 415 where it is no form of ours

Source: W3C Fetch Metadata; OWASP, "Cross-Site Request Forgery Prevention"; CSP Level 3.
"""

import urllib.parse
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from typing import Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from client.page.session import Session

ENTRANCE = "/enter"
"""Path that exchanges the one-time token for the cookie."""
OPEN_PATHS = ("/style.css", "/icon.svg")
"""Files without a word about the owner: what a refusal needs to look like a page."""
MAX_FORM_BYTES = 64 * 1024
"""Longest form; a comment has at most 10,000 characters."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""On every answer: no script, no other origin, no frame, no trace in caches or referrers."""


class Refuse(Protocol):
    """Makes the page of a refusal: what it says is a key of the texts."""

    def __call__(self, request: Request, status: int, key: str) -> Response:
        """Make it."""
        ...


class Guard:
    """ASGI middleware around the page.

    Args:
        app: The page.
        session: The one session.
        host: What the Host header must be, `NAME.localhost:PORT`.
        refuse: Makes the page of a refusal.
    """

    def __init__(self, app: ASGIApp, *, session: Session, host: str, refuse: Refuse) -> None:
        self._app, self._session, self._refuse = app, session, refuse
        self._host = host
        self._cookie = f"privet-{host.rpartition(':')[2]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope, receive)
        answer = await self._judge(request)
        await (answer or self._app)(scope, _no_body if answer else receive, _armoured(send))

    async def _judge(self, request: Request) -> Response | None:
        """Return what refuses or redirects a request; None where it may pass."""
        headers = request.headers
        if headers.getlist("host") != [self._host]:
            return self._refuse(request, 421, "refused.host")
        if request.method not in ("GET", "HEAD", "POST"):
            return self._refuse(request, 405, "refused.method")
        if not self._from_here(request.method, headers):
            return self._refuse(request, 403, "refused.origin")
        if request.url.path == ENTRANCE and request.method == "GET":
            return self._enter(request)
        if request.url.path in OPEN_PATHS and request.method != "POST":
            return None
        if not self._session.knows(self._sent_cookie(headers)):
            return self._refuse(request, 403, "refused.session")
        return await self._form(request) if request.method == "POST" else None

    def _from_here(self, method: str, headers: Headers) -> bool:
        """Say whether this page or the person at the browser made the request.

        Under `no-referrer` a browser sends `Origin: null` with our own forms, so Sec-Fetch-Site
        decides where there is one. Browsers without it must name our origin to change anything.
        """
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        ours = origin == f"http://{self._host}"
        if method == "POST":
            return (site == "same-origin" and (ours or origin in (None, "null"))) or (
                site is None and ours
            )
        return site in (None, "none", "same-origin")

    def _enter(self, request: Request) -> Response:
        """Exchange the token of the address for the cookie, once."""
        value = self._session.enter(request.query_params.get("token", ""))
        if value is None:
            return self._refuse(request, 403, "refused.token")
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(self._cookie, value, httponly=True, samesite="strict", path="/")
        return answer

    def _sent_cookie(self, headers: Headers) -> str:
        """Return the session's cookie of a request, "" where there is none."""
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return ""
        return found.value if found else ""

    async def _form(self, request: Request) -> Response | None:
        """Read a form and check its token; its fields go to `request.state.form`."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            return self._refuse(request, 415, "refused.form")
        body = await _read(request, MAX_FORM_BYTES)
        if body is None:
            return self._refuse(request, 413, "refused.long")
        try:
            pairs = urllib.parse.parse_qsl(
                body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20
            )
        except ValueError:  # bytes that are no form, or too many fields
            return self._refuse(request, 415, "refused.form")
        fields = dict(pairs)
        if not self._session.form_holds(request.url.path, fields.pop("form-token", "")):
            return self._refuse(request, 403, "refused.form")
        request.state.form = fields
        return None


async def _read(request: Request, limit: int) -> bytes | None:
    """Read a body up to a limit; None where it is longer."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            return None
    return body


async def _no_body() -> Message:
    """Stand in for the body of a request that was answered without it."""
    return {"type": "http.request", "body": b"", "more_body": False}


def _armoured(send: Send) -> Callable[[Message], Awaitable[None]]:
    """Put the security headers on an answer."""

    async def forward(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return forward
