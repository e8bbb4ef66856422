# SPDX-License-Identifier: Apache-2.0
"""How a report spells its figures: strings and integers, so that facts have one spelling."""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from typing import Any

from shared.ledger.replay import Replay
from shared.privacy import odds
from shared.privacy.accountant import epsilon

Facts = dict[str, Any]


def number_of(value: Fraction | float | None, digits: int = 9) -> str | None:
    """Spell a number so that JSON stays integers and strings."""
    return None if value is None else f"{float(value):.{digits}g}"


def bound(value: float, digits: int = 3) -> str:
    """Spell a bound, never below it: "no more than" must stay true on paper.

    Example:
        >>> bound(5.6801), bound(353.41, 1), bound(8.0)
        ('5.681', '353.5', '8.000')
    """
    exact = Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_CEILING)
    return str(exact)


def noise_multiplier(rho: Fraction) -> str | None:
    """Return the noise over sensitivity of the single Gaussian that costs as much."""
    return number_of((2.0 * float(rho)) ** -0.5, 6) if rho else None


def accounts(found: Replay, count: int) -> Facts | None:
    """A person with several accounts: ρ grows with the square of their number."""
    if found.epsilon is None:
        return None
    rho = found.book.rho * count * count
    value = epsilon(rho, float(Fraction(found.run["delta"])))
    return {
        "count": count,
        "epsilon": bound(value, 2),
        "guess": odds.percent(odds.best_guess(rho)),
    }


def plain(value: Any) -> Any:
    """Spell floats as strings, exactly."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list) else value


def flatten(value: Any, prefix: str = "") -> dict[str, str]:
    """Flatten nested tables; the last word of a dotted key also stands alone."""
    if not isinstance(value, Mapping):
        return {prefix: str(value)} if prefix and value not in ("", None) else {}
    rows: dict[str, str] = {}
    for name, entry in value.items():
        rows |= flatten(entry, str(name).replace("-", "_"))
    return rows
