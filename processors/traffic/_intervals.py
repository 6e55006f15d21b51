# SPDX-License-Identifier: EUPL-1.2
"""Means of what stations measured, interval by interval, as all rules about pairs see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from lamppost.batch import DERIVED, FloatArray, Int64Array, JudgedBatch
from lamppost.flags import FAIL, MISSING
from lamppost.series import SeriesTable, qualifiers_mapping
from lamppost.state import Snapshot
from lamppost.times import NO_TIME

from ._network import Network

_NOWHERE: Final = -1
_FIRST: Final = (0, DERIVED)


class Intervals:
    """Collects readings, and hands out an interval once engine time has passed its end.

    Each reading of a station counts the same, over all its lanes. What the quality checks failed
    does not count, nor what comes after its interval was handed out.
    """

    def __init__(
        self,
        series: SeriesTable,
        network: Network,
        quantities: Sequence[str],
        *,
        interval_ns: int,
        wait_ns: int,
        stale_ns: int,
        most_empty: int,
    ) -> None:
        """Take what to collect.

        Args:
            series: the table of series.
            network: the stations that count.
            quantities: the quantities that count, in the order they are handed out.
            interval_ns: length of an interval.
            wait_ns: how long after its end an interval is handed out.
            stale_ns: age at which readings are not collected any more.
            most_empty: how many intervals without any reading are handed out in a row.
        """
        self._series = series
        self._network = network
        self._quantities = {name: place for place, name in enumerate(quantities)}
        self._interval_ns = interval_ns
        self._wait_ns = wait_ns
        self._stale_ns = stale_ns
        self._most_empty = most_empty
        self._slot_of_series: Int64Array = np.empty(0, np.int64)
        self._pending: list[tuple[Int64Array, Int64Array, FloatArray]] = []
        self._next = NO_TIME
        self._empty = most_empty

    def forget_places(self) -> None:
        """Look up anew where series belong: the network has changed."""
        self._slot_of_series = np.empty(0, np.int64)

    def take(self, judged: JudgedBatch, now: int) -> None:
        """Collect the readings of a batch that came at engine time ``now``."""
        self._place()
        slots = self._slot_of_series[judged.series]
        rows = np.flatnonzero(slots != _NOWHERE)
        if not len(rows):
            return
        flag = judged.flag[rows]
        usable = np.isin(judged.revision[rows], _FIRST) & (flag != FAIL) & (flag != MISSING)
        usable &= judged.time[rows] >= now - self._stale_ns
        interval = judged.time[rows] // self._interval_ns
        usable &= np.isfinite(judged.value[rows]) & (interval >= self._next)
        rows = rows[usable]
        if len(rows):
            self._pending.append((slots[rows], interval[usable], judged.value[rows]))

    def due(self, now: int) -> Iterator[tuple[int, FloatArray]]:
        """Yield the end of each interval that is over, with means of shape (stations, quantities).

        A mean is NaN where a station measured nothing.
        """
        last = (now - self._wait_ns) // self._interval_ns - 1
        if last < self._next:
            return
        slots, interval, value = self._joined()
        over = interval <= last
        self._pending = [(slots[~over], interval[~over], value[~over])]
        order = np.argsort(interval[over], kind="stable")
        slots, interval, value = slots[over][order], interval[over][order], value[over][order]
        present, starts = np.unique(interval, return_index=True)
        edges = np.append(starts, len(interval)).tolist()
        for place, number in enumerate(present.tolist()):
            yield from self._empty_until(number)
            rows = slice(edges[place], edges[place + 1])
            self._empty = 0
            yield self._end(number), self._means(slots[rows], value[rows])
        yield from self._empty_until(last + 1)
        self._next = last + 1

    def snapshot(self) -> Snapshot:
        """Return what has not been handed out yet."""
        slots, interval, value = self._joined()
        return {
            "slots": slots.copy(),
            "interval": interval.copy(),
            "value": value.copy(),
            "position": np.array([self._next, self._empty], np.int64),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over what has not been handed out yet."""
        self._pending = [
            (
                np.array(snapshot["slots"], np.int64),
                np.array(snapshot["interval"], np.int64),
                np.array(snapshot["value"], np.float64),
            )
        ]
        self._next, self._empty = np.asarray(snapshot["position"], np.int64).tolist()
        self.forget_places()

    def _empty_until(self, number: int) -> Iterator[tuple[int, FloatArray]]:
        """Yield intervals without readings up to one, as far as they can change anything."""
        nothing = np.full((len(self._network.sensors), len(self._quantities)), np.nan)
        count = number - self._next if self._next != NO_TIME else 0
        for step in range(min(count, self._most_empty - self._empty)):
            self._empty += 1
            yield self._end(self._next + step), nothing
        self._next = number + 1

    def _end(self, number: int) -> int:
        return (number + 1) * self._interval_ns

    def _means(self, slots: Int64Array, value: FloatArray) -> FloatArray:
        shape = len(self._network.sensors), len(self._quantities)
        size = shape[0] * shape[1]
        count = np.bincount(slots, minlength=size)
        means = np.full(size, np.nan)
        np.divide(np.bincount(slots, value, size), count, out=means, where=count > 0)
        return means.reshape(shape)

    def _joined(self) -> tuple[Int64Array, Int64Array, FloatArray]:
        if not self._pending:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        slots, interval, value = zip(*self._pending, strict=True)
        return np.concatenate(slots), np.concatenate(interval), np.concatenate(value)

    def _place(self) -> None:
        """Look up the station and quantity of series that have appeared."""
        known = len(self._slot_of_series)
        if known == len(self._series):
            return
        added = [self._slot(code) for code in range(known, len(self._series))]
        self._slot_of_series = np.concatenate([self._slot_of_series, np.array(added, np.int64)])

    def _slot(self, code: int) -> int:
        key = self._series[code]
        place = self._quantities.get(key.quantity)
        number = self._network.number_of(key.sensor)
        if place is None or number is None:
            return _NOWHERE
        qualifiers = qualifiers_mapping(key.qualifiers)
        direction = self._network.station(number).direction
        if "class" in qualifiers or (direction and qualifiers.get("direction") != direction):
            return _NOWHERE
        return number * len(self._quantities) + place
