# SPDX-License-Identifier: EUPL-1.2
"""How often each series reports, and so how much time a reading accounts for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.grouping import Groups
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
        groups = Groups.by_series(series)
        instants = time[groups.order]
        before = groups.running_max(instants, self._state["newest"][groups.codes])
        is_forward = instants > before
        forward = np.flatnonzero(is_forward)
        usual = self._state["usual"][groups.series]
        gap = np.where(before == -_NONE, _NONE, instants - np.where(before == -_NONE, 0, before))
        usual[forward] = self._forward(groups.series[forward], instants[forward], gap[forward])
        # A late reading is held by what was usual when it arrived, not when the batch ended.
        latest = groups.latest(is_forward)
        common = usual[np.where(latest < 0, np.arange(len(latest)), latest)]
        cover = common.copy()
        onward = np.minimum(gap, _HOLD * usual)
        cover[forward] = np.where(gap == _NONE, self._default_ns, onward)[forward]
        placed = np.empty((2, len(series)), np.int64)
        placed[0, groups.order] = cover
        placed[1, groups.order] = common
        return placed[0], placed[1]

    def _forward(
        self,
        series: npt.NDArray[np.int32],
        time: npt.NDArray[np.int64],
        gap: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """Return the usual gap after each reading that arrived in order, and remember it."""
        if not len(series):
            return gap
        groups = Groups(np.arange(len(series)), series)
        history, at = self._with_history(groups, gap)
        windows = np.lib.stride_tricks.sliding_window_view(history, _GAPS)[at - _GAPS + 1]
        ranked = np.sort(windows, axis=1)
        known = np.count_nonzero(ranked != _NONE, axis=1)
        usual: npt.NDArray[np.int64] = ranked[np.arange(len(ranked)), np.maximum(known - 1, 0) // 2]
        unsure = known < _ENOUGH
        usual[unsure] = np.minimum(usual[unsure], self._default_ns)
        self._state["newest"][groups.codes] = time[groups.lasts]
        self._state["gaps"][groups.codes] = windows[groups.lasts]
        self._state["usual"][groups.codes] = usual[groups.lasts]
        return usual

    def _with_history(
        self, groups: Groups, gap: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return each series' last gaps followed by its new ones, and where the new ones stand."""
        at = np.arange(len(gap)) + (groups.group + 1) * _GAPS
        history = np.empty(len(gap) + len(groups.codes) * _GAPS, np.int64)
        history[at] = gap
        heads = (groups.starts + np.arange(len(groups.codes)) * _GAPS)[:, None]
        history[heads + np.arange(_GAPS)] = self._state["gaps"][groups.codes]
        return history, at

    def snapshot(self) -> Snapshot:
        """Return the whole state."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot."""
        self._state.restore(snapshot)
