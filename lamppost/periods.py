# SPDX-License-Identifier: EUPL-1.2
"""Periods that aggregates are made for: which windows an instant lies in, and their names.

Windows are half-open. Those of a fixed length are aligned to multiples of their step since 1970
UTC, before 1970 as well; days, months and years begin where the city's clocks say so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from .batch import DAY, FIXED, MONTH, YEAR, FlagArray, Int64Array
from .times import HOUR_NS, MINUTE_NS, SECOND_NS, format_length
from .zones import CityCalendar

CALENDAR_NAMES: Final = {DAY: "day", MONTH: "month", YEAR: "year"}
_CALENDARS: Final = {name: calendar for calendar, name in CALENDAR_NAMES.items()}
_UNITS_NS: Final = {"s": SECOND_NS, "min": MINUTE_NS, "h": HOUR_NS}
_LENGTH: Final = re.compile(r"([1-9]\d{0,8})(s|min|h)")


class Windows(NamedTuple):
    """Windows that instants lie in.

    Attributes:
        row: which of the instants lies in the window, ascending, shape (m,).
        start: first instant of the window, ns UTC.
        length: length of the window, ns.
    """

    row: Int64Array
    start: Int64Array
    length: Int64Array


@dataclass(frozen=True, slots=True)
class FixedPeriod:
    """Windows of one length: side by side, or hopping when the step is shorter.

    Attributes:
        length_ns: length of every window.
        step_ns: from the start of a window to that of the next; a part of the length.
    """

    length_ns: int
    step_ns: int

    @property
    def name(self) -> str:
        """The name of the resolution."""
        return format_length(self.length_ns)

    @property
    def calendar(self) -> int:
        """What the column of this name holds."""
        return FIXED

    @property
    def hops(self) -> int:
        """How many windows each instant lies in."""
        return self.length_ns // self.step_ns

    def windows(self, time: Int64Array) -> Windows:
        """Return the windows of instants, for each the earliest first."""
        newest = time // self.step_ns * self.step_ns
        if self.hops == 1:
            row = np.arange(len(time), dtype=np.int64)
            return Windows(row, newest, np.full(len(time), self.length_ns))
        back = np.arange(self.hops - 1, -1, -1, dtype=np.int64) * self.step_ns
        start = (newest[:, None] - back).ravel()
        row = np.repeat(np.arange(len(time), dtype=np.int64), self.hops)
        return Windows(row, start, np.full(len(start), self.length_ns))

    def lengths(self, start: Int64Array) -> Int64Array:
        """Return the lengths of windows by their starts."""
        return np.full(len(start), self.length_ns)


@dataclass(frozen=True, slots=True)
class CalendarPeriod:
    """Days, months or years of a city.

    Attributes:
        calendar: DAY, MONTH or YEAR.
        city: the city's calendar.
    """

    calendar: int
    city: CityCalendar

    @property
    def name(self) -> str:
        """The name of the resolution."""
        return CALENDAR_NAMES[self.calendar]

    @property
    def hops(self) -> int:
        """How many windows each instant lies in."""
        return 1

    def windows(self, time: Int64Array) -> Windows:
        """Return the window of each instant."""
        start, length = self.city.spans(self.calendar, time)
        return Windows(np.arange(len(time), dtype=np.int64), start, length)

    def lengths(self, start: Int64Array) -> Int64Array:
        """Return the lengths of windows by their starts."""
        return self.city.spans(self.calendar, start)[1]


Period = FixedPeriod | CalendarPeriod


def parse_length(text: str) -> int:
    """Return a length written as 30s, 15min or 8h, ns.

    Raises:
        ValueError: it is none.
    """
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a length such as 30s, 15min or 1h")
    return int(match[1]) * _UNITS_NS[match[2]]


def parse_period(text: str, city: CityCalendar, step: str = "") -> Period:
    """Return the period of a resolution's name.

    Args:
        text: 30s, 1min, 15min, 1h, 8h, 24h ..., day, month or year.
        city: the calendar of days, months and years.
        step: how often a window begins, where windows overlap.

    Raises:
        ValueError: there is no such period.
    """
    if text in _CALENDARS:
        if step:
            raise ValueError(f"every {text} follows the one before; it cannot begin every {step}")
        return CalendarPeriod(_CALENDARS[text], city)
    if _LENGTH.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a period such as 30s, 15min, 1h, day, month or year")
    length_ns = parse_length(text)
    step_ns = parse_length(step) if step else length_ns
    if length_ns % step_ns:
        raise ValueError(f"{text} is no multiple of its step of {step}")
    return FixedPeriod(length_ns, step_ns)


def resolutions(length: Int64Array, calendar: FlagArray) -> Int64Array:
    """Return one number for the resolution of each window: its length, or minus its calendar.

    Months and years of different lengths have the same resolution.
    """
    return np.where(calendar == FIXED, length, -calendar.astype(np.int64))


def resolution_name(length_ns: int, calendar: int = FIXED) -> str:
    """Return the name of a window's resolution: 1min, 8h, 24h, day, month, year.

    What :func:`resolutions` returns is named as well.

    >>> resolution_name(82_800_000_000_000, DAY), resolution_name(-DAY)
    ('day', 'day')
    """
    return CALENDAR_NAMES.get(calendar or -length_ns) or format_length(length_ns)


def parse_resolution(text: str) -> int:
    """Return the number of a resolution, which :func:`resolutions` gives to its windows.

    Raises:
        ValueError: there is no such resolution.

    >>> resolution_name(parse_resolution("60min")), resolution_name(parse_resolution("month"))
    ('1h', 'month')
    """
    if text in _CALENDARS:
        return -_CALENDARS[text]
    if _LENGTH.fullmatch(text) is None:
        known = "1min, 15min, 1h, 8h, 24h, day, month or year"
        raise ValueError(f"{text!r} is no resolution of windows, such as {known}")
    return parse_length(text)


def checked_resolution(text: str) -> str:
    """Return a resolution by its one name.

    Raises:
        ValueError: there is no such resolution.
    """
    return resolution_name(parse_resolution(text))
