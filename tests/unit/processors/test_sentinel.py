# SPDX-License-Identifier: EUPL-1.2
"""Sentinel: codes in place of measurements."""

from __future__ import annotations

import pytest

from lamppost.component import Check
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from tests.processor_cases import NAN, build, flags, table
from tests.processor_conformance import POLICY

SENTINELS = pytest.mark.vector(
    "traps", "marks for missing values of SDS011, UCI Air Quality, loop speeds, NTCIP 1209 and IRIS"
)

CODES = {"quantities": {"pm2_5": [999.9, -1], "no2": [-200]}}


def test_codes_fail_and_neighbouring_values_do_not() -> None:
    """Only the exact number is a code."""
    check = build("check", "sentinel", CODES, table("pm2_5"))

    assert flags(check, [999.9, 999.8, -1, 1, NAN]) == [4, 1, 4, 1, 9]


def test_each_quantity_has_its_own_codes() -> None:
    """A quantity without codes is not evaluated."""
    assert flags(build("check", "sentinel", CODES, table("no2")), [-200, -1]) == [4, 1]
    assert flags(build("check", "sentinel", CODES, table("o3")), [-200]) == [2]


def of_device(quantity: str, device: str, qualifiers: str = "") -> Check:
    """Build the default policy's check for a series of one type of device."""
    series = SeriesTable([SeriesKey("x-1", quantity, qualifiers)])
    station = Station(sensor="x-1", device=device, latitude=48, longitude=8)
    made: Check = build("check", "sentinel", POLICY.quality["sentinel"], series, {"x-1": station})
    return made


@SENTINELS
@pytest.mark.parametrize(
    ("device", "quantity", "codes"),
    [
        pytest.param("sds011", "pm2_5", [999, 999.9, 1999, 1999.9], id="SDS011"),
        pytest.param("sds011", "pm10", [999, 1999.9], id="SDS011 PM10"),
        pytest.param("uci_air_quality", "no2", [-200], id="UCI Air Quality"),
        pytest.param("loop_speed", "speed", [0], id="loop speed 0 is missing"),
        pytest.param("ntcip_1209", "vehicle_count", [255], id="NTCIP 1209"),
        pytest.param("iris", "occupancy", [-1], id="IRIS"),
    ],
)
def test_each_type_of_device_has_its_codes(device: str, quantity: str, codes: list[float]) -> None:
    """Zero, -200, 999 and 1999 are numbers to whoever does not know the device."""
    assert flags(of_device(quantity, device), [*codes, 12]) == [4] * len(codes) + [1]
    assert flags(of_device(quantity, device.upper()), codes) == [4] * len(codes)


def test_what_is_a_code_with_one_device_is_a_measurement_with_others() -> None:
    """255 vehicles, a standing column and 999 in smoke are real where no table says otherwise."""
    assert flags(of_device("vehicle_count", ""), [255]) == [1]
    assert flags(of_device("speed", "iris"), [0, -1]) == [1, 4]
    assert flags(of_device("pm2_5", "pms5003"), [999, 999.9]) == [1, 4]


def test_a_series_may_name_its_device_itself() -> None:
    """The qualifier counts before the station, which need not be registered at all."""
    qualified = of_device("vehicle_count", "iris", "device=ntcip_1209")
    series = SeriesTable([SeriesKey("nobody", "speed", "device=loop_speed;lane=1")])
    unregistered = build("check", "sentinel", POLICY.quality["sentinel"], series, {})

    assert flags(qualified, [255, 254]) == [4, 1]
    assert flags(unregistered, [0, 50]) == [4, 1]


def test_a_station_that_is_registered_later_counts_from_then_on() -> None:
    """Registration entries come at any time."""
    stations: dict[str, Station] = {}
    series = SeriesTable([SeriesKey("x-1", "vehicle_count")])
    made = build("check", "sentinel", POLICY.quality["sentinel"], series, stations)

    before = flags(made, [255])
    stations["x-1"] = Station(sensor="x-1", device="ntcip_1209", latitude=48, longitude=8)

    assert (before, flags(made, [255])) == ([1], [4])
