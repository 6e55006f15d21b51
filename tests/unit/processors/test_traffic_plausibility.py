# SPDX-License-Identifier: EUPL-1.2
"""Traffic plausibility: the triple of one detector, and zeros that mean nothing was measured."""

from __future__ import annotations

from typing import Any

import pytest

from lamppost.component import Check
from lamppost.series import SeriesKey, SeriesTable
from processors.quality.traffic_plausibility import NO_VEHICLE, TRAFFIC_PLAUSIBILITY
from tests.processor_cases import build
from tests.quality_cases import at_once

LENGTH = pytest.mark.vector(
    "traffic flow", "effective vehicle length 10 v occ / q; bounds not confirmed"
)
ZERO = pytest.mark.vector("traps", "loop archives in which speed 0 stands for a missing value")

FLOW, OCCUPANCY, SPEED, COUNT = range(4)
QUANTITIES = ("flow", "occupancy", "speed", "vehicle_count")


def check(**settings: Any) -> Check:
    """Build the check for one detector."""
    series = SeriesTable(SeriesKey("tr-1", quantity) for quantity in QUANTITIES)
    made: Check = build("check", "traffic_plausibility", settings, series)
    return made


@LENGTH
@pytest.mark.parametrize(
    ("speed", "occupancy", "flow", "flag"),
    [
        pytest.param(90, 12, 1800, 1, id="6.0 m"),
        pytest.param(90, 40, 1800, 3, id="20 m"),
        pytest.param(90, 5, 1800, 3, id="2.5 m"),
        pytest.param(9, 54, 1800, 1, id="2.7 m is the bound"),
    ],
)
def test_the_effective_vehicle_length_is_that_of_a_vehicle(
    speed: float, occupancy: float, flow: float, flag: int
) -> None:
    """Lv = 10 v occ / q between 2.7 and 18 m (90 km/h, 12 %, 1800 veh/h is 6.0 m, good)."""
    verdict = check().judge(at_once((FLOW, flow, 0), (OCCUPANCY, occupancy, 0), (SPEED, speed, 0)))

    assert verdict.flag.tolist() == [flag] * 3
    assert verdict.reasons.tolist() == [TRAFFIC_PLAUSIBILITY.mask * (flag == 3)] * 3


@ZERO
def test_a_speed_of_zero_without_vehicles_is_no_measurement_and_an_empty_road_is_real() -> None:
    """Zero taken for a measurement: the speed fails, flow and occupancy stay good."""
    empty = ((FLOW, 0, 0), (OCCUPANCY, 0, 0), (SPEED, 0, 0))

    verdict = check().judge(at_once(*empty))

    assert verdict.flag.tolist() == [1, 2, 4]
    assert verdict.reasons.tolist() == [0, 0, NO_VEHICLE.mask]
    assert check(empty_speed_fails=False).judge(at_once(*empty)).flag.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("readings", "flags"),
    [
        pytest.param([(FLOW, 0, 0), (SPEED, 40, 0)], [3, 3], id="volume 0, speed above 0"),
        pytest.param(
            [(SPEED, 0, 0), (OCCUPANCY, 9, 0), (COUNT, 3, 0)],
            [2, 3, 3],
            id="speed 0 with volume",
        ),
        pytest.param(
            [(FLOW, 600, 0), (OCCUPANCY, 100, 0), (SPEED, 0, 0)], [1, 2, 1], id="a standing queue"
        ),
        pytest.param([(FLOW, 0, 0), (SPEED, 40, 60)], [2, 2], id="other instants"),
    ],
)
def test_readings_that_contradict_each_other_are_suspect(
    readings: list[tuple[int, float, float]], flags: list[int]
) -> None:
    """Speed 0 with volume above 0, or volume 0 with speed above 0; not verified."""
    assert check().judge(at_once(*readings)).flag.tolist() == flags


def test_readings_that_came_before_the_last_of_the_triple_are_amended() -> None:
    """Each in its own batch, the same verdict as all at once."""
    made = check()
    made.judge(at_once((FLOW, 1800, 0)))
    made.judge(at_once((OCCUPANCY, 40, 0)))

    verdict = made.judge(at_once((SPEED, 90, 0)))

    assert verdict.flag.tolist() == [3]
    assert verdict.amended_series.tolist() == [FLOW, OCCUPANCY]
    assert verdict.amended_flag.tolist() == [3, 3]


def test_lanes_counted_together_are_taken_into_account() -> None:
    """Three lanes of 1800 veh/h at 12 % each are the same vehicles as one."""
    three = ((FLOW, 5400, 0), (OCCUPANCY, 12, 0), (SPEED, 90, 0))

    assert check(lanes=3).judge(at_once(*three)).flag.tolist() == [1, 1, 1]
    assert check().judge(at_once(*three)).flag.tolist() == [3, 3, 3]
