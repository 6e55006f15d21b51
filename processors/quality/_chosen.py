# SPDX-License-Identifier: EUPL-1.2
"""Dense numbers for the few series a check keeps much about."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import Int32Array, Int64Array
from lamppost.series import SeriesTable

NOT_CHOSEN: Final = -1


class Chosen:
    """Numbers the series of some quantities in order of their codes, which never changes."""

    def __init__(self, series: SeriesTable, quantities: Collection[str]) -> None:
        """Take the quantities that matter."""
        self._series = series
        self._quantities = frozenset(quantities)
        self._number: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._count = 0

    def __len__(self) -> int:
        """Return how many series are chosen among those that are known."""
        self._grow()
        return self._count

    def of(self, codes: Int32Array) -> Int64Array:
        """Return the number of each series, NOT_CHOSEN where it is not chosen."""
        self._grow()
        return self._number[codes]

    def _grow(self) -> None:
        known = len(self._number)
        if known == len(self._series):
            return
        added = np.full(len(self._series) - known, NOT_CHOSEN)
        for place in range(len(added)):
            if self._series[known + place].quantity in self._quantities:
                added[place] = self._count
                self._count += 1
        self._number = np.concatenate([self._number, added])
