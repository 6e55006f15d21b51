# SPDX-License-Identifier: EUPL-1.2
"""When days begin: at fixed offsets from UTC, in winter time, or by the clocks of a city."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

import numpy as np

from lamppost.batch import Int64Array
from lamppost.compliance import offset_s
from lamppost.times import DAY_NS, SECOND_NS
from lamppost.zones import first_instant, load_zone

_EPOCH: Final = date(1970, 1, 1)


def day_number(day: date) -> int:
    """Return the number of a day since 1970-01-01.

    >>> day_number(date(1970, 1, 2))
    1
    """
    return (day - _EPOCH).days


def day_of_number(number: int) -> date:
    """Undo :func:`day_number`."""
    return _EPOCH + timedelta(days=number)


def year_days(year: int) -> tuple[int, int]:
    """Return the numbers of the first day of a year and of the first day after it.

    >>> year_days(2024)[1] - year_days(2024)[0]
    366
    """
    return day_number(date(year, 1, 1)), day_number(date(year + 1, 1, 1))


def month_days(year: int, month: int) -> tuple[int, int]:
    """Return the numbers of the first day of a month and of the first day after it."""
    following = date(year + month // 12, month % 12 + 1, 1)
    return day_number(date(year, month, 1)), day_number(following)


class Reckoning:
    """Beginnings of days, as instants."""

    def __init__(self, day: str, zone: str) -> None:
        """Take the policy's word for when a day begins, and the city's time zone."""
        self._day = day
        self._zone = zone

    def starts(self, first: int, end: int) -> Int64Array:
        """Return when each day from ``first`` up to and including ``end`` begins, ns UTC."""
        if self._day == "local":
            return np.array([_local_start(self._zone, day) for day in range(first, end + 1)])
        numbers = np.arange(first, end + 1, dtype=np.int64)
        if self._day != "winter":
            return numbers * DAY_NS - offset_s(self._day) * SECOND_NS
        years = np.array([day_of_number(int(day)).year for day in numbers])
        offsets = {year: winter_offset_s(self._zone, int(year)) for year in np.unique(years)}
        ahead = np.array([offsets[year] for year in years], np.int64)
        return numbers * DAY_NS - ahead * SECOND_NS

    def day(self, instant: int) -> int:
        """Return the number of the day an instant lies in."""
        about = instant // DAY_NS
        begins = self.starts(about - 2, about + 2)
        return about - 3 + int(np.searchsorted(begins, instant, side="right"))


@lru_cache(maxsize=1_024)
def winter_offset_s(zone: str, year: int) -> int:
    """Return how far the standard time of a zone is ahead of UTC, whatever its clocks show.

    It is the smallest offset of the year's months: summer time is always ahead of it.

    >>> winter_offset_s("Europe/Berlin", 2026), winter_offset_s("Australia/Sydney", 2026)
    (3600, 36000)
    """
    place = load_zone(zone)
    offsets = [
        datetime(year, month, 1, 12, tzinfo=UTC).astimezone(place).utcoffset()
        for month in range(1, 13)
    ]
    return round(min(found for found in offsets if found is not None).total_seconds())


@lru_cache(maxsize=16_384)
def _local_start(zone: str, number: int) -> int:
    return first_instant(day_of_number(number), load_zone(zone))
