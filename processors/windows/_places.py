# SPDX-License-Identifier: EUPL-1.2
"""Where the rows of each series stand among sorted rows, so that few are looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ._rows import BoolArray, IntArray, RowArray, spread_ranges, united_ranges

_SCANNED: Final = 8_192

Between = Callable[[npt.NDArray[Any], IntArray, IntArray], RowArray]


class Places(NamedTuple):
    """The series there are, ascending, where the rows of each begin, and where the last ones end.

    Attributes:
        codes: shape (series,).
        edges: shape (series + 1,).
    """

    codes: npt.NDArray[np.int32]
    edges: npt.NDArray[np.int32]

    @classmethod
    def of(cls, rows: RowArray) -> Self:
        """Look through sorted rows."""
        series = rows["series"]
        new = np.ones(len(series), np.bool_)
        np.not_equal(series[1:], series[:-1], out=new[1:])
        starts = np.flatnonzero(new)
        return cls(series[starts].astype(np.int32), np.append(starts, len(rows)).astype(np.int32))

    def cut(
        self, rows: RowArray, series: npt.NDArray[Any], start: IntArray, end: IntArray
    ) -> RowArray:
        """Return the rows of each series in its half-open span of time, span after span."""
        return rows.take(spread_ranges(*self.ranges(rows, series, start, end)))

    def ranges(
        self, rows: RowArray, series: npt.NDArray[Any], start: IntArray, end: IntArray
    ) -> tuple[IntArray, IntArray]:
        """Return where the rows of each series in its half-open span of time begin and end."""
        low, high = self.spans(series)
        if not high.any():
            return low, high
        instants = rows["time"]
        return _bound(instants, low, high, start), _bound(instants, low, high, end)

    def around(
        self, rows: RowArray, series: npt.NDArray[Any], time: IntArray, count: int
    ) -> RowArray:
        """Return some rows to either side of instants that are sorted by series and time."""
        low, high = self.spans(series)
        at = _bound(rows["time"], low, high, time)
        return rows.take(united_ranges(np.maximum(low, at - count), np.minimum(high, at + count)))

    def locate(
        self, rows: RowArray, series: npt.NDArray[Any], time: IntArray
    ) -> tuple[BoolArray, IntArray]:
        """Return which pairs of series and instant are there, and where (0 if not)."""
        low, high = self.spans(series)
        if not high.any():
            return np.zeros(len(series), np.bool_), np.zeros(len(series), np.int64)
        instants = rows["time"]
        at = _bound(instants, low, high, time)
        found = at < high
        found &= instants[np.minimum(at, len(rows) - 1)] == time
        return found, np.where(found, at, 0)

    def spans(self, series: npt.NDArray[Any]) -> tuple[IntArray, IntArray]:
        """Return where the rows of each series begin and end; (0, 0) of one without any."""
        if not len(self.codes):
            nowhere = np.zeros(len(series), np.int64)
            return nowhere, nowhere
        # Of another type, numpy would convert all the codes there are at each look-up.
        at = np.searchsorted(self.codes, series.astype(np.int32, copy=False))
        at = np.minimum(at, len(self.codes) - 1)
        there = self.codes.take(at) == series
        low = np.where(there, self.edges.take(at), 0).astype(np.int64)
        return low, np.where(there, self.edges.take(at + 1), 0).astype(np.int64)


def inside(windows: RowArray, between: Between) -> tuple[RowArray, IntArray]:
    """Return the rows of windows, window after window, and the place of the window of each.

    Args:
        windows: sorted by series and start; they may overlap, but none lies in another.
        between: returns the sorted rows of series in spans of time that do not overlap.
    """
    series, start = windows["series"], windows["time"]
    end = start + windows["length"]
    apart = np.ones(len(windows), np.bool_)
    apart[1:] = (series[1:] != series[:-1]) | (start[1:] >= end[:-1])
    first = np.flatnonzero(apart)
    last = np.append(first[1:], len(windows))[: len(first)] - 1
    rows = between(series[first], start[first], end[last])
    low, high = Places.of(rows).ranges(rows, series, start, end)
    window = np.repeat(np.arange(len(windows)), high - low)
    return (rows if apart.all() else rows.take(spread_ranges(low, high))), window


def _bound(instants: IntArray, low: IntArray, high: IntArray, time: IntArray) -> IntArray:
    """Return, of ascending instants in half-open ranges, the first at or after one, else the end.

    Few are counted; of many, half of what is left is ruled out at every step.
    """
    lengths = high - low
    if lengths.sum() <= _SCANNED:
        owner = np.repeat(np.arange(len(low)), lengths)
        before = instants[spread_ranges(low, high)] < time.take(owner)
        counted: IntArray = low + np.bincount(owner[before], minlength=len(low))
        return counted
    last = len(instants) - 1
    for _ in range(int(lengths.max()).bit_length()):
        middle = (low + high) >> 1
        before = (instants[np.minimum(middle, last)] < time) & (low < high)
        low = np.where(before, middle + 1, low)
        high = np.where(before, high, middle)
    return low
