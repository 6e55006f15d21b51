# SPDX-License-Identifier: EUPL-1.2
"""Counts readings frame by frame as columns, so that the ledger is asked only when it publishes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lamppost.balance import hour_of
from lamppost.batch import Int64Array
from lamppost.series import SeriesTable

from .ledger import Ledger


class Tally:
    """Readings counted by sensor, column, door and hour, not yet in the ledger."""

    def __init__(self, series: SeriesTable) -> None:
        """Start without counts; the table of series may grow."""
        self._sensors = _SensorNumbers(series)
        self._doors: dict[str, int] = {}
        self._counts: dict[tuple[int, str, int], Int64Array] = {}

    def doors(self, sources: Sequence[str]) -> Int64Array:
        """Return the number of each message's door, shape (messages,)."""
        names = set(sources)
        for name in sorted(names.difference(self._doors)):
            self._doors[name] = len(self._doors)
        if len(names) == 1:
            return np.full(len(sources), self._doors[sources[0]])
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
        sensors = self._sensors.of(series)
        first, last = int(door.min()), int(door.max())
        for number in range(first, last + 1):
            own = sensors if first == last else sensors[door == number]
            np.add.at(self._counts_of(number, column, hour_of(now)), own, 1)

    def _counts_of(self, door: int, column: str, hour: int) -> Int64Array:
        counts = self._counts.get((door, column, hour))
        known = len(self._sensors.names)
        if counts is None or len(counts) < known:
            grown = np.zeros(2 * known, np.int64)
            if counts is not None:
                grown[: len(counts)] = counts
            counts = self._counts[door, column, hour] = grown
        return counts

    def settle(self, ledger: Ledger) -> None:
        """Book everything counted so far."""
        if not self._counts:
            return
        doors = list(self._doors)
        numbers = self._sensors.in_books(ledger)
        for (door, column, hour), counts in self._counts.items():
            some = np.flatnonzero(counts)
            ledger.count_many(doors[door], numbers[some], hour, column, counts[some])
        self._counts = {}


class _SensorNumbers:
    """A number for each sensor, and the sensor of each series, derived from the series table."""

    def __init__(self, series: SeriesTable) -> None:
        self.names: list[str] = []
        self._series = series
        self._by_name: dict[str, int] = {}
        self._of_series = np.empty(0, np.int64)
        self._booked = np.empty(0, np.int64)
        self._generation: object = None

    def of(self, codes: npt.NDArray[np.int32]) -> Int64Array:
        """Return the sensor's number of each series code, shape (n,)."""
        known = len(self._of_series)
        if known < len(self._series):
            added = [self._number(code) for code in range(known, len(self._series))]
            self._of_series = np.append(self._of_series, added)
        numbers: Int64Array = self._of_series[codes]
        return numbers

    def in_books(self, ledger: Ledger) -> Int64Array:
        """Return the number the ledger has for each sensor."""
        if ledger.generation is not self._generation:
            self._generation, self._booked = ledger.generation, np.empty(0, np.int64)
        added = ledger.sensor_numbers(self.names[len(self._booked) :])
        self._booked = np.append(self._booked, added)
        return self._booked

    def _number(self, code: int) -> int:
        name = self._series[code].sensor
        number = self._by_name.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number
