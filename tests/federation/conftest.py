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
import ipaddress, os, sys

LOOKED_UP = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
REACHED = {"socket.connect", "socket.sendto", "socket.sendmsg"}

def outside(host):
    if host in (None, "", b"", "localhost", b"localhost"):
        return False
    try:
        found = ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
    except ValueError:
        return True
    return not (found.is_loopback or found.is_unspecified)

def watch(event, words):
    if event in LOOKED_UP:
        host = words[0]
    elif event in REACHED and isinstance(words[1], tuple):
        host = words[1][0]
    else:
        return
    if outside(host):
        with open(os.environ["PRIVET_LOOKUPS"], "a") as file:
            file.write(f"{event} {host}\\n")
        raise OSError("no names are looked up here")

sys.addaudithook(watch)
"""
"""Runs first in every process that is started: notes each name that is looked up and each address
outside of this machine that is spoken to, however it is done in Python, and refuses."""


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
