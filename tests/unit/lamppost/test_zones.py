# SPDX-License-Identifier: EUPL-1.2
"""Days, months and years of every zone, compared with datetime instant by instant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.batch import DAY, MONTH, YEAR
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS, parse_instant
from lamppost.zones import CityCalendar, first_instant, load_zone, zone_names

from .strategies import LAW

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Whole hours, half and quarter hours, half an hour of summer time, summer time that begins at
# midnight, a repeated midnight, days that were skipped, both sides of the date line.
ODD_ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
)
ZONES = st.sampled_from(ODD_ZONES) | st.sampled_from(sorted(zone_names()))
INSTANTS = st.integers(parse_instant("1901-01-01T00:00:00Z"), parse_instant("2190-01-01T00:00:00Z"))
CALENDARS = st.sampled_from([DAY, MONTH, YEAR])


def shown(instant_ns: int, zone: str) -> date:
    """Return the date the clocks of a zone show."""
    moment = EPOCH + timedelta(seconds=instant_ns // SECOND_NS)
    return moment.astimezone(load_zone(zone)).date()


def unit(day: date, calendar: int) -> tuple[int, ...]:
    """Return the day, month or year of a date."""
    return {DAY: (day.year, day.month, day.day), MONTH: (day.year, day.month), YEAR: (day.year,)}[
        calendar
    ]


def changes(zone: str, first: str, last: str) -> Iterator[int]:
    """Yield the hours between two instants at which the offset is not that of the hour before."""
    known = load_zone(zone)
    start, end = parse_instant(first), parse_instant(last)
    former = None
    for instant in range(start, end, HOUR_NS):
        offset = (EPOCH + timedelta(seconds=instant // SECOND_NS)).astimezone(known).utcoffset()
        if former not in {None, offset}:
            yield instant
        former = offset


@LAW
@given(ZONES, CALENDARS, st.lists(INSTANTS, min_size=1, max_size=20))
def test_each_instant_lies_in_the_window_of_the_date_its_clocks_show(
    zone: str, calendar: int, instants: list[int]
) -> None:
    """Except for the hour that a zone repeats across a midnight, which belongs to the later day."""
    time = np.array(instants, np.int64)

    start, length = CityCalendar(zone).spans(calendar, time)

    assert ((start <= time) & (time < start + length)).all()
    for begin, instant in zip(start.tolist(), instants, strict=True):
        shows, begins = (unit(shown(at, zone), calendar) for at in (instant, begin))
        repeated = unit(shown(instant + HOUR_NS, zone), calendar) == begins
        assert shows == begins or (shows < begins and repeated)


@LAW
@given(ZONES, CALENDARS, INSTANTS)
def test_a_window_begins_at_the_first_instant_of_its_date(
    zone: str, calendar: int, instant: int
) -> None:
    """A nanosecond before, the clocks show an earlier day, month or year."""
    (start,), (length,) = CityCalendar(zone).spans(calendar, np.array([instant]))

    for begin in (int(start), int(start + length)):
        before, after = (unit(shown(at, zone), calendar) for at in (begin - 1, begin))
        assert before < after


@LAW
@given(ZONES, CALENDARS, st.lists(INSTANTS, min_size=1, max_size=8), st.data())
def test_windows_do_not_depend_on_what_was_asked_before(
    zone: str, calendar: int, instants: list[int], data: st.DataObject
) -> None:
    """One calendar asked in any order says what a new one says."""
    asked = CityCalendar(zone)
    for instant in data.draw(st.permutations(instants)):
        one = asked.spans(calendar, np.array([instant]))
        new = CityCalendar(zone).spans(calendar, np.array([instant]))
        assert [column.tolist() for column in one] == [column.tolist() for column in new]


@pytest.mark.parametrize("zone", ODD_ZONES)
def test_days_around_every_change_of_the_clocks_follow_one_another(zone: str) -> None:
    """Minute by minute: no gap, no overlap, and as long as the clocks say."""
    for change in changes(zone, "2009-01-01T00:00:00Z", "2012-06-01T00:00:00Z"):
        minutes = change + np.arange(-36 * 60, 36 * 60) * MINUTE_NS
        start, length = CityCalendar(zone).spans(DAY, minutes)
        windows = np.unique(np.stack([start, length]), axis=1)
        begins = windows[0]
        assert (begins[1:] == (begins + windows[1])[:-1]).all()
        dates = [shown(int(minute), zone) for minute in minutes]
        rising = np.maximum.accumulate([day.toordinal() for day in dates])
        assert (np.diff(rising) > 0).tolist() == (np.diff(start) > 0).tolist()


@pytest.mark.parametrize(
    ("zone", "at", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T10:00:00Z", 23),
        ("Europe/Berlin", "2026-10-25T10:00:00Z", 25),
        ("Europe/Berlin", "2026-11-22T10:00:00Z", 24),
        ("Australia/Lord_Howe", "2026-04-05T10:00:00Z", 24.5),
        ("Australia/Lord_Howe", "2026-10-04T10:00:00Z", 23.5),
        ("America/Sao_Paulo", "2018-11-04T12:00:00Z", 23),
        ("Asia/Kathmandu", "2026-06-01T12:00:00Z", 24),
    ],
)
def test_days_are_as_long_as_the_clocks_say(zone: str, at: str, hours: float) -> None:
    """Half an hour more or less in Lord Howe, none where nobody changes clocks."""
    _, (length,) = CityCalendar(zone).spans(DAY, np.array([parse_instant(at)]))

    assert length / HOUR_NS == hours


def test_february_of_a_leap_year_and_the_year_have_a_day_more() -> None:
    """And months of the clocks' change an hour less or more."""
    city = CityCalendar("Europe/Berlin")
    middle = [parse_instant(f"2028-{month:02d}-15T00:00:00Z") for month in (2, 3, 10)]

    _, months = city.spans(MONTH, np.array(middle))
    _, year = city.spans(YEAR, np.array(middle[:1]))

    assert (months / HOUR_NS).tolist() == [29 * 24, 31 * 24 - 1, 31 * 24 + 1]
    assert (year / HOUR_NS).tolist() == [366 * 24]


def test_a_day_that_was_skipped_is_no_window() -> None:
    """Samoa went from 29 to 31 December 2011."""
    midnight = first_instant(date(2011, 12, 31), load_zone("Pacific/Apia"))

    start, length = CityCalendar("Pacific/Apia").spans(DAY, np.array([midnight - 1, midnight]))

    assert (length / HOUR_NS).tolist() == [24, 24]
    assert start[1] == midnight == start[0] + 24 * HOUR_NS


@pytest.mark.parametrize(
    ("zone", "minutes"),
    [("UTC", 60), ("Europe/Berlin", 60), ("Asia/Kolkata", 30), ("Asia/Kathmandu", 15)],
)
def test_the_grain_of_a_zone_is_what_its_days_can_be_built_from(zone: str, minutes: int) -> None:
    """Hours of UTC do not make days where the clocks are half an hour off."""
    assert CityCalendar(zone).grain_ns == minutes * MINUTE_NS


def test_no_instants_lie_in_no_windows() -> None:
    """An empty batch asks for nothing."""
    start, length = CityCalendar("UTC").spans(DAY, np.empty(0, np.int64))

    assert len(start) == len(length) == 0


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../UTC", "europe/berlin"])
def test_a_zone_that_does_not_exist_is_no_zone(name: str) -> None:
    """Nor is a path."""
    with pytest.raises(KeyError):
        CityCalendar(name)
