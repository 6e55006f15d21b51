# SPDX-License-Identifier: EUPL-1.2
"""The air quality index of the United States, for particles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from lamppost.batch import AggregateBatch, FloatArray, IndexBatch, Int64Array
from lamppost.component import Hours, Settings, register
from lamppost.flags import GOOD, SUSPECT
from lamppost.grouping import Groups
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import HOUR_NS
from processors._per_series import PerSeries

from ._breakpoints import Table, Values

DAY_HOURS: Final = 24
RECENT_HOURS: Final = 2 * DAY_HOURS
_NEVER: Final = -(2**40)
_LATEST: Final = 2**40

_CATEGORIES_LOW: Final = (0, 51, 101, 151, 201, 301)
_CATEGORIES_HIGH: Final = (50, 100, 150, 200, 300, 500)

PM2_5: Final = Table(
    10,
    (0, 91, 355, 555, 1255, 2255),
    (90, 354, 554, 1254, 2254, 3254),
    _CATEGORIES_LOW,
    _CATEGORIES_HIGH,
)
PM10: Final = Table(
    1,
    (0, 55, 155, 255, 355, 425),
    (54, 154, 254, 354, 424, 604),
    _CATEGORIES_LOW,
    _CATEGORIES_HIGH,
)
_TABLES: Final = {"pm2_5": PM2_5, "pm10": PM10}


def aqi_pm2_5(concentration: FloatArray) -> Values:
    """Return the index of 24-hour means of PM2.5, ug/m3.

    >>> aqi_pm2_5(np.array([9.09, 9.1, 35.9, 400.0])).value.tolist()
    [50.0, 51.0, 102.0, 649.0]
    """
    return PM2_5.values(concentration)


def aqi_pm10(concentration: FloatArray) -> Values:
    """Return the index of 24-hour means of PM10, ug/m3.

    >>> aqi_pm10(np.array([54.9, 55.0, 604.0])).value.tolist()
    [50.0, 51.0, 500.0]
    """
    return PM10.values(concentration)


class UsAqiSettings(Settings):
    """What makes a running mean valid."""

    hour_coverage: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="Part of an hour that must be covered for it to count.",
    )
    valid_hours: int = Field(
        default=18, ge=1, le=DAY_HOURS, description="Hours of the 24 that must count for a value."
    )
    corrected_days: int = Field(
        default=30,
        ge=0,
        description="How far back a corrected hour still corrects values, days: no less than "
        "correction_horizon_s of the windows.",
    )


@register("index")
class UsAqi:
    """US EPA air quality index of PM2.5 and PM10 from the running mean of 24 hours.

    Table of May 2024 (40 CFR 58 Appendix G; EPA-454/B-24-002). The mean is truncated to 0.1
    (PM2.5) or 1 ug/m3 (PM10), the index rounded half up; above 500 the last segment goes on and
    ``beyond`` is 1. Each closed hour publishes the 24 hours that end with it; a corrected hour
    publishes again, with the next revision, every value it is part of.
    """

    name: ClassVar[str] = "us_aqi"
    number: ClassVar[int] = 1
    Settings: ClassVar[type[UsAqiSettings]] = UsAqiSettings

    def __init__(self, settings: UsAqiSettings, series: SeriesTable) -> None:
        """Prepare the memory of hourly means."""
        self._settings = settings
        self._series = series
        numbers = {name: (float(number),) for number, name in enumerate(_TABLES)}
        self._pollutant = PerSeries(series, numbers, width=1)
        self._kept = (settings.corrected_days + 2) * DAY_HOURS
        self._places, self._state = self._empty()
        self._hours: Hours | None = None

    def look_back(self, hours: Hours) -> None:
        """Ask for hours further back than two days here; without it they correct nothing."""
        self._hours = hours

    def update(self, aggregates: AggregateBatch) -> IndexBatch:
        """Take hourly aggregates in and return the index values they lead to."""
        hours = np.flatnonzero(aggregates.length == HOUR_NS)
        if not len(hours):
            return IndexBatch.empty()
        hourly = aggregates.take(hours)
        known = ~np.isnan(self._pollutant.of(hourly.series)[0])
        hourly = hourly.take(known)
        hourly = hourly.take(np.lexsort((hourly.revision, hourly.start)))
        groups = Groups.by_series(hourly.series)
        mean = self._valid_means(hourly)[groups.order]
        hour = hourly.start[groups.order] // HOUR_NS
        places = self._placed(groups.series)
        parts = [self._take_in(places[rows], hour[rows], mean[rows]) for rows in groups.rounds()]
        return _newest_only(IndexBatch.concat(parts))

    def snapshot(self) -> Snapshot:
        """Return the hourly means and revisions that can still be corrected."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over hourly means and revisions, also those of a shorter or longer memory."""
        known = snapshot.get("series", np.flatnonzero(snapshot["newest"] != _NEVER))
        rows = np.arange(len(known)) if "series" in snapshot else known
        self._places, self._state = self._empty()
        places = self._placed(np.asarray(known, np.int32))
        newest = snapshot["newest"][rows]
        self._state["newest"][places] = newest
        for name in ("mean", "revision"):
            size, former_size = self._state[name].shape[1], snapshot[name].shape[1]
            hours = newest[:, None] - np.arange(min(size, former_size))
            former = snapshot[name][rows[:, None], hours % former_size]
            self._state[name][places[:, None], hours % size] = former

    def _empty(self) -> tuple[SeriesState, SeriesState]:
        """Return where each series has its place, and rings of hours for each that has one."""
        return SeriesState(place=np.int32(-1)), SeriesState(
            series=np.int32(-1),
            mean=np.full(RECENT_HOURS, np.nan),
            revision=np.full(self._kept, -1, np.int16),
            newest=np.int64(_NEVER),
        )

    def _placed(self, codes: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Return the place of each series, giving one to those that have none."""
        self._places.grow(max(len(self._series), int(codes.max(initial=-1)) + 1))
        place = self._places["place"]
        new = np.unique(codes[place[codes] < 0])
        if len(new):
            before = len(self._state)
            self._state.grow(before + len(new))
            place[new] = np.arange(before, before + len(new))
            self._state["series"][before:] = new
        placed: npt.NDArray[np.int32] = place[codes]
        return placed

    def _valid_means(self, hourly: AggregateBatch) -> FloatArray:
        usable = (hourly.flag == GOOD) | (hourly.flag == SUSPECT)
        usable &= (hourly.count > 0) & (hourly.coverage >= self._settings.hour_coverage)
        return np.where(usable, hourly.mean, np.nan)

    def _held_means(self, codes: npt.NDArray[np.int32], hours: Int64Array) -> FloatArray:
        """Return the valid means of hours that are held elsewhere, NaN where there is none."""
        series, at = np.unique(codes, return_inverse=True)
        first, end = np.full(len(series), _LATEST), np.full(len(series), _NEVER)
        np.minimum.at(first, at, hours.min(axis=1))
        np.maximum.at(end, at, hours.max(axis=1) + 1)
        held = self._hours(series, first * HOUR_NS, end * HOUR_NS) if self._hours else None
        if held is None or not len(held):
            return np.full(hours.shape, np.nan)
        means = self._valid_means(held)
        spread = int((end - first).max()) + 1
        keys = np.searchsorted(series, held.series) * spread + held.start // HOUR_NS
        keys -= first[np.searchsorted(series, held.series)]
        wanted = at[:, None] * spread + hours - first[at][:, None]
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[place] == wanted, means[place], np.nan)

    def _take_in(
        self, places: npt.NDArray[np.int32], hour: Int64Array, mean: FloatArray
    ) -> IndexBatch:
        """Store one hour of each of some series, and return the values it belongs to."""
        self._advance(places, hour)
        newest = self._state["newest"][places]
        kept = hour > newest - self._kept
        places, hour, mean, newest = places[kept], hour[kept], mean[kept], newest[kept]
        slot, recent = hour % RECENT_HOURS, hour > newest - RECENT_HOURS
        former = self._state["mean"][places, slot]
        self._state["mean"][places[recent], slot[recent]] = mean[recent]
        same = recent & ((former == mean) | (np.isnan(former) & np.isnan(mean)))
        last = hour[:, None] + np.arange(DAY_HOURS)
        published = self._state["revision"][places[:, None], last % self._kept] >= 0
        own = last == hour[:, None]
        # An unchanged mean changes nothing; hours never closed have no value to revise.
        concerned = np.where(published, ~same[:, None], own) & (last <= newest[:, None])
        # The mean of an hour further back than a day needs hours that are not held here.
        known = DAY_HOURS if self._hours is None else self._kept - DAY_HOURS
        concerned &= last > newest[:, None] - known
        row, step = np.nonzero(concerned)
        return self._values(places[row], last[row, step])

    def _advance(self, places: npt.NDArray[np.int32], hour: Int64Array) -> None:
        """Make room for hours newer than all before, forgetting the oldest."""
        newer = hour > self._state["newest"][places]
        places, hour = places[newer], hour[newer]
        gone = np.minimum(hour - self._state["newest"][places], self._kept)
        row = np.repeat(np.arange(len(hour)), gone)
        back = np.arange(len(row)) - np.repeat(np.cumsum(gone) - gone, gone)
        self._state["revision"][places[row], (hour[row] - back) % self._kept] = -1
        near = back < RECENT_HOURS
        row, back = row[near], back[near]
        self._state["mean"][places[row], (hour[row] - back) % RECENT_HOURS] = np.nan
        self._state["newest"][places] = hour

    def _values(self, places: npt.NDArray[np.int32], last: Int64Array) -> IndexBatch:
        """Return the index of the days that end with some hours."""
        codes = self._state["series"][places]
        hours = last[:, None] - np.arange(DAY_HOURS)
        means = self._state["mean"][places[:, None], hours % RECENT_HOURS]
        far = np.flatnonzero(last <= self._state["newest"][places] - DAY_HOURS)
        if len(far):
            means[far] = self._held_means(codes[far], hours[far])
        counted = np.isfinite(means)
        valid = counted.sum(axis=1)
        total = np.where(counted, means, 0.0).sum(axis=1)
        enough = valid >= self._settings.valid_hours
        mean = np.where(enough, total / np.maximum(valid, 1), np.nan)
        self._state["revision"][places, last % self._kept] += 1
        pollutant = self._pollutant.of(codes)[0]
        found = PM2_5.values(mean)
        for number, table in enumerate(_TABLES.values()):
            if number:
                found = found.where(pollutant != number, table.values(mean))
        return IndexBatch(
            series=codes,
            index=np.full(len(codes), self.number, np.uint8),
            end=(last + 1) * HOUR_NS,
            revision=self._state["revision"][places, last % self._kept],
            concentration=found.concentration,
            value=found.value,
            category=found.category,
            coverage=valid / DAY_HOURS,
            beyond=found.beyond,
        )


def _newest_only(batch: IndexBatch) -> IndexBatch:
    """Keep only the newest revision of each value, in order of series and time."""
    order = np.lexsort((batch.revision, batch.end, batch.series))
    series, end = batch.series[order], batch.end[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = (series[1:] != series[:-1]) | (end[1:] != end[:-1])
    return batch.take(order[last])
