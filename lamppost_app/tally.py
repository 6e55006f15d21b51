# SPDX-License-Identifier: EUPL-1.2
"""Counts readings frame by frame as columns, so that the ledger is asked only when it publishes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import Int64Array
from lamppost.series import SeriesTable
from lamppost.times import HOUR_NS

from .ledger import COLUMNS, Ledger

# In a key: 24 bits of hour (enough until the year 3883), 4 of door, 3 of column, then the sensor.
_DOOR_AT: Final = 24
_COLUMN_AT: Final = 28
_SENSOR_AT: Final = 31
_MOST_PENDING: Final = 262_144


class Tally:
    """Readings counted by sensor, column, door and hour, not yet in the ledger."""

    def __init__(self, series: SeriesTable) -> None:
        """Start without counts; the table of series may grow."""
        self._sensors = _SensorNumbers(series)
        self._doors: dict[str, int] = {}
        self._keys: list[Int64Array] = []
        self._counts: list[Int64Array] = []
        self._pending = 0

    def doors(self, sources: Sequence[str]) -> Int64Array:
        """Return the number of each message's door, shape (messages,)."""
        for name in sorted(set(sources).difference(self._doors)):
            self._doors[name] = len(self._doors)
        return np.fromiter(map(self._doors.__getitem__, sources), np.int64, len(sources))

    def add(
        self,
        column: str,
        series: npt.NDArray[np.int32],
        door: Int64Array,
        now: int,
    ) -> None:
        """Count one reading for each row, in the hour of engine time ``now``."""
        if not len(series):
            return
        keys = self._sensors.of(series) << _SENSOR_AT
        keys += COLUMNS.index(column) << _COLUMN_AT
        keys += (door << _DOOR_AT) + now // HOUR_NS
        found, counts = np.unique(keys, return_counts=True)
        self._keys.append(found)
        self._counts.append(counts)
        self._pending += len(found)
        if self._pending > _MOST_PENDING:
            self._merge()

    def settle(self, ledger: Ledger) -> None:
        """Book everything counted so far."""
        if not self._keys:
            return
        self._merge()
        doors = list(self._doors)
        (keys,), (counts,) = self._keys, self._counts
        for key, items in zip(keys.tolist(), counts.tolist(), strict=True):
            at = (key & 0xFFFFFF) * HOUR_NS
            column = COLUMNS[key >> _COLUMN_AT & 0x7]
            sensor = self._sensors.names[key >> _SENSOR_AT]
            ledger.count(doors[key >> _DOOR_AT & 0xF], sensor, at, column, items)
        self._keys, self._counts, self._pending = [], [], 0

    def _merge(self) -> None:
        keys, group = np.unique(np.concatenate(self._keys), return_inverse=True)
        # Exact: bincount adds floats, and no count comes near 2 to the power of 53.
        counts = np.bincount(group, np.concatenate(self._counts)).astype(np.int64)
        self._keys, self._counts, self._pending = [keys], [counts], len(keys)


class _SensorNumbers:
    """A number for each sensor, and the sensor of each series, derived from the series table."""

    def __init__(self, series: SeriesTable) -> None:
        self.names: list[str] = []
        self._series = series
        self._by_name: dict[str, int] = {}
        self._of_series = np.empty(0, np.int64)

    def of(self, codes: npt.NDArray[np.int32]) -> Int64Array:
        """Return the sensor's number of each series code, shape (n,)."""
        known = len(self._of_series)
        if known < len(self._series):
            added = [self._number(code) for code in range(known, len(self._series))]
            self._of_series = np.append(self._of_series, added)
        numbers: Int64Array = self._of_series[codes]
        return numbers

    def _number(self, code: int) -> int:
        name = self._series[code].sensor
        number = self._by_name.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number
