# SPDX-License-Identifier: Apache-2.0
"""Public files of the federation: fetched whole, checked by their hash, kept for the next time.

A device always fetches the whole catalogue and the whole model, never one item of them, so what
it fetches says nothing about its owner.
"""

import re
import ssl
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import httpx

from shared.atomic import replace_file
from shared.errors import NetworkError, VerificationError

MAX_BYTES = 2**28
"""Longest public file."""
_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch
KEPT = 8
"""Files that stay on the device."""


class PublicFiles:
    """The way to public files.

    Args:
        address: Host and port of the server.
        ca: Certificate authority, PEM.
        folder: Where they are kept.
        tries: How often a file is asked for, with growing waits.
    """

    def __init__(
        self,
        address: str,
        ca: str,
        folder: Path,
        *,
        tries: int = 6,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._folder, self._tries, self._sleep = folder, tries, sleep
        context = ssl.create_default_context(cadata=ca)
        self._client = httpx.Client(
            base_url=f"https://{address}", verify=context, timeout=60.0, trust_env=False
        )

    def fetch(self, name: str) -> bytes:
        """Return the file with this SHA-256.

        Raises:
            NetworkError: The server does not give it.
            VerificationError: It gives other bytes, or the name is none of a public file.
        """
        if not _NAME(name):
            raise VerificationError(
                "a public file must be named by its hash, and is not.",
                hint="tell the operator; nothing was asked for.",
            )
        path = self._folder / name
        if path.is_file():
            data = path.read_bytes()
            if sha256(data).hexdigest() == name:
                return data
        data = self._download(name)
        if sha256(data).hexdigest() != name:
            raise VerificationError(
                "a public file must have the hash that names it, and has not.",
                hint="tell the operator; nothing was used of it.",
            )
        replace_file(path, data)
        self._forget()
        return data

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _download(self, name: str) -> bytes:
        """Ask until the server gives the file."""
        for attempt in range(self._tries):
            if attempt:
                self._sleep(0.25 * 2**attempt)
            try:
                with self._client.stream("GET", f"/files/{name}") as answer:
                    if answer.status_code != 200:
                        continue
                    data = bytearray()
                    for chunk in answer.iter_bytes():
                        data += chunk
                        if len(data) > MAX_BYTES:
                            break
                    return bytes(data)
            except httpx.HTTPError:
                continue
        raise NetworkError(
            "the server must give a public file that it named, and did not.",
            hint="the device tries again at the next round.",
        )

    def _forget(self) -> None:
        """Keep the newest files alone."""
        found = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in found[:-KEPT]:
            path.unlink(missing_ok=True)
