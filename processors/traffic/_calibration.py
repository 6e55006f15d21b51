# SPDX-License-Identifier: EUPL-1.2
"""Learns how long vehicles look to a loop, from days of free traffic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from lamppost.batch import FloatArray, Int32Array, Int64Array
from lamppost.grouping import BoolArray, Groups
from lamppost.state import SeriesState, Snapshot
from lamppost.times import DAY_NS, HOUR_NS

_HOURS: Final = 24
_PERCENTS: Final = 101
_NO_DAY: Final = -(2**40)


class Calibration:
    """One length for each hour of the day and loop, learnt day by day.

    What a day shows is used from the next day on, so it does not matter how rows are cut.
    """

    def __init__(self, *, percentile: float, smoothing_h: int, least_readings: int) -> None:
        """Take how it is learnt; see ``single_loop_speed``."""
        self._share = percentile / 100
        self._reach = smoothing_h
        self._least = least_readings
        self._codes: Int32Array = np.empty(0, np.int32)
        self._state = SeriesState(
            day=np.int64(_NO_DAY),
            limit=np.float64(np.nan),
            seen=np.zeros(_PERCENTS, np.int32),
            total=np.zeros(_HOURS),
            count=np.zeros(_HOURS, np.int32),
            length=np.full(_HOURS, np.nan),
        )

    def lengths(
        self, series: Int32Array, time: Int64Array, occupancy: FloatArray, length: FloatArray
    ) -> FloatArray:
        """Return the lengths to use, NaN where none is learnt, and learn from these rows.

        Args:
            series: of each row, in order of arrival.
            time: of each row.
            occupancy: of each row.
            length: that free-flow speed would mean, NaN where a row is not to be learnt from.
        """
        loops = self._loops(series)
        groups = Groups.by_series(loops.astype(np.int32))
        ordered = time[groups.order] // DAY_NS
        before = groups.running_max(ordered, self._state["day"][groups.codes])
        # A late row is judged by what is known when it comes, and not learnt from.
        day = np.empty(len(time), np.int64)
        day[groups.order] = np.maximum(ordered, before)
        hour = time % DAY_NS // HOUR_NS
        found = np.empty(len(time))
        for number in np.unique(day).tolist():
            rows = np.flatnonzero(day == number)
            self._turn(np.unique(loops[rows]), number)
            found[rows] = self._state["length"][loops[rows], hour[rows]]
            learnt = rows[(time[rows] // DAY_NS == number) & np.isfinite(length[rows])]
            self._learn(loops[learnt], hour[learnt], occupancy[learnt], length[learnt])
        return found

    def snapshot(self) -> Snapshot:
        """Return everything learnt."""
        return {"codes": self._codes.copy(), **self._state.snapshot()}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over everything learnt."""
        self._codes = np.array(snapshot["codes"], np.int32)
        self._state.restore(snapshot)

    def _loops(self, series: Int32Array) -> Int64Array:
        """Return the row of state of each series; a new one gets the next."""
        by_code = np.argsort(self._codes)
        at = np.searchsorted(self._codes, series, sorter=by_code)
        at = np.minimum(at, max(len(self._codes) - 1, 0))
        known = (
            self._codes[by_code[at]] == series if len(self._codes) else np.zeros(len(series), bool)
        )
        if not known.all():
            new, first = np.unique(series[~known], return_index=True)
            self._codes = np.append(self._codes, new[np.argsort(first)])
            self._state.grow(len(self._codes))
            return self._loops(series)
        return np.asarray(by_code[at], np.int64)

    def _turn(self, loops: Int64Array, day: int) -> None:
        """Close the day before for loops whose new day begins."""
        state = self._state
        loops = loops[state["day"][loops] < day]
        if not len(loops):
            return
        seen = state["seen"][loops]
        enough = seen.sum(axis=1) >= self._least
        self._publish(loops[enough & (state["count"][loops].sum(axis=1) > 0)])
        state["limit"][loops[enough]] = self._limits(seen[enough])
        state["day"][loops] = day
        for name in ("seen", "total", "count"):
            state[name][loops] = 0

    def _limits(self, seen: Int32Array) -> FloatArray:
        """Return the percentile of occupancy: the upper end of the whole percent it lies in."""
        running = np.cumsum(seen, axis=1)
        limits: FloatArray = (running < self._share * running[:, -1:]).sum(axis=1) + 1.0
        return limits

    def _publish(self, loops: Int64Array) -> None:
        """Make the lengths of a day those in use, each hour the mean of the hours around it."""
        total, count = self._state["total"][loops], self._state["count"][loops]
        hourly = np.full(total.shape, np.nan)
        np.divide(total, count, out=hourly, where=count > 0)
        around = np.arange(_HOURS)[:, None] + np.arange(-self._reach, self._reach + 1)
        near = hourly[:, around % _HOURS]
        known: BoolArray = np.isfinite(near)
        sums = np.where(known, near, 0.0).sum(axis=2)
        smooth = np.full(total.shape, np.nan)
        np.divide(sums, known.sum(axis=2), out=smooth, where=known.any(axis=2))
        self._state["length"][loops] = smooth

    def _learn(
        self, loops: Int64Array, hour: Int64Array, occupancy: FloatArray, length: FloatArray
    ) -> None:
        state = self._state
        percent = np.clip(occupancy, 0, _PERCENTS - 1).astype(np.int64)
        np.add.at(state["seen"], (loops, percent), 1)
        free = occupancy < state["limit"][loops]
        np.add.at(state["total"], (loops[free], hour[free]), length[free])
        np.add.at(state["count"], (loops[free], hour[free]), 1)
