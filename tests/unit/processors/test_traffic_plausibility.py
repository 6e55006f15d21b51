# SPDX-License-Identifier: EUPL-1.2
"""Traffic plausibility: the triple of one detector, and zeros that mean nothing was measured."""

from __future__ import annotations

from typing import Any

import pytest

from lamppost.component import Check
from lamppost.flags import MISSING
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from processors.quality.traffic_plausibility import NO_VEHICLE, TRAFFIC_PLAUSIBILITY
from tests.processor_cases import build
from tests.quality_cases import at_once

LENGTH = pytest.mark.vector(
    "traffic flow", "effective vehicle length 10 v occ / q; bounds not confirmed"
)
ZERO = pytest.mark.vector("traps", "loop archives in which speed 0 stands for a missing value")

FLOW, OCCUPANCY, SPEED, COUNT = range(4)
QUANTITIES = ("flow", "occupancy", "speed", "vehicle_count")


def check(
    stations: dict[str, Station] | None = None,
    qualifiers: str = "",
    lacks: str = "",
    **settings: Any,
) -> Check:
    """Build the check for one detector; what it lacks is somebody else's."""
    series = SeriesTable(
        SeriesKey("tr-2" if quantity == lacks else "tr-1", quantity, qualifiers)
        for quantity in QUANTITIES
    )
    around = {} if stations is None else stations
    made: Check = build("check", "traffic_plausibility", settings, series, around)
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
    """Trap 11, zero taken for a measurement: the speed is missing with its own reason."""
    empty = ((FLOW, 0, 0), (OCCUPANCY, 0, 0), (SPEED, 0, 0))

    verdict = check().judge(at_once(*empty))

    assert verdict.flag.tolist() == [1, 2, MISSING]
    assert verdict.reasons.tolist() == [0, 0, NO_VEHICLE.mask]


@pytest.mark.parametrize(("empty_speed", "flag"), [("fail", 4), ("suspect", 3)])
def test_a_policy_may_say_what_a_speed_of_zero_without_vehicles_is(
    empty_speed: str, flag: int
) -> None:
    """Where a city wants to see the zeros."""
    made = check(empty_speed=empty_speed, lacks="occupancy")

    assert made.judge(at_once((FLOW, 0, 0), (SPEED, 0, 0))).flag.tolist() == [1, flag]


@ZERO
@pytest.mark.parametrize(
    ("beside", "flag"),
    [
        pytest.param([(FLOW, 0)], MISSING, id="no flow"),
        pytest.param([(COUNT, 0)], MISSING, id="nobody counted"),
        pytest.param([(OCCUPANCY, 0)], MISSING, id="a free loop"),
        pytest.param([(OCCUPANCY, 0), (COUNT, 2)], MISSING, id="nobody stands on the loop"),
        pytest.param([(OCCUPANCY, 100), (COUNT, 2)], 1, id="a standing queue"),
        pytest.param([(OCCUPANCY, 100), (COUNT, 0)], 1, id="a queue that does not move at all"),
        pytest.param([(COUNT, 0), (FLOW, 0), (OCCUPANCY, 0)], MISSING, id="an empty road"),
        pytest.param([(COUNT, 0), (OCCUPANCY, -1)], MISSING, id="a broken occupancy"),
        pytest.param([(OCCUPANCY, 7)], 2, id="somebody is there, and nobody counts"),
        pytest.param([], 2, id="nothing else is known"),
    ],
)
@pytest.mark.parametrize("first", [False, True], ids=["speed last", "speed first"])
@pytest.mark.parametrize("at_a_time", [1, 9], ids=["one at a time", "one batch"])
def test_a_speed_of_zero_is_a_measurement_only_where_somebody_may_stand(
    beside: list[tuple[int, float]], flag: int, *, first: bool, at_a_time: int
) -> None:
    """Whichever of count, occupancy and speed of an interval comes first, and in what batches."""
    others = [(number, value, 0.0) for number, value in beside]
    sent = [(SPEED, 0.0, 0.0), *others] if first else [*others, (SPEED, 0.0, 0.0)]
    lacks = "" if any(number == OCCUPANCY for number, _ in beside) else "occupancy"
    made, found = check(lacks=lacks), {}

    for start in range(0, len(sent), at_a_time):
        rows = at_once(*sent[start : start + at_a_time])
        verdict = made.judge(rows)
        found |= dict(zip(rows.groups.series.tolist(), verdict.flag.tolist(), strict=True))
        found |= dict(
            zip(verdict.amended_series.tolist(), verdict.amended_flag.tolist(), strict=True)
        )

    assert found[SPEED] == flag


@ZERO
def test_where_an_occupancy_is_sent_it_is_waited_for() -> None:
    """Until it tells, a speed of 0 may be that of a jam."""
    made = check()

    before = made.judge(at_once((COUNT, 0, 0), (SPEED, 0, 0)))
    after = made.judge(at_once((OCCUPANCY, 0, 0)))

    assert before.flag.tolist() == [1, 1]
    amended = zip(after.amended_series.tolist(), after.amended_flag.tolist(), strict=True)
    assert dict(amended) == {SPEED: MISSING, COUNT: 1}


