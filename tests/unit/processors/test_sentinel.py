# SPDX-License-Identifier: EUPL-1.2
"""Sentinel: codes in place of measurements."""

from __future__ import annotations

import numpy as np
import pytest

from lamppost.batch import ReadingBatch
from lamppost.component import Check
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from processors.quality.stage import Judgement, QualityStage
from tests.processor_cases import NAN, build, readings, table
from tests.processor_conformance import POLICY

SENTINELS = pytest.mark.vector(
    "traps", "marks for missing values of SDS011, UCI Air Quality, loop speeds, NTCIP 1209 and IRIS"
)

SMOKE = pytest.mark.vector("traps", "hourly PM2.5 above 325.4 and 1000 µg/m³ in wildfire smoke")

CODES = {"quantities": {"pm2_5": [999.9, -1], "no2": [-200]}}


def judged(stage: QualityStage, batch: ReadingBatch) -> Judgement:
    """Return what a batch ends as: codes are taken out at arrival, the rest is judged."""
    known = stage.without_codes(batch).readings
    return stage.judge(known, np.ones(len(batch), np.bool_))


def flags(check: Check, values: list[float], start: int = 0) -> list[int]:
    """Return the flags of one series."""
    stage = QualityStage([check], table("pm2_5"))
    found: list[int] = judged(stage, readings(values, start=start)).readings.flag.tolist()
    return found


def test_codes_are_missing_and_neighbouring_values_are_not() -> None:
    """Only the exact number is a code."""
    check = build("check", "sentinel", CODES, table("pm2_5"))

    assert flags(check, [999.9, 999.8, -1, 1, NAN]) == [9, 1, 9, 1, 9]


def test_each_quantity_has_its_own_codes() -> None:
    """A quantity without codes is not evaluated."""
    assert flags(build("check", "sentinel", CODES, table("no2")), [-200, -1]) == [9, 1]
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
    assert flags(of_device(quantity, device), [*codes, 12]) == [9] * len(codes) + [1]
    assert flags(of_device(quantity, device.upper()), codes) == [9] * len(codes)


def test_what_is_a_code_with_one_device_is_a_measurement_with_others() -> None:
    """255 vehicles, a standing column and 999 in smoke are real where no table says otherwise."""
    assert flags(of_device("vehicle_count", ""), [255]) == [1]
    assert flags(of_device("speed", "iris"), [0, -1]) == [1, 9]
    assert flags(of_device("pm2_5", "pms5003"), [999, 999.9, 999.9, 999.9]) == [1] * 4


def test_a_series_may_name_its_device_itself() -> None:
    """The qualifier counts before the station, which need not be registered at all."""
    qualified = of_device("vehicle_count", "iris", "device=ntcip_1209")
    series = SeriesTable([SeriesKey("nobody", "speed", "device=loop_speed;lane=1")])
    unregistered = build("check", "sentinel", POLICY.quality["sentinel"], series, {})

    assert flags(qualified, [255, 254]) == [9, 1]
    assert flags(unregistered, [0, 50]) == [9, 1]


def test_a_station_that_is_registered_later_counts_from_then_on() -> None:
    """Registration entries come at any time."""
    stations: dict[str, Station] = {}
    series = SeriesTable([SeriesKey("x-1", "vehicle_count")])
    made = build("check", "sentinel", POLICY.quality["sentinel"], series, stations)

    before = flags(made, [255])
    stations["x-1"] = Station(sensor="x-1", device="ntcip_1209", latitude=48, longitude=8)

    assert (before, flags(made, [255])) == ([1], [9])


@SENTINELS
@SMOKE
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([990.3, 999.9, 1004.2, 999.9, 1010.0], [1, 3, 1, 3, 1], id="smoke"),
        pytest.param([12, 999.9, 999.9, 999.9, 999.9, 11], [1, 3, 3, 4, 4, 1], id="broken"),
        pytest.param([999.9, NAN, 999.9, NAN, 999.9], [3, 9, 3, 9, 4], id="with gaps"),
        pytest.param([999.9, 999.9, 1999.9, 999.9], [3, 3, 3, 3], id="another code"),
    ],
)
def test_a_code_of_an_unknown_device_is_doubted(values: list[float], expected: list[int]) -> None:
    """Once it may be thick smoke; three times the same to the digit it is a broken sensor."""
    whole, one_by_one = of_device("pm2_5", ""), of_device("pm2_5", "")

    assert flags(whole, values) == expected
    assert [flags(one_by_one, [value], n)[0] for n, value in enumerate(values)] == expected


def test_what_is_doubted_is_told_with_its_number() -> None:
    """And what to do about it: naming the type."""
    stage = QualityStage([of_device("pm10", "")], SeriesTable([SeriesKey("x-1", "pm10")]))

    (first, second) = judged(stage, readings([1999.9, 1999.9])).details

    assert first.detail.startswith("1999.9 µg/m³ is a code of some devices; what type this one is")
    assert "number 2 of the same in a row" in second.detail


def test_a_device_that_is_named_later_is_no_longer_doubted() -> None:
    """From then on its codes are missing, or measurements."""
    stations: dict[str, Station] = {}
    series = SeriesTable([SeriesKey("x-1", "pm2_5")])
    made = build("check", "sentinel", POLICY.quality["sentinel"], series, stations)

    found = []
    for device in ("", "sds011", "pms5003"):
        stations["x-1"] = Station(sensor="x-1", device=device, latitude=48, longitude=8)
        found += flags(made, [999.9])

    assert found == [3, 9, 1]


def test_a_row_of_doubted_numbers_goes_on_after_a_restart() -> None:
    """And a snapshot of before there were any begins none."""
    first, second, third = (of_device("pm2_5", "") for _ in range(3))
    assert flags(first, [999.9, 999.9]) == [3, 3]

    second.restore(first.snapshot())
    third.restore({})

    assert flags(second, [999.9], 2) == [4]
    assert flags(third, [999.9], 2) == [3]
