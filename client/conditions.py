# SPDX-License-Identifier: Apache-2.0
"""When a device may take part: the owner's hours, mains power, and the network that is in use.

None of it depends on what the owner rated.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import UsageError

SUPPLIES = Path("/sys/class/power_supply")
ROUTES = Path("/proc/net/route")


@dataclass(frozen=True)
class Conditions:
    """What the owner asks for."""

    hours: tuple[int, int] = (0, 24)
    """From and to, full hours of the local clock; 22 to 6 crosses midnight."""
    on_power: bool = False
    """Whether a battery must be charging or absent."""
    networks: tuple[str, ...] = ()
    """Interfaces of which one must carry the default route; any where empty."""

    @classmethod
    def of(cls, hours: str, *, on_power: bool, networks: Sequence[str] = ()) -> "Conditions":
        """Read `22-6`.

        Raises:
            UsageError: It is not two hours of a day.
        """
        first, _, last = hours.partition("-")
        if not (first.isdecimal() and last.isdecimal() and int(first) < 24 and int(last) <= 24):
            raise UsageError("--hours must be FROM-TO, full hours, got another.", hint="e.g. 22-6.")
        return cls((int(first), int(last)), on_power, tuple(networks))

    def free(
        self,
        *,
        clock: Callable[[], float] = time.time,
        supplies: Path = SUPPLIES,
        routes: Path = ROUTES,
    ) -> bool:
        """Say whether the device may take part now."""
        hour, (first, last) = time.localtime(clock()).tm_hour, self.hours
        inside = first <= hour < last if first < last else not last <= hour < first
        if not inside or (self.on_power and discharging(supplies)):
            return False
        return not self.networks or in_use(routes) in self.networks


def discharging(supplies: Path = SUPPLIES) -> bool:
    """Say whether the machine runs on a battery; one without any never does."""
    for supply in supplies.glob("*/status"):
        try:
            if supply.read_text().strip() == "Discharging":
                return True
        except OSError:
            continue
    return False


def in_use(routes: Path = ROUTES) -> str:
    """Return the interface of the default route of the lowest metric; "" where none is known.

    Source: Linux, proc_net(5): columns of /proc/net/route, destination and mask 0 for the default.
    """
    try:
        rows = [line.split() for line in routes.read_text().splitlines()[1:]]
    except OSError:
        return ""
    default = [row for row in rows if len(row) > 7 and not int(row[1], 16) | int(row[7], 16)]
    return min(default, key=lambda row: int(row[6]))[0] if default else ""
