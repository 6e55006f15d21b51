# SPDX-License-Identifier: EUPL-1.2
"""The time of each series by its own readings, and how far its device's clock is off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.grouping import Groups
from lamppost.state import SeriesState, Snapshot

NEVER: Final = np.int64(-(2**62))
_LAGS: Final = 9
_NO_LAG: Final = np.iinfo(np.int64).max

IntArray = npt.NDArray[np.int64]


class SeriesClocks:
    """A watermark for every series, which nobody else's readings can move.

    It is the newest device time less the allowed lateness, runs on with engine time while the
    series is silent, and never goes back.
    """

    def __init__(self, lateness_ns: int) -> None:
        """Start without having heard anybody."""
        self._lateness_ns = lateness_ns
        self._state = SeriesState(
            newest=NEVER,
            received=NEVER,
            watermark=NEVER,
            forgotten=NEVER,
            lags=np.full(_LAGS, _NO_LAG, np.int64),
            heard=np.int64(0),
        )

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return a column, shape (series, ...)."""
        return self._state[name]

    def grow(self, size: int) -> None:
        """Make room for series codes below a number."""
        self._state.grow(size)

    def hear(
        self, series: npt.NDArray[np.int32], time: IntArray, received: IntArray, size: int
    ) -> None:
        """Take in readings in order of arrival."""
        self._state.grow(size)
        groups = Groups.by_series(series)
        self._learn_lags(groups, (received - time)[groups.order])
        for name, instants in (("newest", time), ("received", received)):
            largest = np.maximum.reduceat(instants[groups.order], groups.starts)
            column = self._state[name]
            column[groups.codes] = np.maximum(column[groups.codes], largest)

    def _learn_lags(self, groups: Groups, lag: IntArray) -> None:
        """Remember the last lags of each series."""
        rank = np.arange(len(lag)) - groups.starts[groups.group]
        counts = groups.lasts - groups.starts + 1
        kept = np.flatnonzero(rank >= (counts - _LAGS)[groups.group])
        heard = self._state["heard"]
        codes = groups.series[kept]
        self._state["lags"][codes, (heard[codes] + rank[kept]) % _LAGS] = lag[kept]
        heard[groups.codes] += counts

    def advance(self, now: int) -> IntArray:
        """Return each series' watermark at engine time ``now``, and remember it."""
        received, watermark = self._state["received"], self._state["watermark"]
        waited = np.maximum(now - received, 0)
        waited += self._state["newest"] - self._lateness_ns
        waited[received == NEVER] = NEVER
        np.maximum(watermark, waited, out=watermark)
        return watermark

    def skew(self) -> npt.NDArray[np.float64]:
        """Return the median of the last lags (receipt less device time) of each series, ns.

        Below zero for a clock that is ahead; NaN where nothing was heard. One odd reading, or four
        of the last nine, do not move it much.
        """
        lags = np.sort(self._state["lags"], axis=1)
        known = np.count_nonzero(lags != _NO_LAG, axis=1)
        middle = lags[np.arange(len(lags)), np.maximum(known - 1, 0) // 2]
        return np.where(known > 0, middle.astype(np.float64), np.nan)

    def forget(self, before: int) -> None:
        """Note that readings before an instant are gone; no newer one is too old for that."""
        forgotten = np.minimum(self._state["newest"] + 1, before)
        self._state["forgotten"][:] = np.maximum(self._state["forgotten"], forgotten)

    def adopt(self, former: SeriesClocks, forgotten: IntArray, grid_ns: int) -> None:
        """Go on from clocks under other settings.

        Args:
            former: those clocks.
            forgotten: before which instant of each series readings may be gone.
            grid_ns: length of the shortest windows closed by the former watermark.
        """
        self._state.restore(former._state.snapshot())
        self._state["forgotten"][:] = np.maximum(self._state["forgotten"], forgotten)
        # What is open still was kept by windows of that length.
        self._state["watermark"][:] = self._state["watermark"] // grid_ns * grid_ns

    def snapshot(self) -> Snapshot:
        """Return the whole state."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot."""
        self._state.restore(snapshot)
