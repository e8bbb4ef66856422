# SPDX-License-Identifier: Apache-2.0
"""A real Chromium, and a page that runs in a thread."""

import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from client.page.serve import bind, make_server
from tests.client.made import MemoryDevice, resident

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars", "--force-color-profile=srgb", "--lang=en",
         "--disable-dev-shm-usage",
         "--host-resolver-rules=MAP rebound.example 127.0.0.1,MAP attacker.example 127.0.0.1",
         )  # fmt: skip


@dataclass
class Running:
    """A page that is being served."""

    device: MemoryDevice
    address: str
    """With its one-time token."""
    answers: list[tuple[str, str, int]] = field(default_factory=list)
    """Path, where the browser says it was asked from, and status of every request."""

    @property
    def base(self) -> str:
        return self.address.partition("/enter")[0]


class Recorder:
    """Notes how each request was answered."""

    def __init__(self, app: Any, answers: list[tuple[str, str, int]]) -> None:
        self.app, self.answers = app, answers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                site = dict(scope["headers"]).get(b"sec-fetch-site", b"").decode()
                self.answers.append((scope["path"], site, message["status"]))
            await send(message)

        await self.app(scope, receive, noted)


@pytest.fixture
def running() -> Iterator[Running]:
    yield from serve_in_thread(resident())


def serve_in_thread(device: Any) -> Iterator[Running]:
    listener: socket.socket = bind(0)
    server, address = make_server(device, "home", listener)
    page = Running(device, address)
    server.config.app = Recorder(server.config.app, page.answers)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield page
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser for all tests; each test starts without cookies."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    service = webdriver.ChromeService(driver)
    browser = webdriver.Chrome(options=options, service=service)
    browser.set_page_load_timeout(30)
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium: Any) -> Iterator[Any]:
    chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})
    chromium.get("about:blank")
    yield chromium
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
