# SPDX-License-Identifier: EUPL-1.2
"""Rows waiting for their windows to close."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ._rows import IntArray, RowArray, locate, ordered

_NOTHING: Final = np.iinfo(np.int64).max
_GONE: Final = -1


class Pending:
    """Rows in order of arrival, found again when the clock of their series passes a window's end.

    Ticks come often and few windows close at each, so what a tick costs goes by the series and by
    the rows of those that are due; the others are passed over by their code alone.
    """

    def __init__(self, dtype: np.dtype[Any], length_ns: int) -> None:
        """Start empty, with the length of the windows."""
        self._length = length_ns
        self._rows = np.empty(0, dtype)
        self._codes = np.empty(0, np.int64)
        self._size = 0
        self._left = 0
        self._earliest = np.empty(0, np.int64)

    def add(self, rows: RowArray, series_count: int) -> None:
        """Take in rows; a later version of an instant replaces the former."""
        self._grow(len(rows), series_count)
        end = self._size + len(rows)
        self._rows[self._size : end] = rows
        self._codes[self._size : end] = rows["series"]
        self._size = end
        self._left += len(rows)
        np.minimum.at(self._earliest, rows["series"], self._starts(rows["time"]))

    def take(self, clock: IntArray) -> RowArray:
        """Take out, in order of arrival, the rows of windows that end by their series' clock."""
        known = min(len(self._earliest), len(clock))
        latest = clock - self._length
        due = np.zeros(known + 1, np.bool_)  # the last one answers for rows that are gone
        due[:known] = self._earliest[:known] <= latest[:known]
        if not due.any():
            return self._rows[:0]
        near = np.flatnonzero(due[self._codes[: self._size]])
        series, starts = self._codes[near], self._starts(self._rows["time"][near])
        is_due = starts <= latest[series]
        self._earliest[:known][due[:known]] = _NOTHING
        stay = ~is_due
        np.minimum.at(self._earliest, series[stay], starts[stay])
        taken = near[is_due]
        rows: RowArray = self._rows[taken]
        self._codes[taken] = _GONE
        self._left -= len(taken)
        if not self._left:
            self._size = 0
        return rows

    def find(
        self, series: npt.NDArray[Any], time: IntArray
    ) -> tuple[npt.NDArray[np.bool_], RowArray]:
        """Return which instants wait here, and the newest row of each (zeros where none does)."""
        found = np.zeros(len(series), self._rows.dtype)
        if not self._left or not len(series):
            return np.zeros(len(series), np.bool_), found
        asked = np.zeros(max(len(self._earliest), int(series.max()) + 1) + 1, np.bool_)
        asked[series] = True
        near = np.flatnonzero(asked[self._codes[: self._size]])
        instants = self._rows["time"][near]
        near = near[(instants >= time.min()) & (instants <= time.max())]
        rows = ordered(self._rows[near])
        there, at = locate(rows, series, time)
        found[there] = rows[at[there]]
        return there, found

    def clear(self) -> None:
        """Forget everything."""
        self._size = self._left = 0
        self._earliest[:] = _NOTHING

    def rows(self) -> RowArray:
        """Return all rows in order of arrival."""
        rows: RowArray = self._rows[: self._size][self._codes[: self._size] != _GONE]
        return rows

    def _starts(self, time: IntArray) -> IntArray:
        return time // self._length * self._length

    def _grow(self, more: int, series_count: int) -> None:
        if series_count > len(self._earliest):
            grown = np.full(max(series_count, 2 * len(self._earliest)), _NOTHING)
            grown[: len(self._earliest)] = self._earliest
            self._earliest = grown
        if self._size + more <= len(self._rows):
            return
        rows = self.rows()
        needed = len(rows) + more
        # Twice to four times what is needed: moved seldom, and given back after a flood.
        if not 2 * needed <= len(self._rows) <= 8 * needed:
            self._rows = np.empty(max(4 * needed, 64), self._rows.dtype)
            self._codes = np.empty(len(self._rows), np.int64)
        self._rows[: len(rows)] = rows
        self._codes[: len(rows)] = rows["series"]
        self._size = len(rows)
