# SPDX-License-Identifier: EUPL-1.2
"""Dense numbers for the few series a check keeps much about."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import Int64Array
from lamppost.component import Rows
from lamppost.grouping import Groups
from lamppost.series import SeriesKey, SeriesTable

from ._concern import Where
from ._runs import chosen_rows

NOT_CHOSEN: Final = -1


class Chosen:
    """Numbers the series of some quantities in order of their codes, which never changes."""

    def __init__(self, series: SeriesTable, quantities: Container[str]) -> None:
        """Take the quantities that matter."""
        self._series = series
        self._quantities = quantities
        self._number: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._keys: list[SeriesKey] = []

    def __len__(self) -> int:
        """Return how many series are chosen among those that are known."""
        self._grow()
        return len(self._keys)

    def of(self, codes: npt.NDArray[np.integer[Any]]) -> Int64Array:
        """Return the number of each series, NOT_CHOSEN where it is not chosen."""
        self._grow()
        return self._number.take(codes)

    def keys(self, known: int) -> list[SeriesKey]:
        """Return the names of the chosen series from a number on."""
        self._grow()
        return self._keys[known:]

    def key(self, number: int) -> SeriesKey:
        """Return the name of a chosen series."""
        return self._keys[number]

    def rows(self, rows: Rows) -> tuple[Where, Rows]:
        """Return where the rows of chosen series stand, and the rows with numbers for codes."""
        number = self.of(rows.groups.places)
        chosen = number != NOT_CHOSEN
        where: Where = slice(None)
        seen = rows
        if not chosen.all():
            where, seen = chosen_rows(rows, chosen[rows.groups.group])
            number = number[chosen]
        series = number.astype(np.int32)[seen.groups.group]
        return where, Rows(Groups(seen.groups.order, series), seen.time, seen.value, seen.flag)

    def _grow(self) -> None:
        known = len(self._number)
        if known == len(self._series):
            return
        added = np.full(len(self._series) - known, NOT_CHOSEN)
        for place in range(len(added)):
            key = self._series[known + place]
            if key.quantity in self._quantities:
                added[place] = len(self._keys)
                self._keys.append(key)
        self._number = np.concatenate([self._number, added])
