# SPDX-License-Identifier: EUPL-1.2
"""Derived quantities of traffic equal the vectors of their sources."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lamppost.batch import DERIVED, REDERIVED, JudgedBatch, ReadingBatch
from lamppost.flags import FAIL, GOOD, SUSPECT
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Registry, Station
from lamppost.times import SECOND_NS
from processors.traffic import (
    delay,
    density_from_occupancy,
    density_from_speed,
    headway_from_flow,
    level_of_service_freeway,
    level_of_service_street,
    single_loop_speed,
    travel_time_index,
    vehicle_classes,
)
from tests.processor_cases import NAN, START_NS, build

IRIS = pytest.mark.vector("traffic flow", "mnit-rtmc/iris: density and speed of a single loop")
PEMS = pytest.mark.vector("traffic flow", "PeMS, cagov/caldata-mdsa-caltrans-pems")
IDENTITIES = pytest.mark.vector(
    "traffic flow", "Highway Capacity Manual: q = k v, headway 3600 / q"
)
FREEWAY = pytest.mark.vector("level of service", "Highway Capacity Manual, basic freeway segments")
STREET = pytest.mark.vector(
    "level of service", "Highway Capacity Manual 2000, urban streets (one source)"
)
SHARES = pytest.mark.vector(
    "level of service", "Highway Capacity Manual 2010, urban streets (not confirmed)"
)
CLASSES = pytest.mark.vector("traffic flow", "mnit-rtmc/iris: classes by length")

KM_PER_MILE = 1.609344
FIELD_M = 22 * 0.3048
STATION = Station(
    sensor="tr-1",
    latitude=48,
    longitude=8,
    period_s=60,
    lanes=2,
    road_class="freeway",
    free_flow_speed_km_h=100,
    detector="single_loop",
    downstream="tr-2",
    downstream_km=2.0,
)
STATIONS = {"tr-1": STATION, "tr-2": Station(sensor="tr-2", latitude=48, longitude=8)}


def of(*numbers: float) -> tuple[np.ndarray, ...]:
    """Return each number as a column."""
    return tuple(np.array([number], np.float64) for number in numbers)


@IRIS
def test_density_of_iris() -> None:
    """15 vehicles in 30 s, 10 %, field 22 ft: 24.0 veh/mi."""
    (found,) = density_from_occupancy.density(*of(10.0, FIELD_M))

    assert found * KM_PER_MILE == pytest.approx(24.0, abs=0.05)


@IRIS
def test_speed_of_iris_and_pems() -> None:
    """15 vehicles in 30 s, 10 %, 22 ft: 75.0 mph by both forms."""
    (found,) = single_loop_speed.speed(*of(15 * 3600 / 30, 10.0, FIELD_M))

    assert found / KM_PER_MILE == pytest.approx(75.0, abs=0.05)
    assert pytest.approx(found / KM_PER_MILE, abs=0.05) == 150 * 22 / 0.10 / 440


@IRIS
@pytest.mark.parametrize(
    ("flow", "occupancy", "told"),
    [
        # 0.5 % with 22 ft is 1.2 veh/mi: not above it.
        (60.0, 0.5, False),
        (60.0, 0.51, True),
        (0.0, 20.0, False),
    ],
)
def test_iris_tells_no_speed_where_too_few_passed(
    flow: float,
    occupancy: float,
    told: bool,  # noqa: FBT001
) -> None:
    """Density at most 1.2 veh/mi, or flow 0."""
    (found,) = single_loop_speed.speed(*of(flow, occupancy, FIELD_M))

    assert np.isfinite(found) == told


@IDENTITIES
def test_flow_is_density_times_speed() -> None:
    """Q = k v."""
    (found,) = density_from_speed.density(*of(3600.0, 90.0, 2.0))

    assert found * 90.0 * 2.0 == pytest.approx(3600.0)


@IDENTITIES
def test_headway_is_an_hour_over_the_flow() -> None:
    """3600 / q seconds."""
    (found,) = headway_from_flow.headway(*of(1200.0, 1.0))

    assert found == pytest.approx(3.0)


@FREEWAY
@pytest.mark.parametrize(
    ("flow", "mph", "expected"),
    [
        # 1500 pc/h/ln at 60 mph is 25.0: C; 11.0 is A, 11.1 is B.
        (1500.0, 60.0, "C"),
        (660.0, 60.0, "A"),
        (666.0, 60.0, "B"),
        # Each upper bound of the table belongs to its level, and what is above to the next.
        *((10.0 * bound, 10.0, letter)
          for bound, letter in zip((11, 18, 26, 35, 45), "ABCDE", strict=True)),
        *((10.0 * bound + 0.1, 10.0, letter)
          for bound, letter in zip((11, 18, 26, 35, 45), "BCDEF", strict=True)),
    ],
)  # fmt: skip
def test_levels_of_a_freeway(flow: float, mph: float, expected: str) -> None:
    """By density in passenger cars per mile and lane."""
    (found,) = level_of_service_freeway.level(*of(flow, mph, NAN))

    assert "ABCDEF"[int(found) - 1] == expected


FLOWS = {75: "825 1330 1775", 70: "770 1260 1735", 65: "715 1170 1665", 60: "660 1080 1560"}


@FREEWAY
@pytest.mark.parametrize(
    ("mph", "flow", "expected"),
    [
        (mph, float(flow), letter)
        for mph, flows in FLOWS.items()
        for flow, letter in zip(flows.split(), "ABC", strict=True)
    ],
)
def test_flows_at_free_flow_speed_have_the_level_of_their_density(
    mph: float, flow: float, expected: str
) -> None:
    """The table of highest flows, as far as speed is still that of free flow."""
    (found,) = level_of_service_freeway.level(*of(flow, mph, mph))

    assert "ABCDEF"[int(found) - 1] == expected


@FREEWAY
@pytest.mark.parametrize(
    ("free_flow", "capacity"), [(75, 2400), (70, 2400), (65, 2350), (60, 2300), (50, 2300)]
)
def test_more_than_capacity_is_f(free_flow: float, capacity: float) -> None:
    """The last column of the table of flows."""
    at, above = (
        level_of_service_freeway.level(*of(flow, 70.0, free_flow))[0]
        for flow in (capacity, capacity + 1)
    )

    assert (at, above) == (4.0, 6.0)


STREETS = {
    "street_1": (42, 34, 27, 21, 16),
    "street_2": (35, 28, 22, 17, 13),
    "street_3": (30, 24, 18, 14, 10),
    "street_4": (25, 19, 13, 9, 7),
}


@STREET
@pytest.mark.parametrize("street", STREETS)
def test_levels_of_a_street(street: str) -> None:
    """A speed must exceed the bound of its level (HCM 2000)."""
    bounds = np.array(STREETS[street], float)[:, None] * KM_PER_MILE

    at = [level_of_service_street.level(bounds[i], bounds)[0] for i in range(5)]
    above = [level_of_service_street.level(bounds[i] + 0.1, bounds)[0] for i in range(5)]

    assert at == [2, 3, 4, 5, 6]
    assert above == [1, 2, 3, 4, 5]
    assert level_of_service_street.SPEEDS_MPH[street] == STREETS[street]


def test_speeds_of_a_street_are_the_policys() -> None:
    """The table of HCM 2000 stands in one source, so a city may have its own."""
    stations = {"tr-1": STATION.model_copy(update={"road_class": "street_1"})}
    own = {"street_1": [60, 50, 40, 30, 20]}

    found = one("level_of_service_street", {"speed": 80.0}, stations, speeds_mph=own)

    assert found == 3


def test_streets_of_a_class_without_speeds_have_no_level() -> None:
    """A city that trusts the table for some of its streets only."""
    series = SeriesTable()
    stations = {"tr-1": STATION.model_copy(update={"road_class": "street_1"})}
    settings = {"speeds_mph": {"street_2": [60, 50, 40, 30, 20]}}
    derivation = build("derivation", "level_of_service_street", settings, series, stations)

    assert not len(derivation.derive(batch(series, [("speed", 0.0, 80.0)])))


@SHARES
def test_levels_of_a_street_by_shares() -> None:
    """HCM 2010: 85, 67, 50, 40, 30 % of the free-flow speed (not verified)."""
    stations = {"tr-1": STATION.model_copy(update={"road_class": "street_1"})}
    speeds = [86.0, 85.0, 67.0, 50.0, 40.0, 30.0]

    found = [
        one("level_of_service_street", {"speed": v}, stations, manual="hcm_2010") for v in speeds
    ]

    assert found == [1, 2, 3, 4, 5, 6]


@PEMS
def test_delay_of_pems() -> None:
    """F (L / V - L / Vt): 100 vehicles, 2 km, 30 against 60 km/h lose 3.33 hours."""
    (found,) = delay.delay(*of(1200.0, 30.0, 2.0, 60.0, 1 / 12))

    assert found == pytest.approx(100 * (2 / 30 - 2 / 60))
    assert delay.delay(*of(1200.0, 90.0, 2.0, 60.0, 1 / 12))[0] == 0.0


@PEMS
def test_travel_time_index_of_pems() -> None:
    """60 mph over the speed."""
    assert travel_time_index.travel_time_index(*of(40.0, 60.0))[0] == pytest.approx(1.5)


@CLASSES
@pytest.mark.parametrize(
    ("feet", "expected"),
    [(7.0, "motorcycle"), (7.1, "short"), (19.9, "short"), (20.0, "medium"), (42.9, "medium"),
     (43.0, "long")],
)  # fmt: skip
def test_classes_of_iris(feet: float, expected: str) -> None:
    """Up to 7 ft, to 20, to 43, and above."""
    (found,) = vehicle_classes.class_of(np.array([feet * 0.3048]))

    assert vehicle_classes.CLASSES[found] == expected


def batch(
    series: SeriesTable, rows: list[tuple[str, float, float]], *, flag: int = GOOD,
    revision: int = 0, received_s: float | None = None,
) -> JudgedBatch:  # fmt: skip
    """Return judged readings of a station: quantity, seconds, value."""
    time = np.array([START_NS + round(s * SECOND_NS) for _, s, _ in rows], np.int64)
    late = 1.0 if received_s is None else received_s
    received = (
        time + SECOND_NS
        if received_s is None
        else np.full(len(rows), START_NS + round(late * SECOND_NS))
    )
    readings = ReadingBatch(
        series=np.array([series.code(_key(name)) for name, _, _ in rows], np.int32),
        time=time,
        received=received,
        value=np.array([value for _, _, value in rows], np.float64),
        flag=np.full(len(rows), flag, np.uint8),
        reasons=np.full(len(rows), 0 if flag == GOOD else 256, np.uint32),
    )
    return JudgedBatch.unscored(readings, revision)


def _key(name: str) -> SeriesKey:
    quantity, _, qualifiers = name.partition("|")
    return SeriesKey("tr-1", quantity, qualifiers)


def one(
    name: str, values: dict[str, float], stations: dict[str, Station] | None = None, **settings: Any
) -> float:
    """Return what is derived from readings of one instant."""
    series = SeriesTable()
    derivation = build("derivation", name, settings, series, stations or STATIONS)
    made = derivation.derive(batch(series, [(q, 0.0, value) for q, value in values.items()]))
    assert len(made) == 1
    return float(made.value[-1])


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("density_from_speed", {"flow": 3600, "speed": 90}, 20.0),
        # One lane of its own, and a count of an interval of 30 s.
        ("density_from_speed", {"vehicle_count|lane=1;period_s=30": 15,
                                "speed|lane=1;period_s=30": 90}, 20.0),
        ("headway_from_flow", {"flow": 3600}, 2.0),
        ("single_loop_speed", {"flow": 3600, "occupancy": 10}, 120.7),
        ("travel_time_index", {"speed": 50}, 2.0),
        ("delay", {"vehicle_count": 10, "speed": 40}, 10 * (2 / 40 - 2 / 96.6)),
        ("level_of_service_freeway", {"flow": 3000, "speed": 96.56064}, 3.0),
    ],
)  # fmt: skip
def test_numbers_of_the_registry_are_used(
    name: str, values: dict[str, float], expected: float
) -> None:
    """Lanes, free-flow speed, length to the next station, interval."""
    assert one(name, values) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("density_from_speed", "lanes"),
        ("headway_from_flow", "lanes"),
        ("single_loop_speed", "lanes"),
        ("single_loop_speed", "detector"),
        ("travel_time_index", "free_flow_speed_km_h"),
        ("delay", "downstream"),
        ("delay", "period_s"),
        ("level_of_service_freeway", "road_class"),
        ("density_from_occupancy", "detector_length_m"),
    ],
)
def test_without_what_it_needs_nothing_is_derived(name: str, missing: str) -> None:
    """The registry says what concerns a station."""
    series = SeriesTable()
    plain = Station(sensor="tr-1", latitude=48, longitude=8)
    stations = {
        **STATIONS,
        "tr-1": STATION.model_copy(update={missing: getattr(plain, missing)}),
    }
    derivation = build("derivation", name, {}, series, stations)
    rows = [("flow", 0.0, 900.0), ("vehicle_count", 0, 15), ("speed", 0, 50), ("occupancy", 0, 9)]

    assert not len(derivation.derive(batch(series, rows)))


def test_a_road_that_is_registered_later_is_derived_from_then_on() -> None:
    """And one whose entry changes, by the new one."""
    series, stations = SeriesTable(), Registry()
    derivation = build("derivation", "travel_time_index", {}, series, stations)
    assert not len(derivation.derive(batch(series, [("speed", 0.0, 50.0)])))

    stations.register([STATION])
    first = derivation.derive(batch(series, [("speed", 60.0, 50.0)]))
    stations.register([STATION.model_copy(update={"free_flow_speed_km_h": 60})])
    second = derivation.derive(batch(series, [("speed", 120.0, 50.0)]))

    assert (first.value.tolist(), second.value.tolist()) == ([2.0], [1.2])
    assert first.series.tolist() == second.series.tolist()
    assert series[int(first.series[0])] == SeriesKey(
        "tr-1", "travel_time_index", "derived=travel_time_index"
    )


def test_inputs_may_come_in_any_order_and_apart() -> None:
    """Flow of a minute ago waits for its speed."""
    series = SeriesTable()
    derivation = build("derivation", "density_from_speed", {}, series, STATIONS)

    apart = [
        derivation.derive(batch(series, [row]))
        for row in (("speed", 0.0, 90.0), ("speed", 60.0, 45.0), ("flow", 0.0, 3600.0))
    ]

    assert [made.value.tolist() for made in apart] == [[], [], [20.0]]
    assert apart[2].revision.tolist() == [DERIVED]


def test_inputs_that_come_too_far_apart_do_not_meet() -> None:
    """By their receipts, and wait_s."""
    series = SeriesTable()
    derivation = build("derivation", "density_from_speed", {"wait_s": 100}, series, STATIONS)
    derivation.derive(batch(series, [("speed", 0.0, 90.0)], received_s=1.0))

    assert not len(derivation.derive(batch(series, [("flow", 0.0, 3600.0)], received_s=102.0)))
    assert len(derivation.snapshot()["series"]) == 1


def test_a_corrected_input_is_derived_anew() -> None:
    """And one whose verdict changes; both with the revision that says so."""
    series = SeriesTable()
    derivation = build("derivation", "density_from_speed", {}, series, STATIONS)
    derivation.derive(batch(series, [("speed", 0.0, 90.0), ("flow", 0.0, 3600.0)]))

    corrected = derivation.derive(batch(series, [("flow", 0.0, 1800.0)], revision=2))
    doubted = derivation.derive(batch(series, [("speed", 0.0, 90.0)], flag=SUSPECT, revision=1))

    assert (corrected.value.tolist(), corrected.revision.tolist()) == ([10.0], [REDERIVED])
    assert (doubted.value.tolist(), doubted.flag.tolist()) == ([10.0], [SUSPECT])
    assert doubted.reasons.tolist() == [256]


def test_the_worst_flag_of_the_inputs_counts() -> None:
    """The stage makes failed ones missing."""
    series = SeriesTable()
    derivation = build("derivation", "density_from_speed", {}, series, STATIONS)
    rows = batch(series, [("flow", 0.0, 3600.0), ("speed", 0.0, 90.0)])
    rows = replace(rows, flag=np.uint8([FAIL, GOOD]), reasons=np.uint32([64, 128]))

    made = derivation.derive(rows)

    assert (made.flag.tolist(), made.reasons.tolist()) == ([FAIL], [192])


@IDENTITIES
def test_counts_become_flow_where_no_flow_is_sent() -> None:
    """Not from the first count: only the second shows that no flow comes with it."""
    series = SeriesTable()
    derivation = build("derivation", "flow_from_count", {}, series, STATIONS)
    rows = [("vehicle_count", 60.0 * i, 10.0 + i) for i in range(3)]

    made = derivation.derive(batch(series, rows))

    assert made.value.tolist() == [660.0, 720.0]
    assert series[int(made.series[0])].quantity == "flow"


def test_counts_are_left_alone_where_flow_is_sent() -> None:
    """A detector that sends both needs no help."""
    series = SeriesTable()
    derivation = build("derivation", "flow_from_count", {}, series, STATIONS)
    rows = [(name, 60.0 * i, 10.0) for i in range(3) for name in ("vehicle_count", "flow")]

    assert not len(derivation.derive(batch(series, rows)))


def test_each_vehicle_counts_in_its_class() -> None:
    """1 for its own, 0 for the others: totals are counts, means are shares."""
    series = SeriesTable()
    derivation = build("derivation", "vehicle_classes", {}, series, STATIONS)

    made = derivation.derive(
        batch(series, [("vehicle_length", 0.0, 4.5), ("vehicle_length", 9.0, 16.0)])
    )

    assert made.value.tolist() == [0, 1, 0, 0, 0, 0, 0, 1]
    assert series[int(made.series[1])].qualifiers == "class=short;derived=vehicle_classes"


def loop_day(day: int, length_m: float, *, hours: int = 24) -> list[tuple[str, float, float]]:
    """Return a day of a loop on which vehicles look so long, at 100 km/h but for some jams."""
    rows = []
    for minute in range(0, 60 * hours, 4):
        seconds = 86_400.0 * day + 60 * minute - (START_NS // SECOND_NS) % 86_400
        jam = minute % 5 == 0
        flow, speed = (1800.0, 20.0) if jam else (1200.0, 100.0)
        occupancy = flow * length_m / speed / 10.0
        rows += [("flow|lane=1", seconds, flow), ("occupancy|lane=1", seconds, occupancy)]
    return rows


def test_the_length_is_learnt_from_free_traffic() -> None:
    """Two days later the speed is right, where 22 feet made it 16 % too low."""
    series = SeriesTable()
    derivation = build("derivation", "single_loop_speed", {}, series, STATIONS)

    days = [derivation.derive(batch(series, loop_day(day, 8.0))) for day in range(3)]

    before, after = days[0].value, days[2].value
    assert before.max() == pytest.approx(100 * FIELD_M / 8.0, rel=1e-6)
    assert after.max() == pytest.approx(100.0, rel=1e-6)
    assert after.min() == pytest.approx(20.0, rel=1e-6)


def test_hours_without_readings_take_the_hours_around_them() -> None:
    """Hours are smoothed over six to either side; beyond that nothing is known."""
    series = SeriesTable()
    settings = {"least_readings": 20}
    derivation = build("derivation", "single_loop_speed", settings, series, STATIONS)
    for day in range(2):
        derivation.derive(batch(series, loop_day(day, 8.0, hours=6)))

    found = derivation.derive(batch(series, loop_day(2, 8.0))).value.reshape(24, -1).max(axis=1)

    learnt = np.isclose(found, 100.0)
    assert learnt.tolist() == [True] * 12 + [False] * 6 + [True] * 6


def test_a_short_day_teaches_nothing() -> None:
    """Fewer readings than least_readings leave the length as it was."""
    series = SeriesTable()
    settings = {"least_readings": 1000}
    derivation = build("derivation", "single_loop_speed", settings, series, STATIONS)

    days = [derivation.derive(batch(series, loop_day(day, 8.0))) for day in range(3)]

    assert days[2].value.max() == pytest.approx(100 * FIELD_M / 8.0, rel=1e-6)


def test_learning_does_not_depend_on_the_cut() -> None:
    """Three days in one batch, or row by row."""
    rows = [row for day in range(3) for row in loop_day(day, 8.0)]
    rows[400:404] = rows[30:34]

    def found(cut: int) -> list[float]:
        series = SeriesTable()
        derivation = build("derivation", "single_loop_speed", {}, series, STATIONS)
        parts = [rows[at : at + cut] for at in range(0, len(rows), cut)]
        return [v for part in parts for v in derivation.derive(batch(series, part)).value.tolist()]

    assert found(1) == found(len(rows)) == found(37)


def test_a_restored_derivation_can_be_stopped_again_at_once() -> None:
    """What waits is kept through two stops, without a reading in between."""
    series = SeriesTable()
    derivation = build("derivation", "density_from_speed", {}, series, STATIONS)
    derivation.derive(batch(series, [("speed", 0.0, 90.0)]))
    for _ in range(2):
        snapshot = derivation.snapshot()
        derivation = build("derivation", "density_from_speed", {}, series, STATIONS)
        derivation.restore(snapshot)

    assert derivation.derive(batch(series, [("flow", 0.0, 3600.0)])).value.tolist() == [20.0]


def test_what_is_held_is_bounded() -> None:
    """Only what came in the last wait_s, however long it goes on."""
    series = SeriesTable()
    derivation = build("derivation", "density_from_speed", {"wait_s": 300}, series, STATIONS)
    for start in range(0, 30_000, 500):
        rows = [
            (name, 60.0 * i, 50.0) for i in range(start, start + 500) for name in ("flow", "speed")
        ]
        derivation.derive(batch(series, rows))

    assert len(derivation.snapshot()["series"]) == 12
