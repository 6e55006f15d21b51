# SPDX-License-Identifier: EUPL-1.2
"""Time zones: where days, months and years of a city begin, as instants.

The rules come from the tzdata package, never from the operating system, so that the same inbox
gives the same windows on every machine.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from .batch import DAY, MONTH, YEAR, Int64Array
from .times import HOUR_NS, SECOND_NS, parse_instant

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OUR_DAYS: Final = (
    parse_instant("1980-01-01T00:00:00Z"),
    parse_instant("2050-01-01T00:00:00Z"),
)


@cache
def zone_names() -> frozenset[str]:
    """Return every name of the time zone database."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


@cache
def load_zone(name: str) -> ZoneInfo:
    """Return a zone of the time zone database.

    Raises:
        KeyError: there is none of this name.
    """
    if name not in zone_names():
        raise KeyError(name)
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as content:
        return ZoneInfo.from_file(content, key=name)


def first_instant(day: date, zone: ZoneInfo) -> int:
    """Return when a day begins in a zone, ns UTC: the first instant its clocks show that date.

    That is midnight, the later end of a gap that swallows midnight, and of two midnights the first.

    >>> first_instant(date(2018, 11, 4), load_zone("America/Sao_Paulo")) // SECOND_NS % 86_400
    10800
    """
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    early, late = _seconds(midnight.replace(fold=1)), _seconds(midnight)
    if early < late:  # midnight does not exist: the clocks jump somewhere between the two
        before = _offset(early, zone)
        while late - early > 1:
            middle = (early + late) // 2
            if _offset(middle, zone) == before:
                early = middle
            else:
                late = middle
    return late * SECOND_NS


class CityCalendar:
    """Days, months and years of a zone, for arrays of instants.

    They are half-open, follow one another without gap or overlap, and a day that a zone skipped is
    no window. Where a day begins is worked out once for each.
    """

    def __init__(self, name: str) -> None:
        """Take the zone's name in the time zone database.

        Raises:
            KeyError: there is no zone of this name.
        """
        self.name = name
        self._zone = load_zone(name)
        self._begins: dict[int, Int64Array] = {
            calendar: np.empty(0, np.int64) for calendar in (DAY, MONTH, YEAR)
        }

    def __eq__(self, other: object) -> bool:
        """Calendars of one zone are equal."""
        return isinstance(other, CityCalendar) and self.name == other.name

    def __hash__(self) -> int:
        """Hash by the zone."""
        return hash(self.name)

    def spans(self, calendar: int, time: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Return start and length of the day, month or year each instant lies in, ns.

        Args:
            calendar: DAY, MONTH or YEAR.
            time: instants, ns UTC, shape (n,).
        """
        if not len(time):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        begins = self._covering(calendar, int(time.min()), int(time.max()))
        at = np.searchsorted(begins, time, side="right")
        start = begins[at - 1]
        return start, begins[at] - start

    @cached_property
    def grain_ns(self) -> int:
        """The longest span of which every beginning since 1980 is a multiple: mostly an hour.

        It is 15 or 30 minutes where the clocks differ from UTC by a broken number of hours. Before
        that some differed by odd minutes.
        """
        begins = self._covering(MONTH, *_OUR_DAYS)
        return int(np.gcd.reduce(begins[begins >= _OUR_DAYS[0]], initial=HOUR_NS))

    def _covering(self, calendar: int, first: int, last: int) -> Int64Array:
        """Return beginnings, ascending, from one at or before the first to one after the last."""
        begins = self._begins[calendar]
        if len(begins) and begins[0] <= first and last < begins[-1]:
            return begins
        if len(begins):
            first, last = min(first, int(begins[0])), max(last, int(begins[-1]))
        # Two days on either side: clocks differ from UTC by less than that, and by a day at most
        # where a zone moved across the date line.
        begin = self._first_day(calendar, _date(first) - timedelta(2))
        end = _date(last) + timedelta(2)
        days = [begin]
        while days[-1] <= end:
            days.append(_following(calendar, days[-1]))
        found = np.unique([first_instant(day, self._zone) for day in days])
        self._begins[calendar] = found
        return found

    @staticmethod
    def _first_day(calendar: int, day: date) -> date:
        if calendar == DAY:
            return day
        return day.replace(day=1) if calendar == MONTH else day.replace(month=1, day=1)


def _following(calendar: int, day: date) -> date:
    """Return the first day of the following day, month or year."""
    if calendar == DAY:
        return day + timedelta(1)
    if calendar == MONTH:
        return (day + timedelta(31)).replace(day=1)
    return day.replace(year=day.year + 1)


def _date(instant_ns: int) -> date:
    return (_EPOCH + timedelta(seconds=instant_ns // SECOND_NS)).date()


def _seconds(moment: datetime) -> int:
    elapsed = moment - _EPOCH
    return elapsed.days * 86_400 + elapsed.seconds


def _offset(seconds: int, zone: ZoneInfo) -> timedelta | None:
    return (_EPOCH + timedelta(seconds=seconds)).astimezone(zone).utcoffset()
