# SPDX-License-Identifier: Apache-2.0
"""`dataset.toml`: what a folder declares in public about its ratings, comments and numbers.

    name = "my-books"
    domain = "films"            # films, shop, social, courses, health
    comments = true             # people write comments here; budget may be spent on them
    [scale]
    low = 1
    high = 5
    step = 1                    # 0 = any number between low and high
    [numbers.price]             # a numeric column of items.csv and its public bounds
    low = 0
    high = 500

A declaration is public and made before anybody looks at the data: the scale and the bounds are
never the smallest and largest value found.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.errors import DataError
from shared.schema import Scale

FILE = "dataset.toml"
ASSUMED_SCALE = "no dataset.toml: ratings are taken as 1 to 5 stars in steps of 1."
_KEYS = {"name": str, "domain": str, "comments": bool, "scale": dict, "numbers": dict}
_HINT = "the keys are name, domain, comments, scale (low, high, step), numbers.NAME (low, high)."


@dataclass(frozen=True)
class Declaration:
    """The content of a `dataset.toml`, checked."""

    name: str = ""
    domain: str = "films"
    comments: bool = False
    scale: Scale = field(default_factory=lambda: Scale(1, 5))
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def declared(folder: Path) -> Declaration | None:
    """Read the declaration of a folder, None where it has none.

    Raises:
        DataError: Not TOML, an unknown key, a wrong type or an empty range.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise DataError(f"{path} must be UTF-8 TOML, got: {wrong}.", hint=_HINT) from None
    except OSError as wrong:
        raise DataError(
            f"{path} must be readable, got {wrong.strerror}.", hint="check its permissions."
        ) from None
    for key, value in content.items():
        if key not in _KEYS or not isinstance(value, _KEYS[key]):
            raise DataError(f"{path} must hold known keys of their type, got {key}.", hint=_HINT)
    given: dict[str, Any] = {k: v for k, v in content.items() if k not in ("scale", "numbers")}
    if "scale" in content:
        given["scale"] = Scale(*_range(path, "scale", content["scale"], step=True))
    numbers = content.get("numbers", {})
    given["bounds"] = {
        name: _range(path, f"numbers.{name}", value, step=False) for name, value in numbers.items()
    }
    return Declaration(**given)


def _range(path: Path, key: str, value: Any, *, step: bool) -> Any:
    """Read low, high and, for a scale, step."""
    wanted = ("low", "high", "step") if step else ("low", "high")
    table = {"step": 1, **value} if step and isinstance(value, dict) else value
    if not isinstance(table, dict) or set(table) != set(wanted):
        raise DataError(f"{path} key {key} must have {', '.join(wanted)} alone.", hint=_HINT)
    numbers = [table[name] for name in wanted]
    fine = all(type(n) in (int, float) and math.isfinite(n) for n in numbers)
    if not fine or table["low"] >= table["high"] or (step and table["step"] < 0):
        raise DataError(
            f"{path} key {key} must have finite numbers with low < high and step >= 0.", hint=_HINT
        )
    return tuple(float(n) for n in numbers)
