# SPDX-License-Identifier: EUPL-1.2
"""Detector health against the vectors of IRIS, 30 seconds a step."""

from __future__ import annotations

from typing import Any

import pytest

from lamppost.component import Check
from lamppost.flags import Reason
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from processors.quality.detector_health import (
    CHATTER,
    LOCKED_ON,
    NO_CHANGE,
    NO_HITS,
    OCCUPANCY_SPIKE,
)
from tests.processor_cases import NAN, build, flags, rows, table
from tests.processor_conformance import POLICY

IRIS = pytest.mark.vector(
    "detector health", "mnit-rtmc/iris docs/vehicle_detection.md and DetectorImpl.java"
)

HOUR_S = 3_600


def check(quantity: str, **rules: dict[str, Any]) -> Check:
    """Build the check for one quantity measured every 30 seconds."""
    settings = {"period_s": {quantity: 30}, **rules}
    made: Check = build("check", "detector_health", settings, table(quantity))
    return made


@IRIS
@pytest.mark.parametrize(
    ("quantity", "rule", "values", "faulty", "bit"),
    [
        pytest.param(
            "occupancy",
            {"locked_on": {"trigger_s": 120, "clear_s": 24 * HOUR_S}},
            [100] * 6 + [10, 20],
            [0, 0, 0, 0, 1, 1, 1, 1],
            LOCKED_ON,
            id="locked on",
        ),
        pytest.param(
            "vehicle_count",
            {"no_hits": {"trigger_s": 120, "clear_s": 30}},
            [0] * 5 + [3],
            [0, 0, 0, 0, 1, 0],
            NO_HITS,
            id="no hits",
        ),
        pytest.param(
            "occupancy",
            {"occupancy_spike": {"limit_s": 60, "clear_s": 0}},
            [5, 60, 5, 60, 5, 5, 5, 5],
            [0, 0, 1, 1, 1, 1, 1, 0],
            OCCUPANCY_SPIKE,
            id="credit [0,60,90,120,150,120,90,60], without the hang",
        ),
        pytest.param(
            "vehicle_count",
            {"chatter": {"trigger_s": 30, "clear_s": 60}},
            [37, 38, 38, 37, 37, 37],
            [0, 0, 1, 1, 0, 0],
            CHATTER,
            id="chatter: more than 37 in 30 s for more than 30 s",
        ),
        pytest.param(
            "occupancy",
            {"no_change": {"trigger_s": 60, "clear_s": 30}},
            [7, 7, 7, 7, 8, 0, 0, 0, 0],
            [0, 0, 0, 1, 0, 0, 0, 0, 0],
            NO_CHANGE,
            id="no change, of what is not zero",
        ),
    ],
)
def test_a_fault_is_triggered_and_cleared_as_in_iris(
    quantity: str, rule: dict[str, Any], values: list[float], faulty: list[int], bit: Reason
) -> None:
    """IRIS docs/vehicle_detection.md and its tests: strict trigger, hang until the clear time."""
    verdict = check(quantity, **rule).judge(rows(values, 30))

    assert verdict.flag.tolist() == [3 if one else 1 for one in faulty]
    assert verdict.reasons.tolist() == [int(bit.mask) * one for one in faulty]


@IRIS
def test_one_reading_at_a_time_gives_the_vector_of_iris() -> None:
    """The counters go on from batch to batch."""
    made = check("occupancy", occupancy_spike={"limit_s": 60, "clear_s": 0, "verdict": "fail"})

    found = [
        made.judge(rows([value], 30, start=number)).flag[0]
        for number, value in enumerate([5, 60, 5, 60, 5, 5, 5, 5])
    ]

    assert found == [1, 1, 4, 4, 4, 4, 4, 1]


@IRIS
@pytest.mark.parametrize(
    ("number", "credit_s"), list(enumerate([0, 60, 90, 120, 150, 120, 90, 60], start=1))
)
def test_the_credit_of_jumps_is_that_of_iris(number: int, credit_s: int) -> None:
    """30 s for each 25 points of a jump, less 30 s a period: beyond a limit just below, and not at.

    Occupancies 5, 60, 5, 60, and then 5.
    """
    values = [5, 60, 5, 60, 5, 5, 5, 5][:number]
    found = [
        flags(check("occupancy", occupancy_spike={"limit_s": limit, "clear_s": 0}), values, 30)[-1]
        for limit in (max(credit_s - 1, 0), credit_s)
    ]

    assert found == [3 if credit_s else 1, 1]


def test_a_spike_hangs_for_its_clear_time() -> None:
    """An hour by default."""
    made = check("occupancy", occupancy_spike={})
    calm = [5] * 200

    found = flags(made, [5, 60, 5, 60, *calm], 30)

    # The credit falls to the limit after four calm readings; the hour counts from there.
    assert found.index(3) == 2
    assert found[2:].index(1) == 5 + 119


def test_an_empty_road_at_night_is_good() -> None:
    """Four hours without a vehicle are no fault on any road, and never a failure."""
    made = check("flow", no_hits={})

    assert flags(made, [0.0] * 239 + [60.0], 60) == [1] * 240


