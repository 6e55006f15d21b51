# SPDX-License-Identifier: EUPL-1.2
"""Standard deviations over a long run of one series, from differences of running sums.

Differences lose digits, so the digits they can have lost are counted as well: where the answer
could depend on them, and where windows reach back before the run, :class:`Sliding` is asked.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from lamppost.batch import FloatArray, Int32Array, Int64Array
from lamppost.component import Rows
from lamppost.grouping import Groups

from ._sliding import Seen, Sliding

LONG: Final = 4_096
"""Rows of one series in a batch from which the shortcut pays."""

_BLOCK: Final = 16_384
_EPS: Final = float(np.finfo(np.float64).eps)


def follow_long(windows: Sliding, rows: Rows, window_ns: int, limits: FloatArray) -> Seen:
    """Return what the window up to each row holds, exactly enough for the limits.

    Args:
        windows: the memory, which afterwards is as if it had followed every row.
        rows: finite numbers of one series, by its number in the memory.
        window_ns: length of the window.
        limits: standard deviations that are compared with; NaN for none.
    """
    return _LongRun(windows, rows, window_ns, limits).follow()


class _LongRun:
    def __init__(self, windows: Sliding, rows: Rows, window_ns: int, limits: FloatArray) -> None:
        self._windows = windows
        self._rows = rows
        self._window_ns = window_ns
        self._squares = [float(limit) ** 2 for limit in limits[~np.isnan(limits)]]
        self._number = int(rows.groups.series[0])
        self._followed = 0
        self._unsure: list[Int64Array] = []

    def follow(self) -> Seen:
        """Follow the run block by block."""
        size, time = len(self._rows), self._rows.time
        count, activity = np.empty(size, np.int64), np.empty(size)
        # Up to here windows may hold what came before the run.
        start = int(np.searchsorted(time, time[0] + self._window_ns))
        self._exactly(slice(0, start), count, activity)
        while start < size:
            part = slice(start, min(start + _BLOCK, size))
            self._estimate(part, count, activity)
            start = part.stop
        if (unsure := np.concatenate([np.empty(0, np.int64), *self._unsure])).size:
            activity[unsure] = self._one_by_one(unsure)
        first = max(self._followed, int(self._panes_before(np.array([size - 1]))[0]))
        self._windows.follow(*self._taken(np.arange(first, size)))
        return Seen(count, activity)

    def _estimate(self, part: slice, count: Int64Array, activity: FloatArray) -> None:
        """Fill in some rows, from differences; where these do not tell enough, note it."""
        first, held = self._windows_of(part)
        base = int(first[0])
        value = self._rows.value[base : part.stop]
        low, high = float(value.min()), float(value.max())
        level = value - (low + high) / 2
        own = range(len(first)) if isinstance(first, range) else first - base
        mean, _ = _differences(level, own)
        variance, squares = _differences(np.square(level), own)
        mean /= held
        variance /= held
        variance -= np.square(mean, out=mean)
        count[part] = held
        np.sqrt(np.maximum(variance, 0.0, out=mean), out=activity[part])
        lost = self._lost((low, high), squares, len(value), held)
        unsure = np.zeros(len(variance), np.bool_)
        for square in self._squares:
            distance = np.abs(np.subtract(variance, square, out=mean), out=mean)
            unsure |= distance <= lost + 8 * _EPS * square
        rows = np.flatnonzero(unsure) + part.start
        if rows.size * int(np.max(held)) > len(variance):
            self._exactly(part, count, activity)
        else:
            self._unsure.append(rows)

    def _lost(
        self, span: tuple[float, float], squares: float, size: int, held: FloatArray
    ) -> float:
        """Return by how much a variance can be off here, and in the memory, by rounding.

        A running sum of n numbers is off by n eps times their absolute sum at most, and that is at
        most the square root of n times the sum of squares.
        """
        reach = span[1] - span[0]
        origin = self._windows.origin(self._number)
        widest = reach + max(abs(end - origin) for end in span)
        sums = size * (3 * squares + 2 * reach * math.sqrt(size * squares))
        return 4 * _EPS * (sums / float(np.min(held)) + float(np.max(held)) * widest * widest)

    def _windows_of(self, part: slice) -> tuple[Int64Array | range, FloatArray]:
        """Return where the windows of some rows begin, and how many readings each holds.

        Readings at a constant step need no search, and all windows then hold as many.
        """
        time = self._rows.time
        since = time[part] - self._window_ns
        lag = part.start - int(np.searchsorted(time, since[0], side="right"))
        first = range(part.start - lag, part.stop - lag)
        if (time[first.start : first.stop] > since).all() and (
            time[first.start - 1 : first.stop - 1] <= since
        ).all():
            return first, np.array([lag + 1.0])
        found = np.searchsorted(time, since, side="right")
        return found, np.arange(part.start + 1.0, part.stop + 1.0) - found

    def _exactly(self, part: slice, count: Int64Array, activity: FloatArray) -> None:
        """Let the memory follow some rows, after what their windows can hold."""
        before = int(self._panes_before(np.array([part.start]))[0])
        start = max(self._followed, before)
        seen = self._windows.follow(*self._taken(np.arange(start, part.stop)))
        self._followed = part.stop
        count[part] = seen.count[part.start - start :]
        activity[part] = seen.activity[part.start - start :]

    def _one_by_one(self, rows: Int64Array) -> FloatArray:
        """Return the activity at a few rows as the memory would have it."""
        first = self._panes_before(rows)
        size = rows + 1 - first
        ends = np.cumsum(size)
        places = np.arange(ends[-1]) + np.repeat(first - (ends - size), size)
        number = np.repeat(np.arange(len(rows), dtype=np.int32), size)
        scratch = self._windows.alike(self._number, len(rows))
        taken, window_ns = self._taken(places, number)
        activity: FloatArray = scratch.follow(taken, window_ns).activity[ends - 1]
        return activity

    def _panes_before(self, rows: Int64Array) -> Int64Array:
        """Return the first row of the pane before that of each row."""
        time, window_ns = self._rows.time, self._window_ns
        return np.searchsorted(time, (time[rows] // window_ns - 1) * window_ns)

    def _taken(
        self, places: Int64Array, number: Int32Array | None = None
    ) -> tuple[Rows, Int64Array]:
        """Return some rows for a memory to follow, of other series if told so."""
        rows = self._rows
        series = rows.groups.series[places] if number is None else number
        groups = Groups(np.arange(len(places)), series)
        taken = Rows(groups, rows.time[places], rows.value[places], rows.flag[places])
        return taken, np.full(len(places), self._window_ns)


def _differences(column: FloatArray, first: Int64Array | range) -> tuple[FloatArray, float]:
    """Return the sums of the last windows of a column, by where each begins, and the whole sum."""
    total = np.empty(len(column) + 1)
    total[0] = 0.0
    np.cumsum(column, out=total[1:])
    begin = total[first.start : first.stop] if isinstance(first, range) else total.take(first)
    return total[len(total) - len(first) :] - begin, float(total[-1])
