# SPDX-License-Identifier: EUPL-1.2
"""What closed windows say about the hours of pollutants, and which hours count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lamppost.batch import FIXED, AggregateBatch, FloatArray, Int64Array
from lamppost.flags import GOOD, SUSPECT
from lamppost.series import SeriesTable
from lamppost.times import HOUR_NS, MINUTE_NS
from processors._per_series import PerSeries

from ._hours import CodeArray
from ._quarters import PER_HOUR

_QUARTER_NS: Final = 15 * MINUTE_NS
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rules:
    """What makes hours count.

    Attributes:
        hour_coverage: part of an hour that must be covered.
        corrected_hours: how far back corrections reach.
        negative_counts: whether less than nothing counts as nothing; otherwise as no measurement.
    """

    hour_coverage: float
    corrected_hours: int
    negative_counts: bool = True

    def valid_means(self, windows: AggregateBatch) -> FloatArray:
        """Return the means of windows, NaN where one does not count."""
        usable = (windows.flag == GOOD) | (windows.flag == SUSPECT)
        usable &= (windows.count > 0) & (windows.coverage >= self.hour_coverage)
        return self.counted(np.where(usable, windows.mean, np.nan))

    def counted(self, means: FloatArray) -> FloatArray:
        """Return means as they count: NaN where one is no number or no measurement."""
        below = 0.0 if self.negative_counts else np.nan
        return np.where(np.isfinite(means), np.where(means < 0, below, means), np.nan)


class News(NamedTuple):
    """What came in of some hours, each series and hour once, sorted.

    Attributes:
        codes: series of each hour.
        hour: since 1970.
        mean: NaN where it does not count.
        is_told: whether the hour itself came in; otherwise only quarters of it did.
        quarters: means of its quarters, shape (n, 4), or (n, 0) where none came in.
        quarters_told: which of them came in.
    """

    codes: CodeArray
    hour: Int64Array
    mean: FloatArray
    is_told: BoolArray
    quarters: FloatArray
    quarters_told: BoolArray

    def take(self, rows: npt.NDArray[Any]) -> News:
        """Return some hours."""
        return News(*(column[rows] for column in self))

    def beside(self, other: News) -> News:
        """Return these hours, then others."""
        return News(
            np.append(self.codes, other.codes),
            np.append(self.hour, other.hour),
            np.append(self.mean, other.mean),
            np.append(self.is_told, other.is_told),
            np.concatenate([self.quarters, other.quarters]),
            np.concatenate([self.quarters_told, other.quarters_told]),
        )

    @classmethod
    def silence(cls, codes: CodeArray, hour: Int64Array, *, quarters: int = 0) -> News:
        """Return hours of which nothing came in."""
        count = len(hour)
        nothing = np.full((count, quarters), np.nan)
        none = np.zeros(count, np.bool_)
        return cls(codes, hour, np.full(count, np.nan), none, nothing, np.isfinite(nothing))


_NONE: Final = News(
    np.empty(0, np.int32),
    np.empty(0, np.int64),
    np.empty(0),
    np.empty(0, np.bool_),
    np.empty((0, 0)),
    np.empty((0, 0), np.bool_),
)


class NewsReader:
    """Picks the hours of an index's pollutants out of closed windows."""

    def __init__(
        self,
        series: SeriesTable,
        pollutants: Sequence[str],
        rules: Rules,
        *,
        by_quarter: Sequence[str],
    ) -> None:
        """Number the pollutants as they stand; quarters are read of some of them."""
        numbers = {
            name: (float(place), float(name in by_quarter)) for place, name in enumerate(pollutants)
        }
        self._pollutant = PerSeries(series, numbers, width=2)
        self._rules = rules
        self._by_quarter = bool(by_quarter)
        self._lengths = (HOUR_NS, _QUARTER_NS) if by_quarter else (HOUR_NS,)

    def pollutants(self, codes: CodeArray) -> Int64Array:
        """Return the number of the pollutant of each series."""
        numbers: Int64Array = self._pollutant.of(codes)[0].astype(np.int64)
        return numbers

    def read(self, aggregates: AggregateBatch) -> News:
        """Return what is new of hours, and of quarters where they count."""
        if not any((aggregates.length == length).any() for length in self._lengths):
            return _NONE
        fixed = aggregates.calendar == FIXED
        hourly = self._chosen(aggregates, fixed & (aggregates.length == HOUR_NS), 0)
        quarterly = AggregateBatch.empty()
        if self._by_quarter:
            quarterly = self._chosen(aggregates, fixed & (aggregates.length == _QUARTER_NS), 1)
        if len(quarterly):
            return self._together(hourly, quarterly)
        means = self._rules.valid_means(hourly)
        nothing = np.empty((len(hourly), 0))
        is_told = np.ones(len(hourly), np.bool_)
        hour = hourly.start // HOUR_NS
        return News(hourly.series, hour, means, is_told, nothing, nothing.astype(np.bool_))

    def _chosen(self, aggregates: AggregateBatch, chosen: BoolArray, column: int) -> AggregateBatch:
        """Return chosen windows of our pollutants, the newest revision of each, sorted."""
        rows = np.flatnonzero(chosen)
        if len(rows):
            wanted = self._pollutant.of(aggregates.series[rows])[column]
            rows = rows[wanted > 0 if column else ~np.isnan(wanted)]
        if not len(rows):
            return AggregateBatch.empty()
        series, start = aggregates.series[rows], aggregates.start[rows]
        order = np.lexsort((aggregates.revision[rows], start, series))
        series, start = series[order], start[order]
        last = np.ones(len(order), np.bool_)
        last[:-1] = (series[1:] != series[:-1]) | (start[1:] != start[:-1])
        return aggregates.take(rows[order[last]])

    def _together(self, hourly: AggregateBatch, quarterly: AggregateBatch) -> News:
        """Return hours with the quarters that came in of them."""
        codes = np.concatenate([hourly.series, quarterly.series])
        hours = np.concatenate([hourly.start, quarterly.start]) // HOUR_NS
        keys = np.stack([codes.astype(np.int64), hours], axis=1)
        distinct, row = np.unique(keys, axis=0, return_inverse=True)
        row = row.reshape(-1)
        of_hour, of_quarter = row[: len(hourly)], row[len(hourly) :]
        mean = np.full(len(distinct), np.nan)
        is_told = np.zeros(len(distinct), np.bool_)
        mean[of_hour], is_told[of_hour] = self._rules.valid_means(hourly), True
        quarters = np.full((len(distinct), PER_HOUR), np.nan)
        told = np.zeros((len(distinct), PER_HOUR), np.bool_)
        place = quarterly.start % HOUR_NS // _QUARTER_NS
        quarters[of_quarter, place] = self._rules.valid_means(quarterly)
        told[of_quarter, place] = True
        return News(distinct[:, 0].astype(np.int32), distinct[:, 1], mean, is_told, quarters, told)
