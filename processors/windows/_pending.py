# SPDX-License-Identifier: EUPL-1.2
"""Rows waiting for their windows to close."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ._former_rows import brought_up
from ._places import Places
from ._rows import IntArray, RowArray, ordered, picked, whole

_NOTHING: Final = np.iinfo(np.int64).max
_GONE: Final = -1
_PIECE: Final = 8_192


class Pending:
    """Rows in order of arrival, found again when the clock of their series passes a window's end.

    Ticks come often and few windows close at each, so what a tick costs goes by the series and by
    the rows of those that are due; the others are passed over by their code alone.
    """

    def __init__(self, dtype: np.dtype[Any], ends_of: Callable[[RowArray], IntArray]) -> None:
        """Start empty, with what tells the end of the window of each row."""
        self._ends_of = ends_of
        self._rows = np.empty(0, dtype)
        self._codes = np.empty(0, np.int32)
        self._ends = np.empty(0, np.int64)
        self._size = 0
        self._left = 0
        self._earliest = np.empty(0, np.int64)

    def __len__(self) -> int:
        """Return how many rows wait."""
        return self._left

    def add(self, rows: RowArray, series_count: int) -> None:
        """Take in rows; a later version of an instant replaces the former."""
        if not len(rows):
            return
        self._grow(len(rows), series_count)
        end = self._size + len(rows)
        whole(self._rows)[self._size : end] = whole(rows)
        codes, ends = self._codes[self._size : end], self._ends[self._size : end]
        codes[:], ends[:] = rows["series"], self._ends_of(rows)
        self._size = end
        self._left += len(rows)
        np.minimum.at(self._earliest, codes, ends)

    def take(self, clock: IntArray) -> RowArray:
        """Take out, in order of arrival, the rows of windows that end by their series' clock."""
        known = min(len(self._earliest), len(clock))
        due = np.zeros(known + 1, np.bool_)  # the last one answers for rows that are gone
        np.less_equal(self._earliest[:known], clock[:known], out=due[:known])
        if not due.any():
            return self._rows[:0]
        near = np.flatnonzero(due.take(self._codes[: self._size]))
        series, ends = self._codes.take(near), self._ends.take(near)
        is_due = ends <= clock.take(series)
        self._earliest[:known][due[:known]] = _NOTHING
        taken = near
        if not is_due.all():
            stay = ~is_due
            np.minimum.at(self._earliest, series[stay], ends[stay])
            taken = near[is_due]
        rows = self._rows.take(taken)
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
        near = np.flatnonzero(asked.take(self._codes[: self._size]))
        instants = self._rows["time"][near]
        near = near[(instants >= time.min()) & (instants <= time.max())]
        rows = ordered(self._rows.take(near))
        there, at = Places.of(rows).locate(rows, series, time)
        whole(found)[there] = whole(rows)[at[there]]
        return there, found

    def restore(self, rows: RowArray, series_count: int) -> None:
        """Take over what :meth:`rows` returned in place of what is here."""
        self._size = self._left = 0
        self._earliest[:] = _NOTHING
        self.add(brought_up(rows, self._rows.dtype), series_count)

    def rows(self) -> RowArray:
        """Return all rows in order of arrival."""
        return picked(self._rows[: self._size], self._codes[: self._size] != _GONE)

    def _grow(self, more: int, series_count: int) -> None:
        if series_count > len(self._earliest):
            grown = np.full(max(series_count, 2 * len(self._earliest)), _NOTHING)
            grown[: len(self._earliest)] = self._earliest
            self._earliest = grown
        if self._size + more <= len(self._rows):
            return
        kept = np.flatnonzero(self._codes[: self._size] != _GONE)
        columns: tuple[npt.NDArray[Any], ...] = (whole(self._rows), self._codes, self._ends)
        needed, room = len(kept) + more, len(self._rows)
        # Room for half as much again to four times as much: moved seldom, given back after a flood.
        if not 3 * needed <= 2 * room <= 8 * needed:
            room = max(2 * needed, 64)
            self._rows = np.empty(room, self._rows.dtype)
            self._codes, self._ends = np.empty(room, np.int32), np.empty(room, np.int64)
        moved: tuple[npt.NDArray[Any], ...] = (whole(self._rows), self._codes, self._ends)
        # Piece by piece, towards the front: there is never a second copy of all.
        for start in range(0, len(kept), _PIECE):
            places = kept[start : start + _PIECE]
            for former, column in zip(columns, moved, strict=True):
                column[start : start + len(places)] = former.take(places)
        self._size = len(kept)
