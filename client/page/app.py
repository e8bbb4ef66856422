# SPDX-License-Identifier: Apache-2.0
"""The owner's page: plain HTML made on the device, read by one browser on the same machine.

Every page is one function of a device and a request. Pages change nothing but the note that an
item was looked at; forms do, and then redirect, so that a reload repeats no act. What may reach
these functions at all is decided in `client.page.guard`.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import jinja2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from client.owner import Owner
from client.page import acts, pages
from client.page.guard import Guard
from client.page.session import Session
from client.texts import Texts, best_language, texts
from shared.errors import PrivetError

HERE = Path(__file__).parent
MENU = (
    ("/", "today"),
    ("/comments", "comments"),
    ("/rate", "rate"),
    ("/data", "data"),
    ("/left", "left"),
    ("/budget", "budget"),
    ("/device", "device"),
)
"""Address and name of each page in the menu."""
Endpoint = Callable[[Request], Awaitable[Response]]
FILES = {"/style.css": "text/css", "/icon.svg": "image/svg+xml"}


class Page:
    """One running page.

    Args:
        device: The owner's device.
        session: Who may look at it.
        folder: How the owner names the device on the command line.
        stop: Called when the owner closes the page or erased the device.
    """

    def __init__(
        self, device: Owner, session: Session, folder: str, stop: Callable[[], None]
    ) -> None:
        self.device, self.session, self.stop = device, session, stop
        self.commands = {
            "export": f"privet client export {folder} FILE",
            "verify": f"privet client verify {folder}",
        }
        self.ended = ""
        """"erased" or "closed" once the owner ended the page."""
        self._jinja = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.filters["hashed"] = lambda text: f"{crc32(text.encode()):08x}"

    def render(self, request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Make a page of a template, in the language that the browser asks for."""
        open_page = status == 200 and not self.ended
        made = self._jinja.get_template(f"{name}.html.j2").render(
            say=_say(request),
            form_token=self.session.form_token,
            here=request.url.path,
            pages=MENU if open_page else (),
            state=self.device.status() if open_page else {},
            notice=self.session.told() if open_page else None,
            commands=self.commands,
            **values,
        )
        return HTMLResponse(made, status_code=status)

    def refuse(self, request: Request, status: int, key: str) -> Response:
        """Answer a request that may not pass, without a word about the owner."""
        say = _say(request)
        return self.render(
            request, "message", status, title=say("refused.title"), text=say(key), back=False
        )

    def get(self, show: pages.Show) -> Endpoint:
        """Make the endpoint of a page."""

        async def endpoint(request: Request) -> Response:
            say = _say(request)
            if self.ended:
                return self._message(request, say(f"{self.ended}.title"), say(f"{self.ended}.text"))
            name, values = show(self.device, say, request.query_params)
            return self.render(request, name, **values)

        return self.told(endpoint)

    def post(self, act: acts.Act) -> Endpoint:
        """Make the endpoint of a form: do it, leave a notice, go to where it shows."""

        async def endpoint(request: Request) -> Response:
            form = request.state.form
            try:
                done = act(self.device, form)
            except PrivetError as wrong:
                self.session.tell("notice.failed", message=wrong.message, hint=wrong.hint)
                return RedirectResponse(acts.way_back(form), status_code=303)
            self.session.tell(done.key, **done.values)
            return RedirectResponse(done.path, status_code=303)

        return self.told(endpoint)

    def told(self, endpoint: Endpoint) -> Endpoint:
        """Turn what goes wrong into a page: behind the guard's headers, without a private value."""

        async def told(request: Request) -> Response:
            try:
                return await endpoint(request)
            except pages.Missing:
                return await self.lost(request, HTTPException(404))
            except PrivetError as wrong:
                text = f"{wrong.message} {wrong.hint}"
            except Exception as bug:  # its message might hold what is private, its type does not
                text = _say(request)("broken.text", kind=type(bug).__name__)
            title = _say(request)("broken.title")
            return self.render(request, "message", 500, title=title, text=text, back=True)

        return told

    async def erase(self, request: Request) -> Response:
        """Erase the device once the owner typed the word; then the page ends."""
        say = _say(request)
        typed = request.state.form.get("word", "").strip().lower()
        if typed != say("erase.word"):
            self.session.tell("notice.confirm")
            return RedirectResponse("/erase", status_code=303)
        self.device.erase()
        self.ended = "erased"
        self.stop()
        return self._message(request, say("erased.title"), say("erased.text"))

    async def close(self, request: Request) -> Response:
        """End the page; the device stays as it is."""
        say = _say(request)
        self.ended = "closed"
        self.stop()
        return self._message(request, say("closed.title"), say("closed.text"))

    async def lost(self, request: Request, wrong: Exception) -> Response:
        """Answer an address that no page has."""
        status = wrong.status_code if isinstance(wrong, HTTPException) else 404
        say = _say(request)
        return self.render(
            request, "message", status, title=say("missing.title"), text=say("missing.text"),
            back=True,
        )  # fmt: skip

    def _message(self, request: Request, title: str, text: str) -> HTMLResponse:
        """Make a last page: no menu, since nothing behind it works any more."""
        return self.render(request, "message", title=title, text=text, back=False)


def make_app(page: Page, host: str) -> Starlette:
    """Put the pages behind the guard.

    Args:
        page: The running page.
        host: What the Host header must be, `NAME.localhost:PORT`.
    """
    shown = {
        "/": pages.today,
        "/comments": pages.comments,
        "/rate": pages.rate,
        "/item": pages.item,
        "/publish": pages.publish,
        "/data": pages.data,
        "/left": pages.left,
        "/budget": pages.budget,
        "/device": pages.device,
        "/leave": pages.leave,
        "/erase": pages.erase,
    }
    routes = [Route(path, page.get(show), methods=["GET"]) for path, show in shown.items()]
    routes += [Route(path, page.post(act), methods=["POST"]) for path, act in acts.ACTS.items()]
    routes += [
        Route("/erase", page.told(page.erase), methods=["POST"]),
        Route("/close", page.told(page.close), methods=["POST"]),
    ]
    routes += [Route(path, _file(path, kind)) for path, kind in FILES.items()]
    guard = Middleware(Guard, session=page.session, host=host, refuse=page.refuse)
    return Starlette(
        routes=routes,
        middleware=[guard],
        exception_handlers={404: page.lost, 405: page.lost},
    )


def _say(request: Request) -> Texts:
    """Return the table of the language that the browser asks for."""
    return texts(best_language(request.headers.get("accept-language", "")))


def _file(path: str, kind: str) -> Endpoint:
    """Make the endpoint of a file that is the same for everybody."""

    async def endpoint(request: Request) -> Response:
        return FileResponse(HERE / "static" / path[1:], media_type=kind)

    return endpoint
