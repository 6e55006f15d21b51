# SPDX-License-Identifier: EUPL-1.2
"""What belongs to one road and instant is brought together, in whatever order it comes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.batch import DERIVED, REDERIVED
from lamppost.flags import FAIL, GOOD, MISSING, SUSPECT
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Registry, Station
from lamppost.times import SECOND_NS
from tests.processor_cases import NAN, build
from tests.road_cases import STATION, STATIONS, batch, one


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


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_road_that_is_imported_after_another_is_not_late(size: int) -> None:
    """Files hold one detector after the other, and each was received when it was measured."""
    series = SeriesTable()
    derivation = build("derivation", "density_from_speed", {}, series, STATIONS)
    rows = [
        (f"{name}|lane={lane}", 3_600.0 * hour, 50.0)
        for lane in (1, 2)
        for hour in range(5)
        for name in ("flow", "speed")
    ]

    made = [
        derivation.derive(batch(series, rows[start : start + size]))
        for start in range(0, len(rows), size)
    ]

    assert sum(map(len, made)) == 10
    assert len(derivation.snapshot()["series"]) == 4


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


def test_an_input_that_is_missing_is_no_number() -> None:
    """A speed of 0 on an empty road, which was not known for one at first, takes back the delay."""
    series = SeriesTable()
    derivation = build("derivation", "delay", {}, series, STATIONS)
    derivation.derive(batch(series, [("speed", 0.0, 40.0), ("vehicle_count", 0.0, 10.0)]))

    made = derivation.derive(batch(series, [("speed", 0.0, 40.0)], flag=MISSING, revision=1))

    assert np.isnan(made.value).all()
    assert made.revision.tolist() == [REDERIVED]


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


_INPUT = st.tuples(
    st.sampled_from(["flow", "speed", "flow|lane=1", "speed|lane=1"]),
    st.sampled_from([0.0, 60.0, 120.0]),
    st.sampled_from([0.0, 900.0, 50.0, NAN]),
    st.sampled_from([0, 0, 0, 800, 2_000]),
)


@settings(deadline=None)
@given(st.lists(_INPUT, max_size=12), st.booleans())
def test_whole_messages_and_single_readings_come_together_alike(
    rows: list[tuple[str, float, float, int]],
    whole: bool,  # noqa: FBT001 - hypothesis gives no keywords
) -> None:
    """Messages mostly have all inputs of an instant; that they have is only quicker."""
    if whole:
        pairs = {(name.partition("|")[2], at) for name, at, _, _ in rows}
        lanes = [(f"|{lane}" if lane else "", at) for lane, at in sorted(pairs)]
        both = ("speed", "flow")
        rows = [(f"{name}{lane}", at, 50.0, 0) for lane, at in lanes for name in both]

    def found(size: int) -> list[tuple[object, ...]]:
        series = SeriesTable()
        derivation = build("derivation", "density_from_speed", {}, series, STATIONS)
        said = []
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            judged = batch(series, [row[:3] for row in some])
            late = np.array([row[3] for row in some]) * SECOND_NS
            made = derivation.derive(replace(judged, received=judged.received + late))
            columns = (made.time, made.value, made.flag, made.revision)
            names = [series[code].qualifiers for code in made.series.tolist()]
            said += list(zip(names, *(column.tolist() for column in columns), strict=True))
        return said

    assert str(found(1)) == str(found(max(len(rows), 1))) == str(found(4))
