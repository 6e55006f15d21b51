# SPDX-License-Identifier: EUPL-1.2
"""Speeds of single loops equal those of IRIS and PeMS, and lengths are learnt."""

from __future__ import annotations

import numpy as np
import pytest

from lamppost.series import SeriesTable
from lamppost.times import SECOND_NS
from processors.traffic import single_loop_speed
from tests.processor_cases import START_NS, build
from tests.road_cases import FIELD_M, KM_PER_MILE, STATIONS, batch, of

IRIS = pytest.mark.vector("traffic flow", "mnit-rtmc/iris: density and speed of a single loop")


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
