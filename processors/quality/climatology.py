# SPDX-License-Identifier: EUPL-1.2
"""Climatology: values that are not of this season, weekday or hour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.explained import QuantitySettings
from lamppost.flags import Reason
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import Snapshot
from lamppost.times import DAY_NS, HOUR_NS
from lamppost.wording import by_quantity, digits, span
from processors._per_series import PerSeries, QuantityName

from ._verdicts import answer

CLIMATOLOGY: Final = Reason(
    13,
    "climatology",
    "The value is outside what this season or time of day brings here.",
    "QARTOD climatology test (ioos_qc climatology_test)",
)

Period = Literal["year", "quarter", "month", "week", "day_of_year", "day_of_week", "hour"]
_COUNTS: Final[dict[Period, tuple[int, int]]] = {
    "year": (1970, 9999),
    "quarter": (1, 4),
    "month": (1, 12),
    "week": (1, 53),
    "day_of_year": (1, 366),
    "day_of_week": (0, 6),
    "hour": (0, 23),
}
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

    def told(self, unit: str) -> str:
        """Return in words when it holds, and what is usual then."""
        first, last = self.span
        when = digits(first) if first == last else f"{first} to {last}"
        fails = f" and fails outside {span(self.fail_span, unit)}" if self.fail_span else ""
        usual = span(self.suspect_span, unit)
        return f"{self.period.replace('_', ' ')} {when} suspect outside {usual}{fails}"

    def bounds(self) -> tuple[float, ...]:
        """Return the usual and the possible bounds in a row."""
        possible = (-np.inf, np.inf) if self.fail_span is None else self.fail_span
        return *self.suspect_span, *possible

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        least, most = _COUNTS[self.period]
        if not least <= self.span[0] <= self.span[1] <= most:
            yield "span", f"a {self.period} runs from {least} to {most}"


class ClimatologySettings(QuantitySettings):
    """Seasons by quantity; a quantity without one is not judged."""

    quantities: dict[QuantityName, tuple[Season, ...]] = Field(
        default_factory=dict,
        description="Seasons by canonical quantity name; where two hold, the later one counts.",
    )

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        yield from super().doubts()
        for name, seasons in self.quantities.items():
            if not seasons:
                yield f"quantities.{name}", "must name at least one season"


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

    @classmethod
    def describe(cls, settings: ClimatologySettings) -> str:
        """Say what each part of the calendar brings."""
        seasons = by_quantity(
            settings.given(), lambda some, unit: ", ".join(one.told(unit) for one in some)
        )
        return (
            "A reading outside what the season or the time of day brings is suspect or fails"
            f" ({seasons}), in UTC (QARTOD climatology test)."
        )

    def __init__(self, settings: ClimatologySettings, series: SeriesTable) -> None:
        """Take the seasons; bounds are worked out for the hours or days that occur."""
        self._seasons = list(settings.quantities.values())
        numbers = {name: (float(place),) for place, name in enumerate(settings.quantities)}
        self._quantity = PerSeries(series, numbers, width=1)
        hourly = any(one.period == "hour" for seasons in self._seasons for one in seasons)
        self._unit_ns = HOUR_NS if hourly else DAY_NS
        self._known: tuple[bytes, FloatArray] = b"", np.empty((4, 0))

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the settings say anything about the quantity."""
        return self._quantity.given_for(key.quantity)

    def judge(self, rows: Rows) -> Verdict:
        """Hold every value against the season its instant lies in."""
        quantity = np.nan_to_num(self._quantity.of_rows(rows.groups)[0], nan=len(self._seasons))
        units, place = _units(rows.time, self._unit_ns)
        at = place + len(units) * quantity.astype(np.intp)
        low, high, lowest, highest = self._bounds(units).take(at, axis=1)
        flag, reasons = answer(
            rows.missing,
            reason=CLIMATOLOGY,
            evaluated=~np.isnan(low),
            suspect=(rows.value < low) | (rows.value > high),
            fail=(rows.value < lowest) | (rows.value > highest),
        )
        return Verdict(flag, reasons)

    def _bounds(self, units: Int64Array) -> FloatArray:
        """Return the bounds in each unit, for one quantity after the other and then for none."""
        key = units.tobytes()
        if self._known[0] != key:
            bounds = np.full((4, len(self._seasons) + 1, len(units)), np.nan)
            for place, seasons in enumerate(self._seasons):
                for season in seasons:
                    part = calendar_part(units * self._unit_ns, season.period)
                    inside = (part >= season.span[0]) & (part <= season.span[1])
                    bounds[:, place, inside] = np.array(season.bounds())[:, None]
            self._known = key, bounds.reshape(4, -1)
        return self._known[1]

    def snapshot(self) -> Snapshot:
        """Return nothing: each value is judged by itself."""
        return {}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take nothing over."""


def _units(time: Int64Array, unit_ns: int) -> tuple[Int64Array, Int64Array]:
    """Return the hours or days that occur, and the place of each instant's among them."""
    if not len(time):
        return time, time
    first, last = int(time.min()) // unit_ns, int(time.max()) // unit_ns
    if first == last:
        return np.array([first]), np.zeros(1, np.int64)
    unit = time // unit_ns
    if last - first < len(time):
        return np.arange(first, last + 1), unit - first
    units, place = np.unique(unit, return_inverse=True)
    return units, place


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
