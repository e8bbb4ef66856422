# SPDX-License-Identifier: Apache-2.0
"""When a device may take part: the owner's hours, and mains power where the machine knows it.

None of it depends on what the owner rated.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shared.errors import UsageError

SUPPLIES = Path("/sys/class/power_supply")


@dataclass(frozen=True)
class Conditions:
    """What the owner asks for."""

    hours: tuple[int, int] = (0, 24)
    """From and to, full hours of the local clock; 22 to 6 crosses midnight."""
    on_power: bool = False
    """Whether a battery must be charging or absent."""

    @classmethod
    def of(cls, hours: str, *, on_power: bool) -> "Conditions":
        """Read `22-6`.

        Raises:
            UsageError: It is not two hours of a day.
        """
        first, _, last = hours.partition("-")
        if not (first.isdecimal() and last.isdecimal() and int(first) < 24 and int(last) <= 24):
            raise UsageError("--hours must be FROM-TO, full hours, got another.", hint="e.g. 22-6.")
        return cls((int(first), int(last)), on_power)

    def free(self, *, clock: Callable[[], float] = time.time, supplies: Path = SUPPLIES) -> bool:
        """Say whether the device may take part now."""
        hour, (first, last) = time.localtime(clock()).tm_hour, self.hours
        inside = first <= hour < last if first < last else not last <= hour < first
        return inside and not (self.on_power and discharging(supplies))


def discharging(supplies: Path = SUPPLIES) -> bool:
    """Say whether the machine runs on a battery; one without any never does."""
    for supply in supplies.glob("*/status"):
        try:
            if supply.read_text().strip() == "Discharging":
                return True
        except OSError:
            continue
    return False
