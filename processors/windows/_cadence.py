# SPDX-License-Identifier: EUPL-1.2
"""How often each series reports, and so how much time a reading accounts for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.grouping import BoolArray, Groups, IntArray
from lamppost.state import SeriesState, Snapshot

_GAPS: Final = 8
_ENOUGH: Final = 3
_NONE: Final = np.iinfo(np.int64).max
_HOLD: Final = 2


class Cadence:
    """The median of a series' last eight gaps, learnt as readings arrive.

    A reading accounts for the time since the one before it, but for no more than twice the usual
    gap: a gap in the data lowers coverage instead of stretching a value.

    One or two long gaps may be a cadence or an outage, so with fewer than three gaps known the
    usual one is taken to be no longer than the default. From the third gap on the series' own
    cadence counts: an hourly series is fully covered from its fourth reading on.
    """

    def __init__(self, default_ns: int) -> None:
        """Take the longest gap to assume while a series' own cadence is not known."""
        self._default_ns = default_ns
        self._state = SeriesState(
            newest=np.int64(-_NONE),
            gaps=np.full(_GAPS, _NONE, np.int64),
            usual=np.int64(default_ns),
        )
        # The last eight gaps where they are all the same, else 0: what follows from the state.
        self._steady = SeriesState(gap=np.int64(0))

    def usual(self, series: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the usual gap of series codes, ns."""
        usual: npt.NDArray[np.int64] = self._state["usual"][series]
        return usual

    def learn(
        self, series: npt.NDArray[np.int32], time: npt.NDArray[np.int64], size: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Take in readings in order of arrival.

        Returns:
            The time each accounts for, and the gap that is usual when it arrives, ns.
        """
        self._state.grow(size)
        self._steady.grow(size)
        groups = Groups.by_series(series)
        instants = time.take(groups.order)
        newest = self._state["newest"]
        before = groups.running_max(instants, newest.take(groups.codes))
        newest[groups.codes] = np.maximum(before, instants)[groups.lasts]
        gap = instants - before
        gap[before == -_NONE] = _NONE
        is_forward = instants > before
        # One more gap like the last eight changes nothing, and in most cities all are of that kind.
        calm = is_forward & (gap == self._steady["gap"].take(groups.series))
        placed = np.empty((2, len(series)), np.int64)
        placed[:, groups.order] = gap
        if not calm.all():
            some = np.flatnonzero(np.logical_or.reduceat(~calm, groups.starts)[groups.group])
            changing = Groups(groups.order[some], groups.series[some])
            placed[:, changing.order] = self._settle(changing, gap[some], is_forward[some])
        return placed[0], placed[1]

    def _settle(
        self, groups: Groups, gap: IntArray, is_forward: BoolArray
    ) -> tuple[IntArray, IntArray]:
        """Return what :meth:`learn` does, of rows sorted by series."""
        usual = self.usual(groups.series)
        forward = np.flatnonzero(is_forward)
        usual[forward] = self._forward(groups.series[forward], gap[forward])
        # A late reading is held by what was usual when it arrived, not when the batch ended.
        latest = groups.latest(is_forward)
        common = usual[np.where(latest < 0, np.arange(len(latest)), latest)]
        onward = np.where(gap == _NONE, self._default_ns, np.minimum(gap, _HOLD * common))
        return np.where(is_forward, onward, common), common

    def _forward(self, series: npt.NDArray[np.int32], gap: IntArray) -> IntArray:
        """Return the usual gap after each reading that arrived in order, and remember it."""
        if not len(series):
            return gap
        groups = Groups(np.arange(len(series)), series)
        windows = self._with_history(groups, gap)
        ranked = np.sort(windows, axis=1)
        last = ranked[:, -1]
        if (last != _NONE).all():
            usual = ranked[:, (_GAPS - 1) // 2].copy()
        else:
            known = np.count_nonzero(ranked != _NONE, axis=1)
            usual = ranked[np.arange(len(ranked)), np.maximum(known - 1, 0) // 2]
            unsure = known < _ENOUGH
            usual[unsure] = np.minimum(usual[unsure], self._default_ns)
        self._state["gaps"][groups.codes] = windows[groups.lasts]
        self._state["usual"][groups.codes] = usual[groups.lasts]
        steady = np.where((ranked[:, 0] == last) & (last != _NONE), last, 0)
        self._steady["gap"][groups.codes] = steady[groups.lasts]
        return usual

    def _with_history(self, groups: Groups, gap: IntArray) -> IntArray:
        """Return the last eight gaps as of each row, shape (n, 8)."""
        before = self._state["gaps"].take(groups.codes, axis=0)
        if len(groups.codes) == len(gap):
            windows = np.empty_like(before)
            windows[:, :-1] = before[:, 1:]
            windows[:, -1] = gap
            return windows
        at = np.arange(len(gap)) + (groups.group + 1) * _GAPS
        history = np.empty(len(gap) + len(groups.codes) * _GAPS, np.int64)
        history[at] = gap
        heads = (groups.starts + np.arange(len(groups.codes)) * _GAPS)[:, None]
        history[heads + np.arange(_GAPS)] = before
        windows = np.lib.stride_tricks.sliding_window_view(history, _GAPS)[at - _GAPS + 1]
        return np.asarray(windows)

    def snapshot(self) -> Snapshot:
        """Return the whole state."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot."""
        self._state.restore(snapshot)
        gaps = self._state["gaps"]
        same = (gaps == gaps[:, :1]).all(axis=1) & (gaps[:, 0] != _NONE)
        self._steady = SeriesState(gap=np.int64(0))
        self._steady.grow(len(gaps))
        self._steady["gap"][:] = np.where(same, gaps[:, 0], 0)
