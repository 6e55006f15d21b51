# SPDX-License-Identifier: EUPL-1.2
"""Which windows an instant lies in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.batch import DAY, FIXED, MONTH, YEAR
from lamppost.periods import (
    CalendarPeriod,
    FixedPeriod,
    checked_resolution,
    parse_period,
    parse_resolution,
    resolution_name,
    resolutions,
)
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from lamppost.zones import CityCalendar

from .strategies import LAW

INSTANTS = st.lists(st.integers(-(2**61), 2**61), max_size=20)
CITY = CityCalendar("Europe/Berlin")


@pytest.mark.parametrize(
    ("length", "calendar", "name"),
    [
        (30 * SECOND_NS, FIXED, "30s"),
        (MINUTE_NS, FIXED, "1min"),
        (15 * MINUTE_NS, FIXED, "15min"),
        (HOUR_NS, FIXED, "1h"),
        (8 * HOUR_NS, FIXED, "8h"),
        (24 * HOUR_NS, FIXED, "24h"),
        (24 * HOUR_NS, DAY, "day"),
        (23 * HOUR_NS, DAY, "day"),
        (28 * DAY_NS, MONTH, "month"),
        (366 * DAY_NS, YEAR, "year"),
    ],
)
def test_every_resolution_has_one_name(length: int, calendar: int, name: str) -> None:
    """By length and calendar, and by the number that stands for both."""
    (number,) = resolutions(np.array([length]), np.array([calendar], np.uint8)).tolist()

    assert resolution_name(length, calendar) == name
    assert resolution_name(number) == name
    assert parse_resolution(name) == number
    assert checked_resolution(name) == name


@pytest.mark.parametrize("text", ["", "0h", "2d", "24", "1 h", "Day", "week"])
def test_what_is_no_resolution_is_refused_in_words(text: str) -> None:
    """With the text that is wrong, and some that are right."""
    with pytest.raises(ValueError, match="is no resolution of windows, such as") as raised:
        checked_resolution(text)

    assert repr(text) in str(raised.value)


@pytest.mark.parametrize(
    "name", ["30s", "1min", "15min", "1h", "8h", "24h", "day", "month", "year"]
)
def test_a_period_is_read_from_the_name_it_has(name: str) -> None:
    """The names of the policy are those of the results."""
    assert parse_period(name, CITY).name == name


@pytest.mark.parametrize(
    ("text", "step", "problem"),
    [
        ("", "", "not a period"),
        ("0min", "", "not a period"),
        ("1 h", "", "not a period"),
        ("week", "", "not a period"),
        ("8h", "3h", "no multiple"),
        ("8h", "soon", "not a length"),
        ("day", "1h", "follows the one before"),
    ],
)
def test_what_is_no_period_is_refused_in_words(text: str, step: str, problem: str) -> None:
    """The text that is wrong is in the message."""
    with pytest.raises(ValueError, match=problem) as raised:
        parse_period(text, CITY, step)

    assert (text or "''") in str(raised.value) or step in str(raised.value)


@LAW
@given(INSTANTS, st.sampled_from([1, 30 * SECOND_NS, MINUTE_NS, HOUR_NS, 24 * HOUR_NS]))
def test_a_tumbling_window_is_found_by_floor_division(instants: list[int], length: int) -> None:
    """Before 1970 as well as after."""
    found = FixedPeriod(length, length).windows(np.array(instants, np.int64))

    assert found.start.tolist() == [instant // length * length for instant in instants]
    assert found.row.tolist() == list(range(len(instants)))
    assert set(found.length.tolist()) <= {length}


@LAW
@given(INSTANTS, st.sampled_from([(8, 1), (8, 4), (24, 1), (3, 3)]))
def test_hopping_windows_are_all_that_hold_the_instant(
    instants: list[int], hours: tuple[int, int]
) -> None:
    """As many as steps in a length, a step apart, the earliest first."""
    length, step = (number * HOUR_NS for number in hours)

    found = FixedPeriod(length, step).windows(np.array(instants, np.int64))

    wanted = [
        (row, start)
        for row, instant in enumerate(instants)
        for start in range(instant // step * step - length + step, instant + 1, step)
    ]
    assert list(zip(found.row.tolist(), found.start.tolist(), strict=True)) == wanted
    assert all(start <= instants[row] < start + length for row, start in wanted)


@pytest.mark.parametrize(
    ("instant", "start"), [(0, 0), (-1, -10), (-10, -10), (9, 0), (10, 10), (-11, -20)]
)
def test_windows_are_half_open_on_both_sides_of_zero(instant: int, start: int) -> None:
    """The vectors of Beam and Flink for windows of ten units: 0 in [0, 10), -1 in [-10, 0)."""
    assert FixedPeriod(10, 10).windows(np.array([instant])).start.tolist() == [start]


def test_the_windows_of_a_calendar_are_those_of_the_city() -> None:
    """A day that begins at 23:00 or 22:00 UTC."""
    noon = np.array([1_774_699_200, 1_774_785_600]) * SECOND_NS  # 28 and 29 March 2026, 12:00 UTC

    found = CalendarPeriod(DAY, CITY).windows(noon)

    assert ((noon - found.start) / HOUR_NS).tolist() == [13, 13]
    assert (found.length / HOUR_NS).tolist() == [24, 23]
