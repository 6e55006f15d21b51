# SPDX-License-Identifier: EUPL-1.2
"""Zone offset: local time sent as UTC is found, and right clocks are left alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from lamppost.component import Check, Rows
from lamppost.grouping import Groups
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from lamppost.times import DAY_NS, HOUR_NS
from processors.quality.zone_offset import ZONE_OFFSET
from tests.processor_cases import START_NS, build

ZONES = pytest.mark.vector("traps", "files of reference instruments whose local times end in Z")

START = START_NS // DAY_NS * DAY_NS
HOURS = np.arange(24 * 12)


def city(seed: int, stations: int) -> np.ndarray:
    """Return hourly PM2.5 of some stations: a common day and weather, gain and noise of each."""
    random = np.random.default_rng(seed)
    weather = np.convolve(random.normal(0, 6, len(HOURS) + 24), np.ones(6) / 2, "same")[:-24]
    common = 25 + 6 * np.sin((HOURS - 6) / 24 * 2 * np.pi) + weather
    gain = random.normal(1, 0.15, (stations, 1))
    return np.maximum(gain * common + random.normal(0, 1.5, (stations, len(HOURS))), 0)


def flagged(
    values: np.ndarray,
    offsets_h: dict[int, int],
    smallest: int = 1,
    latitude: Sequence[float] = (),
) -> set[int]:
    """Return which stations are flagged in the end when some stamp their readings hours off."""
    stations = len(values)
    keys = [SeriesKey(f"aq-{number}", "pm2_5") for number in range(stations)]
    places = {
        f"aq-{number}": Station(sensor=f"aq-{number}", latitude=north, longitude=8.4)
        for number, north in enumerate(latitude)
    }
    settings = {"quantities": {"pm2_5": smallest}}
    check: Check = build("check", "zone_offset", settings, SeriesTable(keys), places)
    found: set[int] = set()
    for day in range(12):
        hours = np.repeat(HOURS[24 * day : 24 * day + 24], stations)
        series = np.tile(np.arange(stations, dtype=np.int32), 24)
        shift = np.array([offsets_h.get(number, 0) for number in range(stations)])[series]
        groups = Groups.by_series(series)
        order = groups.order
        time = START + (hours + shift)[order] * HOUR_NS
        rows = Rows(groups, time, values[series, hours][order], np.ones(len(order), np.uint8))
        verdict = check.judge(rows)
        found = set(groups.series[verdict.flag == 3].tolist())
        assert ((verdict.reasons == ZONE_OFFSET.mask) == (verdict.flag == 3)).all()
    return found


@ZONES
@pytest.mark.parametrize("hours", [-8, -5, -2, -1, 1, 2, 9])
def test_a_whole_hour_offset_is_found(hours: int) -> None:
    """A stamp that ends in Z but is local time."""
    assert flagged(city(1, 8), {3: hours}) == {3}


@ZONES
@pytest.mark.parametrize("seed", range(6))
def test_right_clocks_raise_no_alarm(seed: int) -> None:
    """No false clock alarm on sensors that are right."""
    assert flagged(city(seed, 8), {}) == set()


def test_two_wrong_clocks_do_not_hide_each_other() -> None:
    """The median of the city stands."""
    assert flagged(city(2, 9), {0: -6, 4: -6, 7: 2}) == {0, 4, 7}


def test_without_a_city_to_compare_with_nothing_is_flagged() -> None:
    """Three series are not enough for a median that means something."""
    assert flagged(city(1, 3), {1: -5}) == set()


def test_small_offsets_are_left_to_quantities_that_can_tell() -> None:
    """A wall in the sun is two hours early; temperature asks for three."""
    assert flagged(city(1, 8), {3: -2}, smallest=3) == set()


def test_stations_are_compared_with_those_of_their_district() -> None:
    """A valley whose day is three hours behind the city's is right; one clock in it is wrong."""
    town, valley = city(3, 9), np.roll(city(4, 8), 3, axis=1)
    values = np.concatenate([town, valley])
    apart = [49.0 + number / 1_000 for number in range(9)] + [
        49.6 + number / 1_000 for number in range(8)
    ]

    assert flagged(values, {12: 5}, latitude=apart) == {12}
    assert flagged(values, {}, latitude=apart) == set()


def test_a_lonely_station_is_compared_with_the_whole_city() -> None:
    """Fewer than min_series around it have no median that means something."""
    places = [49.0 + number / 1_000 for number in range(8)] + [50.0]

    assert flagged(city(5, 9), {8: -4}, latitude=places) == {8}
