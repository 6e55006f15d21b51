# SPDX-License-Identifier: EUPL-1.2
"""Windows that are to be worked out once the clock of their series has passed their end."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ._pending import Pending
from ._rows import IntArray, RowArray, ordered

WINDOW: Final = np.dtype([("time", "i8"), ("length", "i8"), ("series", "i4")], align=True)
"""A window of a series, by its start and length."""

_LEAST: Final = 4096


class DueWindows:
    """Windows of all series, each once however often it was named."""

    def __init__(self) -> None:
        """Start without any."""
        self._pending = Pending(WINDOW, _ends)
        self._tidy_at = _LEAST

    def add(self, series: npt.NDArray[Any], start: IntArray, length: IntArray, count: int) -> None:
        """Name windows.

        Args:
            series: series of each window.
            start: its start, ns.
            length: its length, ns.
            count: how many series there are.
        """
        rows = np.zeros(len(series), WINDOW)
        rows["series"], rows["time"], rows["length"] = series, start, length
        self._pending.add(rows, count)
        if len(self._pending) > self._tidy_at:
            self.restore(self.rows(), count)

    def take(self, clock: IntArray) -> RowArray:
        """Take out the windows that end by their series' clock, sorted by series and start."""
        return ordered(self._pending.take(clock))

    def rows(self) -> RowArray:
        """Return all windows, sorted, each once."""
        return ordered(self._pending.rows())

    def restore(self, rows: RowArray, count: int) -> None:
        """Take over what :meth:`rows` returned."""
        self._pending.restore(rows, count)
        self._tidy_at = max(2 * len(self._pending), _LEAST)


def _ends(rows: RowArray) -> IntArray:
    ends: IntArray = rows["time"] + rows["length"]
    return ends
