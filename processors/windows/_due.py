# SPDX-License-Identifier: EUPL-1.2
"""Windows that are to be worked out once the clock of their series has passed their end."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ._rows import IntArray, RowArray, joined, ordered

WINDOW: Final = np.dtype([("time", "i8"), ("length", "i8"), ("series", "i4")], align=True)
"""A window of a series, by its start and length."""

_NOTHING: Final = np.iinfo(np.int64).max
_LEAST: Final = 4096


class DueWindows:
    """Windows of all series, each once however often it was named."""

    def __init__(self) -> None:
        """Start without any."""
        self._parts: list[RowArray] = []
        self._size = 0
        self._tidy_at = _LEAST
        self._earliest = np.empty(0, np.int64)

    def add(self, series: npt.NDArray[Any], start: IntArray, length: IntArray, count: int) -> None:
        """Name windows.

        Args:
            series: series of each window.
            start: its start, ns.
            length: its length, ns.
            count: how many series there are.
        """
        if not len(series):
            return
        rows = np.zeros(len(series), WINDOW)
        rows["series"], rows["time"], rows["length"] = series, start, length
        self._take_in(rows, count)

    def take(self, clock: IntArray) -> RowArray:
        """Take out the windows that end by their series' clock, sorted by series and start."""
        known = min(len(self._earliest), len(clock))
        due = self._earliest[:known] <= clock[:known]
        if not due.any():
            return np.empty(0, WINDOW)
        rows = self.rows()
        is_due = rows["time"] + rows["length"] <= clock[rows["series"]]
        stay = rows[~is_due]
        self._parts, self._size = [], 0
        self._earliest[:] = _NOTHING
        self._take_in(stay, known)
        taken: RowArray = rows[is_due]
        return taken

    def rows(self) -> RowArray:
        """Return all windows, sorted, each once."""
        rows = ordered(joined(self._parts, WINDOW))
        self._parts, self._size = [rows], len(rows)
        return rows

    def restore(self, rows: RowArray, count: int) -> None:
        """Take over what :meth:`rows` returned."""
        self._parts, self._size = [], 0
        self._earliest[:] = _NOTHING
        self._take_in(rows.astype(WINDOW), count)

    def _take_in(self, rows: RowArray, count: int) -> None:
        if count > len(self._earliest):
            grown = np.full(max(count, 2 * len(self._earliest)), _NOTHING)
            grown[: len(self._earliest)] = self._earliest
            self._earliest = grown
        self._parts.append(rows)
        self._size += len(rows)
        np.minimum.at(self._earliest, rows["series"], rows["time"] + rows["length"])
        if self._size > self._tidy_at:
            self._tidy_at = max(2 * len(self.rows()), _LEAST)
