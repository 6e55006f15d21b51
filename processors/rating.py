# SPDX-License-Identifier: EUPL-1.2
"""What is rated, readings, windows and indices, where raw and corrected series stand together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from lamppost.batch import (
    FIXED,
    AggregateBatch,
    IndexBatch,
    Int32Array,
    Int64Array,
    JudgedBatch,
)
from lamppost.flags import GOOD
from lamppost.grouping import BoolArray
from lamppost.rating import Rating, measured_thing
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import HOUR_NS, SECOND_NS

_NEVER: Final = np.int64(-(2**62))
_NOBODY: Final = -1


class RatedSeries:
    """Tells what is rated from what is only shown.

    A series gives way to one that is preferred to it while that one is current: from its first
    valid window on (one with enough coverage), and for some time after its last. What is decided
    when time advances depends on the windows that are closed by then, and not on where batches of
    readings were cut.
    """

    def __init__(self, rating: Rating, series: SeriesTable) -> None:
        """Start without windows; the table of series may grow."""
        self._rating = rating
        self._series = series
        self._current_ns = round(rating.current_s * SECOND_NS)
        self._state = SeriesState(first=-_NEVER, last=_NEVER)
        self._known = 0
        self._together: dict[SeriesKey, list[int]] = {}
        self._pairs: list[tuple[int, int]] = []
        self._better: Int32Array = np.empty((0, 0), np.int32)
        self._gives_way: BoolArray = np.empty(0, np.bool_)
        self._is_better: BoolArray = np.empty(0, np.bool_)

    def take_in(self, aggregates: AggregateBatch) -> None:
        """Take note of the windows that closed."""
        self._grow()
        if not self._pairs or not len(aggregates):
            return
        rows = np.flatnonzero(self._is_better[aggregates.series])
        if not len(rows):
            return
        length = aggregates.length[rows]
        own = (aggregates.calendar[rows] == FIXED) & (length <= HOUR_NS)
        own &= (aggregates.flag[rows] == GOOD) & np.isfinite(aggregates.mean[rows])
        rows, length = rows[own], length[own]
        series, start = aggregates.series[rows], aggregates.start[rows]
        np.minimum.at(self._state["first"], series, start)
        np.maximum.at(self._state["last"], series, start + length)

    def windows(self, aggregates: AggregateBatch) -> AggregateBatch:
        """Return the windows that are rated."""
        kept = self._rated(aggregates.series, aggregates.start, aggregates.length)
        return aggregates if kept is None else aggregates.take(kept)

    def indices(self, indices: IndexBatch) -> IndexBatch:
        """Return the index values that are rated, by their newest hour."""
        kept = self._rated(indices.series, indices.end - HOUR_NS, np.int64(HOUR_NS))
        return indices if kept is None else indices.take(kept)

    def readings(self, judged: JudgedBatch) -> JudgedBatch:
        """Return the readings that are rated, by the windows that had closed before them."""
        kept = self._rated(judged.series, judged.time, np.int64(0))
        return judged if kept is None else judged.take(kept)

    def snapshot(self) -> Snapshot:
        """Return when series were valid first and last."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot; one from before there was a choice has nothing to say."""
        if snapshot:
            self._state.restore(snapshot)

    def _rated(
        self, series: Int32Array, start: Int64Array, length: Int64Array | np.int64
    ) -> BoolArray | None:
        """Return which rows are rated; None where all are."""
        self._grow()
        if not self._pairs:
            return None
        rows = np.flatnonzero(self._gives_way[series])
        if not len(rows):
            return None
        begin, end = start[rows], (start + length)[rows]
        preferred = self._better[series[rows]]
        there = preferred != _NOBODY
        first, last = self._state["first"][preferred], self._state["last"][preferred]
        current = (first < end[:, None]) & (last > begin[:, None] - self._current_ns)
        kept = np.ones(len(series), np.bool_)
        kept[rows] = ~(there & current).any(axis=1)
        return kept

    def _grow(self) -> None:
        if self._known == len(self._series):
            return
        before = len(self._pairs)
        for code in range(self._known, len(self._series)):
            self._place(code)
        self._known = len(self._series)
        self._state.grow(self._known)
        if len(self._pairs) > before or len(self._gives_way) < self._known:
            self._tabulate()

    def _place(self, code: int) -> None:
        """Put a new series beside those that measure the same."""
        key = self._series[code]
        beside = self._together.setdefault(measured_thing(key), [])
        own = self._rating.rank(key.qualifiers)
        for other in beside:
            rank = self._rating.rank(self._series[other].qualifiers)
            if rank < own:
                self._pairs.append((code, other))
            elif own < rank:
                self._pairs.append((other, code))
        beside.append(code)

    def _tabulate(self) -> None:
        """Write the preferred series of each series as a row."""
        pairs = np.array(self._pairs, np.int32).reshape(-1, 2)
        pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
        counts = np.bincount(pairs[:, 0], minlength=self._known)
        starts = np.cumsum(counts) - counts
        self._better = np.full((self._known, int(counts.max(initial=0))), _NOBODY, np.int32)
        column = np.arange(len(pairs)) - np.repeat(starts, counts)
        self._better[pairs[:, 0], column] = pairs[:, 1]
        self._gives_way = counts > 0
        self._is_better = np.bincount(pairs[:, 1], minlength=self._known) > 0
