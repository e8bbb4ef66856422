# SPDX-License-Identifier: Apache-2.0
"""The head of a store: a small file beside the database that names the commit that counts.

The next head is on disk before the transaction is, and put in place after it, which needs no space.
So the head is that of the database, or one commit behind it; anything else was put back.
"""

import hmac
import json
import os
from pathlib import Path
from typing import Any

from client.guard import RESTORE, sync_folder
from shared.errors import VerificationError

HEAD = "head"


class Head:
    """The file, under a key of its own so that nobody else can write one."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder, self._key = folder, key

    def prepare(self, generation: int, root: str) -> Path:
        """Write the next head beside the present one; on disk when this returns."""
        body: dict[str, Any] = {"generation": generation, "root": root}
        path = self._folder / f"{HEAD}.next"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(_spell({**body, "code": self._code(body)}))
            file.flush()
            os.fsync(file.fileno())
        return path

    def place(self, path: Path) -> None:
        """Put the next head in place; needs no space on the disk."""
        os.replace(path, self._folder / HEAD)
        sync_folder(self._folder)

    def read(self) -> tuple[int, str]:
        """Return the number of the commit that counts and the digest of its root.

        Raises:
            VerificationError: the file is missing, damaged, or made by another key.
        """
        try:
            body = json.loads((self._folder / HEAD).read_bytes())
            code = body.pop("code")
            if not hmac.compare_digest(code, self._code(body)):
                raise ValueError("code")
            return int(body["generation"]), str(body["root"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise VerificationError(
                f"{self._folder / HEAD} must name the store's last commit, got another file or "
                "none.",
                hint=RESTORE,
            ) from None

    def _code(self, body: dict[str, Any]) -> str:
        return hmac.new(self._key, _spell(body), "sha256").hexdigest()


def _spell(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
