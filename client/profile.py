# SPDX-License-Identifier: Apache-2.0
"""Private attributes of the owner (`profile.toml`): read once, sealed, never sent.

    [attributes]
    age = 41
    languages = 2

Numbers alone: words would need a vocabulary that somebody else made. The file can be deleted once
it was read; the device keeps the attributes in its sealed store.
"""

import math
import tomllib
from pathlib import Path

from shared.errors import DataError

MAX_ATTRIBUTES = 32
MAX_NAME = 64


def read_profile(path: Path) -> dict[str, float]:
    """Read attributes; every value is a finite number.

    Raises:
        DataError: the file is not such a table; names keys, never values.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as wrong:
        raise DataError(
            f"{path} must be a readable file, got: {wrong.strerror}.", hint="check its name."
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise DataError(
            f"{path} must be a TOML file.", hint="see docs/how-to/own-a-device.md."
        ) from None
    table = content.get("attributes")
    if set(content) != {"attributes"} or not isinstance(table, dict):
        raise DataError(
            f"{path} must hold one table [attributes].", hint="for instance: [attributes] age = 41"
        )
    if len(table) > MAX_ATTRIBUTES or any(len(name) > MAX_NAME for name in table):
        raise DataError(f"{path} must hold at most {MAX_ATTRIBUTES} short names.", hint="fewer.")
    for name, value in table.items():
        if type(value) not in (int, float) or not math.isfinite(value):
            raise DataError(
                f"{path}, {name}: must be a finite number, got {type(value).__name__}.",
                hint="spell a choice as 0 or 1.",
            )
    return {name: float(value) for name, value in table.items()}
