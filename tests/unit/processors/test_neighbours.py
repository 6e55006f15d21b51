# SPDX-License-Identifier: EUPL-1.2
"""Neighbours: the numbers of AirGradient's algorithm, and who is a neighbour when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.component import Check, Rows
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from processors.quality._chosen import Chosen
from processors.quality._latest import NOBODY
from processors.quality._nearest import Nearest, distances_m
from processors.quality.neighbours import NEIGHBOURS, NeighbourLimits, Neighbours, explain
from tests.processor_cases import build
from tests.quality_cases import at_once

AIRGRADIENT = pytest.mark.vector(
    "neighbours", 'AirGradient map, "PM2.5 Outlier Detection - Current Implementation"'
)

KM = 1 / 111.2  # degrees of latitude


def station(sensor: str, km: float, kind: str = "air_quality") -> Station:
    """Return a station some kilometres north of the first one."""
    return Station(sensor=sensor, kind=kind, latitude=48 + km * KM, longitude=8)


def check(*stations: Station, **settings: Any) -> Check:
    """Build the check for PM2.5 at some stations, series numbered as they are listed."""
    series = SeriesTable(SeriesKey(one.sensor, "pm2_5") for one in stations)
    by_sensor = {one.sensor: one for one in stations}
    raw = {"quantities": {"pm2_5": {}}, **settings}
    made: Check = build("check", "neighbours", raw, series, by_sensor)
    return made


def around(*values: float) -> list[tuple[int, float, float]]:
    """Return readings of the stations 1, 2, 3 ..., a second before the one to judge."""
    return [(number, value, 0) for number, value in enumerate(values, start=1)]


@AIRGRADIENT
@pytest.mark.parametrize(
    ("value", "neighbours", "flag", "reason"),
    [
        pytest.param(40, [10, 12, 14, 16, 18], 3, "spatial_absolute", id="26 > 14"),
        pytest.param(31, [10, 12], 1, "within_threshold", id="20 < 22.14"),
        pytest.param(36, [10, 12], 3, "spatial_absolute", id="25 > 22.14"),
        pytest.param(150, [60, 70, 80, 90, 100], 3, "spatial_zscore", id="z 4.72"),
    ],
)
def test_outliers_are_those_of_airgradient(
    value: float, neighbours: list[float], flag: int, reason: str
) -> None:
    """AirGradient map, "PM2.5 Outlier Detection": quartiles by linear interpolation."""
    made = check(*[station(f"aq-{number}", number) for number in range(6)])

    verdict = made.judge(at_once(*around(*neighbours), (0, value, 1)))

    assert verdict.flag[0] == flag
    assert verdict.reasons[0] == NEIGHBOURS.mask * (flag == 3)
    assert explain(value, neighbours).reason == reason


def test_an_explanation_names_its_numbers() -> None:
    """A citizen can follow it."""
    found = explain(36, [10, 12])

    assert (found.count, found.centre) == (2, 11)
    assert found.limit == pytest.approx(22.136, abs=1e-3)
    assert explain(5, []).reason == "insufficient_neighbours"


def test_the_rule_tells_how_it_widens_for_few() -> None:
    """And how many are asked."""
    told = Neighbours.describe(Neighbours.Settings(quantities={"pm2_5": NeighbourLimits()}))

    assert "with n neighbours, fewer than 5, both are √(5/n) times as far" in told
    assert "asked are the 8 nearest of the same kind within 10 km, 50 km or else 300 km" in told


def test_without_neighbours_nothing_is_evaluated() -> None:
    """Alone, too far away, too old, of another kind: none of them is a neighbour."""
    far = station("aq-1", 400)
    road = station("aq-1", 1, kind="traffic")

    assert check(station("aq-0", 0)).judge(at_once((0, 500, 1))).flag.tolist() == [2]
    for other, age_s in ((far, 1), (road, 1), (station("aq-1", 1), 7_202)):
        made = check(station("aq-0", 0), other)
        assert made.judge(at_once((1, 5, 0), (0, 500, age_s))).flag[0] == 2


def test_the_next_radius_is_asked_only_where_nobody_is_nearer() -> None:
    """10 km, then 50, then 300."""
    near, far = station("aq-1", 5), station("aq-2", 40)

    made = check(station("aq-0", 0), near, far)
    assert made.judge(at_once((2, 500, 0), (1, 10, 0), (0, 500, 1))).flag[0] == 3
    made = check(station("aq-0", 0), near, far)
    assert made.judge(at_once((2, 500, 0), (0, 500, 1))).flag[0] == 1


def test_only_what_had_arrived_counts_and_failed_neighbours_do_not() -> None:
    """A later reading of the same batch is the future."""
    two = station("aq-0", 0), station("aq-1", 1)

    assert check(*two).judge(at_once((0, 500, 1), (1, 5, 0))).flag.tolist() == [2, 3]
    rows = at_once((1, 5, 0), (0, 500, 1))
    failed = Rows(rows.groups, rows.time, rows.value, np.array([1, 4], np.uint8))
    assert check(*two).judge(failed).flag.tolist() == [2, 2]


def test_a_station_registered_later_is_a_neighbour_from_then_on() -> None:
    """The registry may grow while the engine runs."""
    stations = {"aq-0": station("aq-0", 0)}
    series = SeriesTable([SeriesKey("aq-0", "pm2_5"), SeriesKey("aq-1", "pm2_5")])
    made = build("check", "neighbours", {"quantities": {"pm2_5": {}}}, series, stations)
    assert made.judge(at_once((1, 5, 0), (0, 500, 1))).flag.tolist() == [2, 2]

    stations["aq-1"] = station("aq-1", 1)

    assert made.judge(at_once((1, 5, 2), (0, 500, 3))).flag.tolist() == [3, 3]


def test_the_nearest_station_need_not_measure_the_quantity() -> None:
    """Whom a station has beside it without such a series does not hide those further away."""
    near, far = station("aq-2", 1), station("aq-1", 2)
    series = SeriesTable([SeriesKey("aq-0", "pm2_5"), SeriesKey("aq-1", "pm2_5")])
    stations = {one.sensor: one for one in (station("aq-0", 0), near, far)}
    made = build("check", "neighbours", {"quantities": {"pm2_5": {}}}, series, stations)

    assert made.judge(at_once((1, 10, 0), (0, 60, 1))).flag.tolist() == [3, 2]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), most=st.integers(1, 30), wide=st.sampled_from([0.01, 1, 90]))
def test_the_nearest_stations_are_found(seed: int, most: int, wide: float) -> None:
    """As great-circle distances say, the first of two as far; at pole and date line, too."""
    random = np.random.default_rng(seed)
    series = SeriesTable(SeriesKey(f"aq-{number}", "pm2_5") for number in range(20))
    latitude = np.clip(random.uniform(-wide, wide, 20).round(2) + random.choice([0, 89]), -90, 90)
    longitude = (random.uniform(-wide, wide, 20).round(2) + 360) % 360 - 180
    stations = {
        f"aq-{number}": Station(sensor=f"aq-{number}", kind=kind, latitude=north, longitude=east)
        for number, (kind, north, east) in enumerate(
            zip(random.choice(["air", "noise"], 20), latitude, longitude, strict=True)
        )
    }
    places = np.radians([latitude, longitude])

    found = Nearest(Chosen(series, {"pm2_5"}), stations, most=most, radii_m=[10_000, 300_000])

    for here, row in enumerate(found.all().T):
        distance = distances_m(places, places[:, [here]])
        others = [
            number
            for number in np.argsort(distance, kind="stable").tolist()
            if number != here
            and distance[number] <= 300_000
            and stations[f"aq-{number}"].kind == stations[f"aq-{here}"].kind
        ]
        assert row[row != NOBODY].tolist() == others[:most]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), most=st.integers(1, 4), max_age_s=st.sampled_from([2, 60]))
def test_the_short_look_sees_what_the_close_one_does(seed: int, most: int, max_age_s: int) -> None:
    """Readings near all their neighbours are called good without a median, and rightly so."""
    random = np.random.default_rng(seed)
    stations = [station(f"aq-{number}", float(random.uniform(0, 30))) for number in range(12)]
    rules = {"most": most, "max_age_s": max_age_s, "radii_m": [4_000, 20_000]}
    quick, slow = check(*stations, **rules), check(*stations, **rules)
    assert isinstance(slow, Neighbours)
    slow._plainly_good = lambda _rows, asking, _limits: np.zeros(len(asking), np.bool_)  # type: ignore[method-assign]  # the close look alone
    second = 0.0

    for _ in range(6):
        readings = []
        for number in random.integers(0, 12, int(random.integers(1, 30))).tolist():
            second += float(random.choice([0, 0.1, 0.1, 5]))
            level = float(random.choice([10, 10, 10, 12, 23, 24, 25, 61, np.nan]))
            readings.append((number, level + float(random.uniform(0, 1)), second))
        rows = at_once(*readings)
        np.testing.assert_array_equal(quick.judge(rows).flag, slow.judge(rows).flag)
