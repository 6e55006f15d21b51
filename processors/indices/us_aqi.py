# SPDX-License-Identifier: EUPL-1.2
"""The air quality index of the United States, for particles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from lamppost.batch import AggregateBatch, FloatArray, IndexBatch, Int64Array
from lamppost.component import Settings, register
from lamppost.flags import GOOD, SUSPECT
from lamppost.grouping import Groups
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import HOUR_NS
from processors._per_series import PerSeries

from ._breakpoints import Table, Values

DAY_HOURS: Final = 24
KEPT_HOURS: Final = 2 * DAY_HOURS
_NEVER: Final = -(2**40)

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
        self._state = SeriesState(
            mean=np.full(KEPT_HOURS, np.nan),
            revision=np.full(KEPT_HOURS, -1, np.int32),
            newest=np.int64(_NEVER),
        )

    def update(self, aggregates: AggregateBatch) -> IndexBatch:
        """Take hourly aggregates in and return the index values they lead to."""
        self._state.grow(len(self._series))
        hourly = aggregates.take(aggregates.length == HOUR_NS)
        known = ~np.isnan(self._pollutant.of(hourly.series)[0])
        hourly = hourly.take(known)
        hourly = hourly.take(np.lexsort((hourly.revision, hourly.start)))
        groups = Groups.by_series(hourly.series)
        mean = self._valid_means(hourly)[groups.order]
        hour = hourly.start[groups.order] // HOUR_NS
        parts = [
            self._take_in(groups.series[rows], hour[rows], mean[rows]) for rows in groups.rounds()
        ]
        return _newest_only(IndexBatch.concat(parts))

    def snapshot(self) -> Snapshot:
        """Return the hourly means and revisions of two days."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the hourly means and revisions of two days."""
        self._state.restore(snapshot)

    def _valid_means(self, hourly: AggregateBatch) -> FloatArray:
        usable = (hourly.flag == GOOD) | (hourly.flag == SUSPECT)
        usable &= (hourly.count > 0) & (hourly.coverage >= self._settings.hour_coverage)
        return np.where(usable, hourly.mean, np.nan)

    def _take_in(
        self, codes: npt.NDArray[np.int32], hour: Int64Array, mean: FloatArray
    ) -> IndexBatch:
        """Store one hour of each of some series, and return the values it belongs to."""
        self._advance(codes, hour)
        newest = self._state["newest"][codes]
        kept = hour > newest - KEPT_HOURS
        codes, hour, mean, newest = codes[kept], hour[kept], mean[kept], newest[kept]
        slot = hour % KEPT_HOURS
        former = self._state["mean"][codes, slot]
        self._state["mean"][codes, slot] = mean
        same = (former == mean) | (np.isnan(former) & np.isnan(mean))
        last = hour[:, None] + np.arange(DAY_HOURS)
        published = self._state["revision"][codes[:, None], last % KEPT_HOURS] >= 0
        own = last == hour[:, None]
        # An unchanged mean changes nothing; hours never closed have no value to revise.
        concerned = np.where(published, ~same[:, None], own) & (last <= newest[:, None])
        # The mean of an hour further back than a day needs hours that are forgotten.
        concerned &= last > newest[:, None] - DAY_HOURS
        row, step = np.nonzero(concerned)
        return self._values(codes[row], last[row, step])

    def _advance(self, codes: npt.NDArray[np.int32], hour: Int64Array) -> None:
        """Make room for hours newer than all before, forgetting the oldest."""
        newer = hour > self._state["newest"][codes]
        codes, hour = codes[newer], hour[newer]
        slots = np.arange(KEPT_HOURS)
        held = hour[:, None] - (hour[:, None] - slots) % KEPT_HOURS
        row, slot = np.nonzero(held > self._state["newest"][codes][:, None])
        self._state["mean"][codes[row], slot] = np.nan
        self._state["revision"][codes[row], slot] = -1
        self._state["newest"][codes] = hour

    def _values(self, codes: npt.NDArray[np.int32], last: Int64Array) -> IndexBatch:
        """Return the index of the days that end with some hours."""
        hours = last[:, None] - np.arange(DAY_HOURS)
        means = self._state["mean"][codes[:, None], hours % KEPT_HOURS]
        counted = np.isfinite(means)
        valid = counted.sum(axis=1)
        total = np.where(counted, means, 0.0).sum(axis=1)
        enough = valid >= self._settings.valid_hours
        mean = np.where(enough, total / np.maximum(valid, 1), np.nan)
        self._state["revision"][codes, last % KEPT_HOURS] += 1
        pollutant = self._pollutant.of(codes)[0]
        found = PM2_5.values(mean)
        for number, table in enumerate(_TABLES.values()):
            if number:
                found = found.where(pollutant != number, table.values(mean))
        return IndexBatch(
            series=codes,
            index=np.full(len(codes), self.number, np.uint8),
            end=(last + 1) * HOUR_NS,
            revision=self._state["revision"][codes, last % KEPT_HOURS],
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
