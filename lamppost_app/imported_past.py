# SPDX-License-Identifier: EUPL-1.2
"""How far the imported past of each series reaches: alert rules see only what is newer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import AggregateBatch, IndexBatch, JudgedBatch, ReadingBatch
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import DAY_NS, HOUR_NS

LEARNT_NS: Final = 7 * DAY_NS
"""How far back detectors look at imported readings: enough to know what is usual at which hour."""

_NEVER: Final = np.int64(-(2**62))


class ImportedPast:
    """Tells news from history.

    A window that holds imported readings, or lies before one that does, is history; so is a health
    index whose newest hour does, or that has no reading after them to rest on. Everything is
    published all the same, but nobody is woken up.
    """

    def __init__(self, series: SeriesTable) -> None:
        """Start without history; the table of series may grow."""
        self._series = series
        self._state = SeriesState(until=_NEVER)

    def note(self, readings: ReadingBatch | JudgedBatch) -> None:
        """Take in imported readings."""
        self._state.grow(len(self._series))
        np.maximum.at(self._state["until"], readings.series, readings.time)

    def holds(self, readings: JudgedBatch) -> npt.NDArray[np.bool_]:
        """Return which readings are no newer than all that was imported of their series."""
        held: npt.NDArray[np.bool_] = readings.time <= self._until(readings.series)
        return held

    def newer_windows(self, aggregates: AggregateBatch) -> AggregateBatch:
        """Return the windows that begin after all that was imported of their series."""
        newer = aggregates.start > self._until(aggregates.series)
        return aggregates if newer.all() else aggregates.take(newer)

    def newer_indices(self, indices: IndexBatch, heard: npt.NDArray[np.int64]) -> IndexBatch:
        """Return the indices whose newest hour begins after all that was imported.

        Args:
            indices: new values.
            heard: newest reading of each series, imported or not.
        """
        until = self._until(indices.series)
        newer = (indices.end - HOUR_NS > until) & (heard[indices.series] > until)
        return indices if newer.all() else indices.take(newer)

    def _until(self, series: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        self._state.grow(len(self._series))
        until: npt.NDArray[np.int64] = self._state["until"][series]
        return until

    def snapshot(self) -> Snapshot:
        """Return the whole state."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot; one from before there were imports has nothing to say."""
        if snapshot:
            self._state.restore(snapshot)


def is_long_past(
    time: npt.NDArray[np.int64], imported: npt.NDArray[np.bool_], now: int
) -> npt.NDArray[np.bool_]:
    """Return which readings are history that says nothing about what is usual today.

    Detectors follow a series reading by reading, which takes long, and forget it within days.
    """
    return imported & (time < now - LEARNT_NS)
