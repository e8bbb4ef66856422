# SPDX-License-Identifier: Apache-2.0
"""A real SuperLink behind a real guard, on free ports of the loopback, once a session."""

import datetime
import os
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from shared.flower import quiet_flower

WATCH = """
import os, socket
real = socket.getaddrinfo
def watched(host, *words, **more):
    if host not in (None, "", "127.0.0.1", "localhost", b"127.0.0.1"):
        with open(os.environ["PRIVET_LOOKUPS"], "a") as file:
            file.write(f"{host}\\n")
        raise socket.gaierror("no names are looked up here")
    return real(host, *words, **more)
socket.getaddrinfo = watched
"""
"""Runs first in every process of Flower's: notes each name that is looked up, and refuses."""


@dataclass(frozen=True)
class Town:
    """Where everything is."""

    folder: Path
    public: str
    """Host and port of the guard."""
    link: str
    """Host and port of the SuperLink."""

    @property
    def ca(self) -> Path:
        return self.folder / "keys" / "ca.pem"

    def stranger(self) -> httpx.Client:
        """Somebody who holds the CA file and nothing else."""
        context = ssl.create_default_context(cafile=str(self.ca))
        return httpx.Client(base_url=f"https://{self.public}", verify=context, trust_env=False)


@pytest.fixture(scope="session")
def lookups(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make every process that is started note the names it looks up; the file they are noted in."""
    folder = tmp_path_factory.mktemp("watch")
    (folder / "sitecustomize.py").write_text(WATCH)
    os.environ["PRIVET_LOOKUPS"] = str(folder / "lookups")
    os.environ["PYTHONPATH"] = str(folder)
    return folder / "lookups"


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory, lookups: Path) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    quiet_flower(folder / "flower" / "home")
    from server.keys import make_tls
    from server.street import Street, free_port
    from server.superlink import FlowerFolder, start_superlink, stop

    make_tls(folder / "keys", ["127.0.0.1", "localhost"], datetime.datetime.now(datetime.UTC))
    (folder / "files").mkdir()
    flower = FlowerFolder(folder / "flower", folder / "keys", free_port())
    process = start_superlink(flower)
    port = free_port()
    street = Street("127.0.0.1", port, flower, folder / "files")
    street.start()
    found = Town(folder, f"127.0.0.1:{port}", flower.address)
    with found.stranger() as client:
        for _ in range(200):
            if client.get("/health").status_code == 200:
                break
            time.sleep(0.1)
    yield found
    street.stop()
    stop(process)
