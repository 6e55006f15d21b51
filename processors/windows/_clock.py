# SPDX-License-Identifier: EUPL-1.2
"""The time of each series by its own readings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.state import SeriesState, Snapshot

NEVER: Final = np.int64(-(2**62))

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
        np.maximum.at(self._state["newest"], series, time)
        np.maximum.at(self._state["received"], series, received)

    def advance(self, now: int) -> IntArray:
        """Return each series' watermark at engine time ``now``, and remember it."""
        received, watermark = self._state["received"], self._state["watermark"]
        waited = np.maximum(now - received, 0)
        waited += self._state["newest"] - self._lateness_ns
        waited[received == NEVER] = NEVER
        np.maximum(watermark, waited, out=watermark)
        return watermark

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
