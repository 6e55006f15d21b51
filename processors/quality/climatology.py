# SPDX-License-Identifier: EUPL-1.2
"""Climatology: values that are not of this season, weekday or hour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.batch import FlagArray, FloatArray, Int64Array
from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.flags import FAIL, GOOD, MISSING, MISSING_VALUE, NOT_EVALUATED, SUSPECT, Reason
from lamppost.series import SeriesTable
from lamppost.state import Snapshot
from lamppost.times import DAY_NS, HOUR_NS
from processors._per_series import PerSeries, QuantityName

CLIMATOLOGY: Final = Reason(
    13,
    "climatology",
    "The value is outside what this season or time of day brings here.",
    "QARTOD climatology test (ioos_qc climatology_test)",
)

Period = Literal["year", "quarter", "month", "week", "day_of_year", "day_of_week", "hour"]
_PERIODS: Final[tuple[Period, ...]] = (
    "year",
    "quarter",
    "month",
    "week",
    "day_of_year",
    "day_of_week",
    "hour",
)
_MONDAY: Final = 3  # 1970-01-01 was a Thursday


class Season(Settings):
    """What one quantity is in one part of the year, the week or the day."""

    period: Period = Field(description="What the span counts, in UTC; weeks are those of ISO 8601.")
    span: tuple[int, int] = Field(
        description="First and last that belong to it: months 1 to 12, weekdays 0 (Monday) to 6."
    )
    suspect_span: tuple[float, float] = Field(
        description="Lowest and highest usual value; beyond it a value is suspect."
    )
    fail_span: tuple[float, float] | None = Field(
        default=None, description="Lowest and highest possible value; beyond it a value fails."
    )

    @model_validator(mode="after")
    def _rise(self) -> Self:
        for low, high in (self.span, self.suspect_span, self.fail_span or (0, 0)):
            if low > high:
                raise ValueError("spans must run from low to high")
        return self

    def numbers(self) -> tuple[float, ...]:
        """Return period, span and bounds in a row."""
        period = float(_PERIODS.index(self.period))
        possible = (-np.inf, np.inf) if self.fail_span is None else self.fail_span
        return period, *self.span, *self.suspect_span, *possible


class ClimatologySettings(Settings):
    """Seasons by quantity; a quantity without one is not judged."""

    quantities: dict[QuantityName, tuple[Season, ...]] = Field(
        default_factory=dict,
        description="Seasons by canonical quantity name; where two hold, the later one counts.",
    )


@register("check")
class Climatology:
    """Flags values outside what the season, weekday or hour brings.

    Bounds belong to their span. A value in no season of its quantity is not evaluated. Where
    several seasons hold, the last one listed decides, as in ioos_qc. All calendar parts are UTC.

    Known failures: bounds of another city or of past decades flag the heat wave that is real;
    ``fail_span`` is therefore best left out.
    """

    name: ClassVar[str] = "climatology"
    reasons: ClassVar[tuple[Reason, ...]] = (CLIMATOLOGY,)
    scope: ClassVar[Scope] = "series"
    sequential: ClassVar[bool] = False
    Settings: ClassVar[type[ClimatologySettings]] = ClimatologySettings

    def __init__(self, settings: ClimatologySettings, series: SeriesTable) -> None:
        """Prepare the seasons: the first of every quantity, the second, and so on."""
        given = settings.quantities
        most = max((len(seasons) for seasons in given.values()), default=0)
        self._seasons = [
            PerSeries(
                series,
                {
                    name: seasons[number].numbers()
                    for name, seasons in given.items()
                    if number < len(seasons)
                },
                width=7,
            )
            for number in range(most)
        ]

    def judge(self, rows: Rows) -> Verdict:
        """Hold every value against the seasons its instant lies in."""
        flag = np.full(len(rows), NOT_EVALUATED, np.uint8)
        sizes = rows.groups.lasts - rows.groups.starts + 1
        for seasons in self._seasons:
            by_group = seasons.of(rows.groups.codes)
            for period in np.unique(by_group[0][~np.isnan(by_group[0])]).tolist():
                of_it = by_group[0] == period
                where = slice(None) if of_it.all() else np.flatnonzero(np.repeat(of_it, sizes))
                numbers = np.repeat(by_group[1:, of_it], sizes[of_it], axis=1)
                part = _part_of(rows.time[where], _PERIODS[int(period)])
                flag[where] = _held(flag[where], part, rows.value[where], numbers)
        missing = np.isnan(rows.value)
        flag[missing] = MISSING
        reasons = np.where((flag == SUSPECT) | (flag == FAIL), CLIMATOLOGY.mask, np.uint32(0))
        reasons[missing] = MISSING_VALUE.mask
        return Verdict(flag, reasons)

    def snapshot(self) -> Snapshot:
        """Return nothing: each value is judged by itself."""
        return {}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take nothing over."""


def _held(flag: FlagArray, part: Int64Array, value: FloatArray, numbers: FloatArray) -> FlagArray:
    """Return the flags of values, former ones where the season is another."""
    first, last, low, high, lowest, highest = numbers
    found = np.where((value >= low) & (value <= high), np.uint8(GOOD), np.uint8(SUSPECT))
    found[(value < lowest) | (value > highest)] = FAIL
    inside = (part >= first) & (part <= last)
    return found if inside.all() else np.where(inside, found, flag)


def _part_of(time: Int64Array, period: Period) -> Int64Array:
    """Return parts of the calendar, looked up once for each hour or day that occurs."""
    unit = time // (HOUR_NS if period == "hour" else DAY_NS)
    if not len(unit):
        return unit
    first, span = int(unit.min()), int(np.ptp(unit)) + 1
    if span > len(unit):
        return calendar_part(time, period)
    starts = np.arange(first, first + span) * (HOUR_NS if period == "hour" else DAY_NS)
    part: Int64Array = calendar_part(starts, period)[unit - first]
    return part


def calendar_part(time: Int64Array, period: Period) -> Int64Array:
    """Return which year, month, ISO week ... instants lie in, UTC.

    >>> calendar_part(np.array([1_790_000_000_000_000_000]), "month").tolist()
    [9]
    """
    day_number = time // DAY_NS
    days = day_number.astype("datetime64[D]")
    years = days.astype("datetime64[Y]")
    month = days.astype("datetime64[M]").astype(np.int64) % 12 + 1
    weekday = (day_number + _MONDAY) % 7
    if period == "week":
        # An ISO week belongs to the year of its Thursday.
        thursday = (day_number - weekday + _MONDAY).astype("datetime64[D]")
        return _day_of_year(thursday) // 7 + 1
    if period == "day_of_year":
        return _day_of_year(days) + 1
    parts = {
        "year": years.astype(np.int64) + 1970,
        "quarter": (month - 1) // 3 + 1,
        "month": month,
        "day_of_week": weekday,
        "hour": time // HOUR_NS % 24,
    }
    return parts[period]


def _day_of_year(days: np.ndarray[Any, np.dtype[np.datetime64]]) -> Int64Array:
    new_year = days.astype("datetime64[Y]").astype("datetime64[D]")
    elapsed: Int64Array = (days - new_year).astype(np.int64)
    return elapsed
