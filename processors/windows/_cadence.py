# SPDX-License-Identifier: EUPL-1.2
"""How often each series reports: the usual gap before each of its readings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.grouping import Groups, IntArray
from lamppost.state import SeriesState, Snapshot
from lamppost.times import DAY_NS

from ._rows import BoolArray, RowArray

GAPS: Final = 8
"""How many gaps the usual one is the median of."""

REACH_NS: Final = 7 * DAY_NS
"""How far back they may lie: what was usual a week ago says nothing of now."""

_ENOUGH: Final = 3
_UNKNOWN: Final = REACH_NS + 1
_NEVER: Final = np.int64(-(2**62))


def usual_gaps(gaps: IntArray, default_ns: int) -> IntArray:
    """Return the usual gap before readings: the lower median of the last eight.

    One or two long gaps may be a cadence or an outage, so with fewer than three gaps known the
    usual one is taken to be no longer than the default. From the third gap on the series' own
    cadence counts: an hourly series is fully covered from its fourth reading on.

    Args:
        gaps: the last eight of each reading, oldest first, shape (n, 8), ns. Those that together
            reach back more than a week are left out.
        default_ns: the longest to assume while a series' own cadence is not known.

    Returns:
        Shape (n,), ns.
    """
    within = np.cumsum(gaps[:, ::-1], axis=1)[:, ::-1] <= REACH_NS
    ranked = np.sort(np.where(within, gaps, _UNKNOWN), axis=1)
    known = np.count_nonzero(within, axis=1)
    usual: IntArray = ranked[np.arange(len(ranked)), np.maximum(known - 1, 0) // 2]
    unsure = known < _ENOUGH
    usual[unsure] = np.minimum(usual[unsure], default_ns)
    return usual


def gaps_before(rows: RowArray) -> IntArray:
    """Return the last eight gaps before each of some rows sorted by series and time, each once.

    Returns:
        Oldest first, shape (n, 8), ns; one that is not known is longer than a week.
    """
    groups = Groups(np.arange(len(rows)), rows["series"])
    gap = np.full(len(rows), _UNKNOWN)
    gap[1:] = np.minimum(np.diff(rows["time"]), _UNKNOWN)
    gap[groups.starts] = _UNKNOWN
    at = np.arange(len(rows))[:, None] - np.arange(GAPS)[::-1]
    inside = at >= groups.starts[groups.group][:, None]
    return np.where(inside, gap[np.maximum(at, 0)], _UNKNOWN)


class Cadence:
    """The last eight gaps of each series, learnt as its readings leave their shortest window.

    That is in order of time: what is usual before a reading goes by the readings before it, and
    not by when any of them came.
    """

    def __init__(self, default_ns: int) -> None:
        """Take the longest gap to assume while a series' own cadence is not known."""
        self._default_ns = default_ns
        self._state = SeriesState(newest=_NEVER, gaps=np.full(GAPS, _UNKNOWN, np.int64))
        # The last eight gaps where they are all the same, else 0: what follows from the state.
        self._steady = SeriesState(gap=np.int64(0))

    def newest(self, series: npt.NDArray[Any]) -> IntArray:
        """Return the instant of the newest reading learnt of series."""
        newest: IntArray = self._state["newest"].take(series)
        return newest

    def grow(self, size: int) -> None:
        """Make room for series codes below a number."""
        self._state.grow(size)
        self._steady.grow(size)

    def learn(self, series: npt.NDArray[np.int32], time: IntArray) -> IntArray:
        """Take in readings newer than all before, sorted by series and time.

        Returns:
            The gap that is usual before each, ns.
        """
        groups = Groups(np.arange(len(series)), series)
        newest = self._state["newest"]
        before = groups.previous_int(time, newest.take(groups.codes))
        gap: IntArray = np.minimum(time - before, _UNKNOWN)
        gap[before == _NEVER] = _UNKNOWN
        newest[groups.codes] = time[groups.lasts]
        # One more gap like the last eight changes nothing, and in most cities all are of that kind.
        calm = gap == self._steady["gap"].take(series)
        if calm.all():
            return gap
        usual = gap.copy()
        some = np.flatnonzero(np.logical_or.reduceat(~calm, groups.starts)[groups.group])
        changing = Groups(np.arange(len(some)), series[some])
        windows = self._with_history(changing, gap[some])
        usual[some] = usual_gaps(windows, self._default_ns)
        self.relearn(changing.codes, windows[changing.lasts])
        return usual

    def relearn(self, codes: npt.NDArray[np.int32], gaps: IntArray) -> None:
        """Take the last eight gaps of some series, each named once, for what they are now."""
        self._state["gaps"][codes] = gaps
        self._steady["gap"][codes] = _steady(gaps)

    def _with_history(self, groups: Groups, gap: IntArray) -> IntArray:
        """Return the last eight gaps as of each row, shape (n, 8)."""
        before = self._state["gaps"].take(groups.codes, axis=0)
        if groups.once:
            return np.concatenate([before[:, 1:], gap[:, None]], axis=1)
        at = np.arange(len(gap)) + (groups.group + 1) * GAPS
        history = np.empty(len(gap) + len(groups.codes) * GAPS, np.int64)
        history[at] = gap
        heads = (groups.starts + np.arange(len(groups.codes)) * GAPS)[:, None]
        history[heads + np.arange(GAPS)] = before
        windows = np.lib.stride_tricks.sliding_window_view(history, GAPS)[at - GAPS + 1]
        return np.asarray(windows)

    def snapshot(self) -> Snapshot:
        """Return the whole state."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot."""
        self._state.restore(snapshot)
        # Earlier versions noted an unknown gap, and a series never heard of, by other numbers.
        np.minimum(self._state["gaps"], _UNKNOWN, out=self._state["gaps"])
        np.maximum(self._state["newest"], _NEVER, out=self._state["newest"])
        self._steady = SeriesState(gap=np.int64(0))
        self._steady.grow(len(self._state))
        self._steady["gap"][:] = _steady(self._state["gaps"])


def _steady(gaps: IntArray) -> IntArray:
    """Return the gap that all eight are, 0 where they differ or reach too far back."""
    first = gaps[:, 0]
    same: BoolArray = (gaps == gaps[:, :1]).all(axis=1) & (first * GAPS <= REACH_NS)
    return np.where(same, first, 0)