def test_a_missing_value_changes_nothing_and_other_quantities_are_not_judged() -> None:
    """The counters see numbers only."""
    made = check("flow", no_hits={"trigger_s": 60})

    assert flags(made, [0, NAN, 0, 0, 0], 30) == [1, 9, 3, 3, 3]
    assert flags(check("speed", no_hits={"trigger_s": 60}), [5], 30) == [1]


def beside(quantity: str, rule: dict[str, Any], qualifiers: str = "", **facts: Any) -> Check:
    """Build the check for a detector of the registry."""
    series = SeriesTable([SeriesKey("tr-1", quantity, qualifiers)])
    station = Station(sensor="tr-1", latitude=48, longitude=8, **facts)
    settings = {"period_s": {quantity: 30}, **rule}
    made: Check = build("check", "detector_health", settings, series, {"tr-1": station})
    return made


@pytest.mark.parametrize(
    ("lane_type", "hours"),
    [
        ("mainline", 4), ("velocity", 4), ("exit", 8), ("hov", 8), ("wrong_way", 8), ("merge", 12),
        ("queue", 12), ("passage", 12), ("auxiliary", 24), ("other", 72), ("parking", 14 * 24),
        ("cd_lane", 4), ("reversible", 72), ("bypass", 72), ("omnibus", 72), ("green", 72),
        ("hot", 72), ("shoulder", 72), ("", 8),
    ],
)  # fmt: skip
def test_how_long_nobody_may_pass_depends_on_what_the_lane_is_for(
    lane_type: str, hours: int
) -> None:
    """IRIS docs/vehicle_detection.md; what nobody says anything of is a city street."""
    rule = {"no_hits": POLICY.quality["detector_health"]["no_hits"]}
    asleep = [0.0] * (6 * hours + 2)

    found = flags(beside("flow", rule, lane_type=lane_type), asleep, 600)

    # The first reading stands for its 30 seconds, each other one for the ten minutes before it.
    assert found.index(3) == 6 * hours
    own = beside("flow", rule, f"lane_type={lane_type}" if lane_type else "", lane_type="")
    assert flags(own, asleep, 600) == found


@pytest.mark.parametrize(
    ("lane_type", "minutes"),
    [
        *((name, 2) for name in ("mainline", "auxiliary", "cd_lane", "reversible", "velocity")),
        *((name, 2) for name in ("hov", "hot", "shoulder")),
        *((name, 30) for name in ("merge", "queue", "exit", "bypass", "passage", "omnibus")),
        *((name, 30) for name in ("green", "wrong_way", "")),
    ],
)
def test_a_ramp_may_be_occupied_for_longer_than_a_main_line(lane_type: str, minutes: int) -> None:
    """IRIS docs/vehicle_detection.md, table of lane types: 2 and 30 minutes."""
    rule = {"locked_on": POLICY.quality["detector_health"]["locked_on"]}

    found = flags(beside("occupancy", rule, lane_type=lane_type), [100.0] * 70, 30)

    assert found.index(3) == 2 * minutes


@pytest.mark.parametrize(
    ("lane_type", "values", "faulty"),
    [
        ("mainline", [10, 60, 10], [1, 1, 3]),
        ("mainline", [10, 85, 60], [1, 3, 3]),
        ("hov", [10, 40, 10, 40, 10, 40], [1] * 6),
        ("queue", [10, 90, 10, 90], [1] * 4),
        ("", [10, 90, 10, 90], [1] * 4),
    ],
)
def test_occupancy_jumps_are_a_fault_where_no_signal_stops_the_traffic(
    lane_type: str, values: list[float], faulty: list[int]
) -> None:
    """Minute by minute under the default policy; before a signal they are its platoons."""
    rule = {"occupancy_spike": POLICY.quality["detector_health"]["occupancy_spike"]}
    made = beside("occupancy", rule, lane_type=lane_type)

    found = flags(made, [10.0, *values], 60)

    assert found[1:] == faulty


@pytest.mark.parametrize(
    ("facts", "qualifiers", "count", "faulty"),
    [
        pytest.param({"lanes": 3}, "", 111, False, id="37 a lane"),
        pytest.param({"lanes": 3}, "", 112, True, id="more than 37 a lane"),
        pytest.param({"lanes": 3}, "lane=1", 38, True, id="a series of one lane"),
        pytest.param({}, "", 74, False, id="two lanes where nobody says"),
        pytest.param({}, "", 75, True, id="more than two lanes count"),
    ],
)
def test_chatter_is_more_than_all_lanes_can_carry(
    facts: dict[str, Any], qualifiers: str, count: float, *, faulty: bool
) -> None:
    """IRIS: more than 37 in 30 s, 4440 veh/h, by lane."""
    made = beside("vehicle_count", {"chatter": {}, "lanes": 2}, qualifiers, **facts)

    assert flags(made, [count] * 3, 30) == [1, *([3, 3] if faulty else [1, 1])]
