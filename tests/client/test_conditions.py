# SPDX-License-Identifier: Apache-2.0
import time
from pathlib import Path

import pytest

from client.conditions import Conditions, discharging, in_use
from shared.errors import UsageError


def at(hour: int) -> float:
    """A moment in that hour of the local clock."""
    return time.mktime((2026, 11, 24, hour, 30, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [("0-24", [0, 12, 23], []), ("2-4", [2, 3], [1, 4, 23]), ("22-6", [22, 23, 0, 5], [6, 12, 21])],
)
def test_hours_of_the_owner(hours: str, inside: list[int], outside: list[int]) -> None:
    chosen = Conditions.of(hours, on_power=False)
    assert all(chosen.free(clock=lambda hour=hour: at(hour)) for hour in inside)  # type: ignore[misc]
    assert not any(chosen.free(clock=lambda hour=hour: at(hour)) for hour in outside)  # type: ignore[misc]


@pytest.mark.parametrize("hours", ["", "2", "2-", "-4", "24-3", "2-25", "two-four"])
def test_hours_that_are_none_are_refused(hours: str) -> None:
    with pytest.raises(UsageError, match="FROM-TO"):
        Conditions.of(hours, on_power=False)


@pytest.mark.parametrize(
    ("states", "battery"),
    [([], False), (["Charging"], False), (["Full", "Discharging"], True), (["Unknown"], False)],
)
def test_a_battery_that_is_used_holds_the_device_back(
    states: list[str], battery: bool, tmp_path: Path
) -> None:
    for number, state in enumerate(states):
        (tmp_path / f"BAT{number}").mkdir()
        (tmp_path / f"BAT{number}" / "status").write_text(f"{state}\n")
    assert discharging(tmp_path) is battery
    assert Conditions(on_power=True).free(supplies=tmp_path) is not battery
    assert Conditions(on_power=False).free(supplies=tmp_path)


HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"


def test_the_network_in_use_is_the_default_route_of_the_lowest_metric(tmp_path: Path) -> None:
    routes = tmp_path / "route"
    assert in_use(routes) == ""
    routes.write_text(HEAD)
    assert in_use(routes) == ""
    routes.write_text(
        HEAD
        + "eth0\t0000A8C0\t00000000\t0001\t0\t0\t1\t00FFFFFF\t0\t0\t0\n"
        + "wwan0\t00000000\t0101A8C0\t0003\t0\t0\t700\t00000000\t0\t0\t0\n"
        + "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
    )
    assert in_use(routes) == "wlan0"


@pytest.mark.parametrize(
    ("networks", "free"),
    [((), True), (("wlan0",), True), (("eth0", "wlan0"), True), (("eth0",), False)],
)
def test_another_network_holds_the_device_back(
    networks: tuple[str, ...], free: bool, tmp_path: Path
) -> None:
    routes = tmp_path / "route"
    routes.write_text(HEAD + "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n")
    chosen = Conditions.of("0-24", on_power=False, networks=networks)
    assert chosen.free(routes=routes) is free
    unknown = tmp_path / "missing"
    assert chosen.free(routes=unknown) is (not networks)