def test_the_number_of_another_instant_says_nothing() -> None:
    """Nobody was counted a minute ago, and a queue may stand there now."""
    made = check()
    made.judge(at_once((COUNT, 0, 0), (SPEED, 30, 0)))

    assert made.judge(at_once((SPEED, 0, 60))).flag.tolist() == [2]


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


def test_the_detail_of_the_reason_tells_all_that_the_detector_shows() -> None:
    """For each of the readings, those that came before among them."""
    made = check()
    made.judge(at_once((FLOW, 1800, 0), (OCCUPANCY, 40, 0)))

    verdict = made.judge(at_once((SPEED, 90, 0)))

    told = "flow 1800 veh/h, occupancy 40 % and speed 90 km/h on 1 lane: vehicles 20 m long."
    assert [(one.series, one.reason) for one in verdict.details] == [
        (series, TRAFFIC_PLAUSIBILITY.bit) for series in (FLOW, OCCUPANCY, SPEED)
    ]
    assert {one.detail for one in verdict.details} == {f"The detector shows {told}"}
    assert len({one.time for one in verdict.details}) == 1


def test_what_fits_together_needs_no_detail() -> None:
    """Nor does the speed of an empty road, whose reason says it all."""
    assert not check().judge(at_once((FLOW, 0, 0), (SPEED, 0, 0), (OCCUPANCY, 0, 0))).details


THREE = ((FLOW, 5400, 0), (OCCUPANCY, 12, 0), (SPEED, 90, 0))


def station(**facts: Any) -> dict[str, Station]:
    """Return a registry with the one detector."""
    return {"tr-1": Station(sensor="tr-1", latitude=48, longitude=8, **facts)}


def test_lanes_counted_together_are_those_of_the_station() -> None:
    """Three lanes of 1800 veh/h at 12 % each are the same vehicles as one."""
    assert check().judge(at_once(*THREE)).flag.tolist() == [3, 3, 3]
    assert check(station(lanes=3)).judge(at_once(*THREE)).flag.tolist() == [1, 1, 1]
    assert check(station(lanes=1)).judge(at_once(*THREE)).flag.tolist() == [3, 3, 3]


def test_a_series_of_one_lane_is_about_one_whatever_the_station_has() -> None:
    """The qualifier says which."""
    one = check(station(lanes=3), qualifiers="lane=2")

    assert one.judge(at_once(*THREE)).flag.tolist() == [3, 3, 3]


def test_where_nobody_knows_the_lanes_any_number_of_them_is_believed() -> None:
    """Within what the policy says there may be."""
    made = check(lanes=[1, 4])

    assert made.judge(at_once(*THREE)).flag.tolist() == [1, 1, 1]
    too_long = ((FLOW, 1800, 60), (OCCUPANCY, 40, 60), (SPEED, 90, 60))
    assert made.judge(at_once(*too_long)).flag.tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("facts", "readings", "flags"),
    [
        pytest.param({"lanes": 2}, [(FLOW, 6000, 0)], [2], id="3000 a lane"),
        pytest.param({"lanes": 2}, [(FLOW, 6060, 0)], [3], id="3030 a lane"),
        pytest.param({"lanes": 1}, [(FLOW, 3060, 0)], [3], id="17 in 20 s"),
        pytest.param({}, [(FLOW, 6000, 0)], [2], id="two lanes at most, nobody knows"),
        pytest.param({"lanes": 1, "period_s": 20}, [(COUNT, 16, 0)], [2], id="16 in 20 s"),
        pytest.param({"lanes": 1, "period_s": 20}, [(COUNT, 17, 0)], [3], id="17 counted in 20 s"),
        pytest.param({"lanes": 1}, [(COUNT, 9_999, 0)], [2], id="an unknown interval"),
        pytest.param({"lanes": 1}, [(FLOW, 1300, 0), (SPEED, 10, 0)], [1, 1], id="130 veh/km"),
        pytest.param({"lanes": 1}, [(FLOW, 1400, 0), (SPEED, 10, 0)], [3, 1], id="140 veh/km"),
        pytest.param({"lanes": 2}, [(FLOW, 1400, 0), (SPEED, 10, 0)], [1, 1], id="70 a lane"),
    ],
)
def test_no_lane_carries_more_than_lanes_do(
    facts: dict[str, Any], readings: list[tuple[int, float, float]], flags: list[int]
) -> None:
    """3000 veh/h (17 in 20 s) and 220 veh/mi of a lane (domain.md 5.4, unverified)."""
    made = check(station(**facts), lanes=[1, 2], max_flow=3000, max_density=136.7)

    assert made.judge(at_once(*readings)).flag.tolist() == flags


def test_a_station_that_is_registered_later_counts_from_then_on() -> None:
    """Registration entries come at any time."""
    stations: dict[str, Station] = {}
    made = check(stations)

    before = made.judge(at_once(*THREE)).flag.tolist()
    stations |= station(lanes=3)
    later = [(number, value, 60.0) for number, value, _ in THREE]

    assert (before, made.judge(at_once(*later)).flag.tolist()) == ([3] * 3, [1] * 3)
