# SPDX-License-Identifier: EUPL-1.2
"""What becomes of the days, months and years of a city that changes its time zone.

Where the hours are still held they are made anew, and the former ones are taken back. Those before
keep the former zone, in one calendar with the new ones: it has every date once, so that no two days
of a series ever overlap. The date between the two is longer or shorter by the difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lamppost.batch import MONTH, YEAR
from lamppost.periods import CalendarPeriod, FixedPeriod, Period
from lamppost.times import DAY_NS
from lamppost.zones import CityCalendar

from . import _statistics as statistics
from ._due import WINDOW
from ._rows import BoolArray, IntArray, RowArray, picked
from ._table import NO_ROWS, Table

_LONGEST: Final = {MONTH: 32 * DAY_NS, YEAR: 367 * DAY_NS}
_ERA: Final = np.dtype([("until", "i4"), ("zone", "S64")])


class Seam(NamedTuple):
    """Where a former calendar gives way to another.

    Attributes:
        city: the calendar from now on, which keeps the days of the former one up to a date.
        since: instant from which windows are made anew.
    """

    city: CityCalendar
    since: int


def longest_ns(period: Period) -> int:
    """Return how long a window of a period can be."""
    if isinstance(period, FixedPeriod):
        return period.length_ns
    return _LONGEST.get(period.calendar, 2 * DAY_NS)


def seam_between(former: CityCalendar, city: CityCalendar, oldest: int, first: int) -> Seam:
    """Return where a calendar begins that follows another one.

    Args:
        former: the calendar so far.
        city: the one wanted now.
        oldest: instant from which everything is held, of every series.
        first: end of the first hour that days were ever made of.
    """
    if first > oldest:  # nothing was measured before: the city has been in its zone all along
        return Seam(city, oldest)
    last = former.day_from(oldest)
    return Seam(city.after(former, last), former.begin(last))


def fitting(period: CalendarPeriod, start: IntArray, length: IntArray) -> BoolArray:
    """Return which windows are windows of a period."""
    own = period.windows(start)
    fits: BoolArray = (own.start == start) & (own.length == length)
    return fits


def taken_back(states: RowArray) -> RowArray:
    """Return what windows say that are none any more: nothing, with their next revision."""
    empty = np.zeros(len(states), statistics.STATE)
    for name in ("series", "time"):
        empty[name] = states[name]
    empty["revision"] = states["revision"] + 1
    empty["low"], empty["high"] = np.inf, -np.inf
    for name in ("mean", "first", "last"):
        empty[name] = np.nan
    return empty


def says_something(states: RowArray) -> BoolArray:
    """Return which windows were not taken back."""
    held: BoolArray = states["count"] + states["excluded"] > 0
    return held


def blocks_since(table: Table, start: int, series_count: int) -> Iterator[RowArray]:
    """Yield the rows of a table from an instant on, by blocks of series, sorted."""
    for codes in table.series_blocks(series_count):
        rows = table.between(codes, np.full(len(codes), start), np.full(len(codes), NO_ROWS))
        yield (
            rows
            if not len(rows) or says_something(rows).all()
            else picked(rows, says_something(rows))
        )


def due_rows(period: CalendarPeriod, rows: RowArray) -> RowArray:
    """Return the windows that shorter ones are part of, each once where they follow each other."""
    found = period.windows(rows["time"])
    due = np.zeros(len(rows), WINDOW)
    due["series"], due["time"], due["length"] = rows["series"], found.start, found.length
    new = np.ones(len(due), np.bool_)
    new[1:] = (due["series"][1:] != due["series"][:-1]) | (due["time"][1:] != due["time"][:-1])
    return picked(due, new)


def as_rows(city: CityCalendar) -> npt.NDArray[Any]:
    """Return the former zones of a calendar for a snapshot."""
    return np.array([(last.toordinal(), zone.encode()) for zone, last in city.former], _ERA)


def from_rows(name: str, rows: npt.NDArray[Any]) -> CityCalendar:
    """Return the calendar of a zone with the former zones a snapshot holds."""
    eras = [(zone.decode(), date.fromordinal(until)) for until, zone in rows.tolist()]
    return CityCalendar(name, tuple(eras))
