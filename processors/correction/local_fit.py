# SPDX-License-Identifier: EUPL-1.2
"""Local fit: a sensor corrected by the line to a reference that stands beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.batch import AMENDED, FloatArray, Int64Array, JudgedBatch
from lamppost.component import Settings, register
from lamppost.derived import DerivedSeries, derived, named
from lamppost.fits import Fit, Outcome
from lamppost.flags import FAIL, MISSING, SUSPECT, Reason, merge
from lamppost.grouping import BoolArray
from lamppost.quantities import QUANTITIES
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import Snapshot
from lamppost.stations import Station
from lamppost.times import DAY_NS, HOUR_NS
from lamppost.wording import counted, digits, exactly, listed

from ._method import BEYOND_METHOD
from ._numbers import version_with
from ._robust import NO_LINE, Line, best_lag, theil_sen

_VERSION: Final = "local_fit/theil-sen-hourly"
_KEPT: Final = 8
_SENSOR: Final = 0
_REFERENCE: Final = 1
_NEVER: Final = -(2**62)


class FittedPair(Settings):
    """A sensor and the reference that stands beside it."""

    sensor: str = Field(min_length=1, description="The sensor to correct.")
    reference: str = Field(min_length=1, description="The reference; it must stand beside it.")
    quantity: str = Field(description="What both measure, canonical name.")
    input: str = Field(
        default="",
        description="Quantity of the sensor to correct, such as pm2_5_cf1; `quantity` when empty.",
    )
    qualifiers: str = Field(
        default="", description="Qualifiers of the sensor's series, as `key=value;key=value`."
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name in (self.quantity, self.input or self.quantity):
            if name not in QUANTITIES:
                message = f"{name!r} is not a quantity"
                raise ValueError(message)
        if self.sensor == self.reference:
            raise ValueError("a sensor cannot be its own reference")
        return self

    def told(self) -> str:
        """Return the pair in words."""
        which = f"{self.input or self.quantity} of {self.sensor}"
        series = f" ({self.qualifiers})" if self.qualifiers else ""
        return f"{which}{series} to {self.quantity} of {self.reference}"


class LocalFitSettings(Settings):
    """Which sensors stand beside a reference, and when a line between them is believed."""

    where: ClassVar[frozenset[str]] = frozenset({"pairs"})

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        if not self.pairs:
            yield "pairs", "no sensor is named, so that nothing would be fitted"

    @model_validator(mode="after")
    def _one_line_each(self) -> Self:
        given = [(one.sensor, one.input or one.quantity, one.qualifiers) for one in self.pairs]
        for sensor, quantity, _ in {name for name in given if given.count(name) > 1}:
            message = f"pairs: {quantity} of {sensor} has two references"
            raise ValueError(message)
        return self

    pairs: tuple[FittedPair, ...] = Field(default=(), description="Sensors and their references.")
    window_days: int = Field(
        default=14, ge=1, le=60, description="Days before it that a fit is made from."
    )
    refit_days: int = Field(default=1, ge=1, le=30, description="Days between two fits.")
    valid_days: int = Field(
        default=14, ge=1, le=366, description="Days a fit is used when no newer one is believed."
    )
    grace_s: float = Field(
        default=3600.0,
        ge=0,
        le=86_400,
        description="How long after midnight (UTC, by device time) late readings are waited for.",
    )
    min_hours: int = Field(
        default=120,
        ge=10,
        description="Fewest hours in which both have readings. A choice: five days.",
    )
    min_r2: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="Lowest share of the reference's variance the line must account for. A choice.",
    )
    min_readings: int = Field(
        default=1, ge=1, description="Fewest readings of a sensor that make an hour."
    )
    max_lag_h: int = Field(
        default=12, ge=0, le=24, description="Largest difference of the clocks looked for, hours."
    )
    lag_gain: float = Field(
        default=0.1,
        gt=0,
        description="How much better both must correlate at another hour for their clocks to be"
        " believed apart. A choice.",
    )
    beyond: float = Field(
        default=2.0,
        ge=1,
        description="A value above so many times the largest hour of the fit is suspect. A choice.",
    )

    def numbers(self) -> dict[str, object]:
        """Return the numbers in force, by name; whom they concern is not among them."""
        return self.model_dump(mode="json", exclude=set(self.where))

    def version(self) -> str:
        """Return the version of the method with these numbers."""
        return version_with(_VERSION, self.numbers())


@register("derivation")
class LocalFit:
    """Corrects a sensor by the robust line to a reference beside it, fitted anew every day.

    At midnight (UTC, by device time) the hourly means of the last ``window_days`` of both are
    compared: the median of the slopes of all pairs of hours (Theil-Sen), the median of what is then
    left as offset. The line is published with n, R², its validity and what its hours scatter by,
    which is the stated uncertainty; from then on readings are ``slope x + offset``.
    It is not used with fewer than ``min_hours``, an R² below ``min_r2``, or when both correlate
    better at another hour than at the same, which says that one clock is wrong; the former line
    then stands until ``valid_days`` are over.

    Source: Theil 1950, Sen 1968; that a local fit beats any fixed formula: co-locations named in
    the documentation.

    Known failures: a line fitted in clean air says little about smoke, so values far beyond its
    hours are suspect. Reference and sensor must stand side by side, which nobody but the policy
    can know. Hours are made of the numbers first sent; corrections of the device's own come too
    late for a fit.
    """

    name: ClassVar[str] = "local_fit"
    reasons: ClassVar[tuple[Reason, ...]] = (BEYOND_METHOD,)
    Settings: ClassVar[type[LocalFitSettings]] = LocalFitSettings

    @classmethod
    def describe(cls, settings: LocalFitSettings) -> str:
        """Say which sensors are fitted to which references, and when a fit is believed."""
        pairs = listed([pair.told() for pair in settings.pairs]) or "no sensor yet"
        hours = f"{settings.min_hours} h of {counted(settings.min_readings, 'reading')} or more"
        return (
            f"Corrects {pairs} by slope and offset (Theil-Sen) of the hourly means of the last"
            f" {counted(settings.window_days, 'day')}, fitted anew every"
            f" {counted(settings.refit_days, 'day')}, {exactly(settings.grace_s)} after midnight"
            f" UTC, and used for up to {counted(settings.valid_days, 'day')}; a fit is believed"
            f" with {hours} on both sides and R² from {digits(settings.min_r2)} on, unless both"
            f" correlate better by {digits(settings.lag_gain)} at another of the"
            f" {settings.max_lag_h} h around, and a value above {digits(settings.beyond)} times"
            " its largest hour is suspect."
        )

    def __init__(
        self, settings: LocalFitSettings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Prepare a memory for each pair."""
        del stations
        self._settings = settings
        self._series = series
        self._corrected = DerivedSeries(series, self._named)
        self._pairs = [_Pair(pair, settings) for pair in settings.pairs]
        self._by_key: dict[SeriesKey, list[tuple[int, int]]] = {}
        for number, pair in enumerate(settings.pairs):
            own = SeriesKey(pair.sensor, pair.input or pair.quantity, pair.qualifiers)
            self._by_key.setdefault(own, []).append((number, _SENSOR))
            reference = SeriesKey(pair.reference, pair.quantity)
            self._by_key.setdefault(reference, []).append((number, _REFERENCE))
        self._concerned: BoolArray = np.empty(0, np.bool_)
        self._fits: list[Fit] = []

    def derive(self, judged: JudgedBatch) -> JudgedBatch:
        """Take hours in, fit where a day is over, and correct by the lines in force."""
        rows = np.flatnonzero(self._concerns(judged))
        if not len(rows):
            return JudgedBatch.empty()
        seen = judged.take(rows)
        found = []
        for number, roles in self._present(seen).items():
            role = np.full(len(seen), -1)
            for code, which in roles:
                role[seen.series == code] = which
            found.append(self._follow(self._pairs[number], seen.take(role >= 0), role[role >= 0]))
        return JudgedBatch.concat([part for part in found if len(part)])

    def fits(self) -> list[Fit]:
        """Return the fits made since this was asked last."""
        made, self._fits = self._fits, []
        return made

    def about(self) -> dict[str, object]:
        """Return what is published of the method beside its results, with the numbers in force."""
        return {
            "version": self._settings.version(),
            "formula": "slope x + offset, fitted to a reference beside the sensor",
            "source": "Theil 1950, Sen 1968; the lines are published as fits",
            "numbers": self._settings.numbers(),
        }

    def snapshot(self) -> Snapshot:
        """Return the hours and lines of every pair."""
        return {
            f"{number}/{name}": array
            for number, pair in enumerate(self._pairs)
            for name, array in pair.snapshot().items()
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot."""
        for number, pair in enumerate(self._pairs):
            start = f"{number}/"
            own = {name[len(start) :]: a for name, a in snapshot.items() if name.startswith(start)}
            if own:
                pair.restore(own)

    def _named(self, key: SeriesKey) -> SeriesKey | None:
        for number, role in self._by_key.get(key, ()):
            if role == _SENSOR:
                return named(key, "corrected", self.name, self._settings.pairs[number].quantity)
        return None

    def _concerns(self, judged: JudgedBatch) -> BoolArray:
        known = len(self._concerned)
        if known < len(self._series):
            codes = range(known, len(self._series))
            added = [self._series[code] in self._by_key for code in codes]
            self._concerned = np.append(self._concerned, np.array(added, np.bool_))
        return np.asarray(self._concerned[judged.series], np.bool_)

    def _present(self, seen: JudgedBatch) -> dict[int, list[tuple[int, int]]]:
        """Return the pairs rows belong to, with the codes of their series and what those are."""
        found: dict[int, list[tuple[int, int]]] = {}
        for code in np.unique(seen.series).tolist():
            for number, role in self._by_key[self._series[code]]:
                found.setdefault(number, []).append((code, role))
        return found

    def _follow(self, pair: _Pair, rows: JudgedBatch, role: Int64Array) -> JudgedBatch:
        """Go through the rows of a pair, from one fit to the next."""
        made, start = [], 0
        while start < len(rows):
            due = np.flatnonzero(rows.time[start:] >= pair.due_at)
            end = start + int(due[0]) if len(due) else len(rows)
            part, which = rows.take(slice(start, end)), role[start:end]
            pair.learn(part, which)
            made.append(self._correct(pair, part.take(which == _SENSOR)))
            if len(due):
                self._fits += pair.fit(int(rows.time[end]))
            start = end
        return JudgedBatch.concat([part for part in made if len(part)])

    def _correct(self, pair: _Pair, rows: JudgedBatch) -> JudgedBatch:
        line = pair.line_at(rows.time)
        known = np.isfinite(line[0])
        rows, (slope, offset, rmse, largest) = rows.take(known), line[:, known]
        beyond = rows.value > self._settings.beyond * largest
        flag = rows.flag.copy()
        flag[beyond] = merge(flag[beyond], np.full(int(beyond.sum()), SUSPECT, np.uint8))
        return derived(
            rows,
            self._corrected.of(rows.series),
            slope * rows.value + offset,
            flag=flag,
            reasons=rows.reasons | np.where(beyond, BEYOND_METHOD.mask, np.uint32(0)),
            uncertainty=rmse,
        )


class _Pair:
    """The hours of a sensor and its reference, and the lines fitted to them."""

    def __init__(self, pair: FittedPair, settings: LocalFitSettings) -> None:
        self._pair = pair
        self._settings = settings
        # Two days more than a fit looks at: what comes late for the day before still has a place.
        self._hours = 24 * (settings.window_days + 2)
        self._grace = round(settings.grace_s * 1e9)
        self._hour = np.full((2, self._hours), _NEVER)
        self._sum = np.zeros((2, self._hours))
        self._count = np.zeros((2, self._hours), np.int64)
        self._due = np.array([_NEVER])
        # Lines, the newest last: from, until; slope, offset, rmse, largest hour.
        self._spans = np.full((2, _KEPT), _NEVER)
        self._lines = np.full((4, _KEPT), np.nan)

    @property
    def due_at(self) -> int:
        """Device time at which the next fit is made, ns."""
        return int(self._due[0])

    def learn(self, rows: JudgedBatch, role: Int64Array) -> None:
        """Add readings to their hours; what failed, and verdicts of later, do not count."""
        good = (rows.flag != FAIL) & (rows.flag != MISSING) & np.isfinite(rows.value)
        good &= (rows.flag != SUSPECT) & (rows.revision != AMENDED)
        hour, value, role = rows.time[good] // HOUR_NS, rows.value[good], role[good]
        slot = hour % self._hours
        newest = self._hour.copy()
        np.maximum.at(newest, (role, slot), hour)
        fresh = newest > self._hour
        self._hour = newest
        self._sum[fresh] = 0.0
        self._count[fresh] = 0
        own = hour == newest[role, slot]
        np.add.at(self._sum, (role[own], slot[own]), value[own])
        np.add.at(self._count, (role[own], slot[own]), 1)

    def fit(self, now: int) -> list[Fit]:
        """Fit a line to the days before the one that has begun, and say when it is next due.

        Readings from ``now`` on, and not before, are corrected by it: whenever verdicts on earlier
        ones change, the line they were corrected by is the same.
        """
        day = (now - self._grace) // DAY_NS * DAY_NS
        first = self.due_at == _NEVER
        self._due[0] = day + self._settings.refit_days * DAY_NS + self._grace
        if first:
            return []
        begin = day - self._settings.window_days * DAY_NS
        sensor, reference = self._means(begin, day)
        line, lag = theil_sen(sensor, reference), 0
        outcome: Outcome = "in_force"
        if line.n < self._settings.min_hours:
            outcome, line = "too_few", NO_LINE._replace(n=line.n)
        else:
            lag, gain = best_lag(sensor, reference, self._settings.max_lag_h)
            if lag != 0 and gain > self._settings.lag_gain:
                outcome = "clock"
            elif not line.r2 >= self._settings.min_r2:
                outcome = "poor"
            lag = lag if outcome == "clock" else 0
        both = np.isfinite(sensor) & np.isfinite(reference)
        largest = float(sensor[both].max()) if both.any() else np.nan
        until = day + self._settings.valid_days * DAY_NS
        if outcome == "in_force":
            self._spans = np.append(self._spans[:, 1:], [[now], [until]], axis=1)
            column = [[line.slope], [line.offset], [line.rmse], [largest]]
            self._lines = np.append(self._lines[:, 1:], column, axis=1)
        return [self._said(line, outcome, (begin, day, now, until), lag, largest)]

    def line_at(self, time: Int64Array) -> FloatArray:
        """Return slope, offset, rmse and largest hour of the line in force at each instant."""
        start, end = self._spans
        place = np.searchsorted(start, time, side="right") - 1
        known = (place >= 0) & (time < end[place])
        return np.where(known, self._lines[:, np.maximum(place, 0)], np.nan)

    def snapshot(self) -> Snapshot:
        """Return the whole state."""
        return {
            "hour": self._hour.copy(),
            "sum": self._sum.copy(),
            "count": self._count.copy(),
            "due": self._due.copy(),
            "spans": self._spans.copy(),
            "lines": self._lines.copy(),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot."""
        self._hour, self._sum = snapshot["hour"].copy(), snapshot["sum"].copy()
        self._count, self._due = snapshot["count"].copy(), snapshot["due"].copy()
        self._spans, self._lines = snapshot["spans"].copy(), snapshot["lines"].copy()

    def _means(self, begin: int, end: int) -> FloatArray:
        """Return the hourly means of sensor and reference in a span, NaN where there is none."""
        hours = np.arange(begin // HOUR_NS, end // HOUR_NS)
        slot = hours % self._hours
        held = (self._hour[:, slot] == hours) & (
            self._count[:, slot] >= self._settings.min_readings
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(held, self._sum[:, slot] / self._count[:, slot], np.nan)

    def _said(
        self, line: Line, outcome: Outcome, span: tuple[int, ...], lag: int, largest: float
    ) -> Fit:
        first_hour, end, start, until = span
        pair = self._pair
        numbers = {
            "slope": line.slope,
            "offset": line.offset,
            "r2": line.r2,
            "rmse": line.rmse,
            "largest": largest,
        }
        return Fit(
            sensor=pair.sensor,
            quantity=pair.input or pair.quantity,
            qualifiers=pair.qualifiers,
            reference=pair.reference,
            method=self._settings.version(),
            first_hour=first_hour,
            end=end,
            start=start,
            until=until,
            n=line.n,
            lag_h=lag,
            outcome=outcome,
            **{name: value if np.isfinite(value) else None for name, value in numbers.items()},
        )
