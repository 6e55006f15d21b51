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
    no window. Where a day begins is worked out once for each. A city that has changed its zone
    keeps its days up to a date, so that every date is one day there, once longer or shorter.

    Attributes:
        name: of the zone in force.
        former: zones before that, each with the last date that begins by it, the earliest first.
    """

    def __init__(self, name: str, former: tuple[tuple[str, date], ...] = ()) -> None:
        """Take the zone's name in the time zone database, and the former ones.

        Raises:
            KeyError: there is no zone of this name.
        """
        self.name = name
        self.former = former
        self._zone = load_zone(name)
        self._former = [(load_zone(zone), until) for zone, until in former]
        self._begins: dict[int, Int64Array] = {
            calendar: np.empty(0, np.int64) for calendar in (DAY, MONTH, YEAR)
        }

    def __eq__(self, other: object) -> bool:
        """Calendars of one zone are equal, where the former zones are as well."""
        mine = self.name, self.former
        return isinstance(other, CityCalendar) and mine == (other.name, other.former)

    def __hash__(self) -> int:
        """Hash by the zone."""
        return hash(self.name)

    def after(self, former: CityCalendar, until: date) -> CityCalendar:
        """Return this calendar with the days of another one up to a date."""
        eras = [era for era in former.former if era[1] < until]
        eras.append((former.zone_on(until), until))
        while eras and eras[-1][0] == self.name:
            eras.pop()
        return CityCalendar(self.name, tuple(eras))

    def zone_on(self, day: date) -> str:
        """Return the name of the zone by which a date begins."""
        return next((name for name, until in self.former if day <= until), self.name)

    def day_from(self, instant: int) -> date:
        """Return the first date that begins at an instant or after it."""
        day = _date(instant) - timedelta(2)
        while self.begin(day) < instant:
            day += timedelta(1)
        return day

    def begin(self, day: date) -> int:
        """Return when a date begins, ns UTC."""
        zone = next((zone for zone, until in self._former if day <= until), self._zone)
        return first_instant(day, zone)

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
        # Days on either side: clocks differ from UTC by less than one, and by another one at most
        # where a zone moved, or a city to another zone, across the date line.
        begin = self._first_day(calendar, _date(first) - timedelta(3))
        end = _date(last) + timedelta(3)
        days = [begin]
        while days[-1] <= end:
            days.append(_following(calendar, days[-1]))
        # A date that a change of zones swallows is no window.
        found = np.unique(np.maximum.accumulate([self.begin(day) for day in days]))
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
