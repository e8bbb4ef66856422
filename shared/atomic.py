# SPDX-License-Identifier: Apache-2.0
"""Replace a file in one step: a reader sees the old bytes or the new ones, never a half."""

import os
import tempfile
from pathlib import Path

from shared.errors import EnvironmentFault


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` beside `path`, flush it to the disk, then put it in the place of `path`.

    Raises:
        EnvironmentFault: the folder cannot be made or written, or the disk is full. What stood at
            `path` before is untouched, and nothing half-written is left.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
    except OSError as wrong:
        raise EnvironmentFault(
            f"{path} must be writable ({len(data):,} bytes), got: {wrong.strerror or wrong}.",
            hint="free some disk space, or name a folder that you may write to.",
        ) from wrong
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
