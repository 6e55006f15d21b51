# SPDX-License-Identifier: EUPL-1.2
"""What a reading is when it arrives: new, late, a duplicate, a correction, or too old."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from lamppost.batch import ReadingBatch
from lamppost.flags import CORRECTION, OUT_OF_ORDER
from lamppost.grouping import Groups
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot

BoolArray = npt.NDArray[np.bool_]
_NEVER: Final = np.int64(-(2**62))


class Memory(Protocol):
    """Knows which readings are held."""

    def known(
        self, series: npt.NDArray[np.int32], time: npt.NDArray[np.int64]
    ) -> tuple[BoolArray, npt.NDArray[np.float64]]:
        """Return which instants are held, and the value of each."""
        ...

    def oldest(self, series: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Return the oldest instant at which each series may still change."""
        ...


@dataclass(frozen=True, slots=True)
class Arrived:
    """A batch sorted out.

    Attributes:
        readings: those to go on, in order of arrival, late ones marked OUT_OF_ORDER.
        in_order: which of them are newer than all before them in their series.
        kept: their positions in the batch that arrived.
        duplicates: positions of readings already held, value for value.
        too_old: positions of readings beyond the correction horizon.
    """

    readings: ReadingBatch
    in_order: BoolArray
    kept: npt.NDArray[np.int64]
    duplicates: npt.NDArray[np.int64]
    too_old: npt.NDArray[np.int64]


class Arrival:
    """Sorts readings out by what is already held of their series."""

    def __init__(self, series: SeriesTable, memory: Memory) -> None:
        """Start without having seen anything."""
        self._series = series
        self._memory = memory
        self._state = SeriesState(newest=_NEVER, received=_NEVER)

    @property
    def last_received(self) -> npt.NDArray[np.int64]:
        """Newest receipt of each series, ns UTC, shape (series,)."""
        self._state.grow(len(self._series))
        received: npt.NDArray[np.int64] = self._state["received"]
        return received

    def sort_out(self, batch: ReadingBatch) -> Arrived:
        """Say what each reading of a batch is; later calls remember it."""
        self._state.grow(len(self._series))
        np.maximum.at(self._state["received"], batch.series, batch.received)
        in_order = self._in_order(batch)
        duplicate = np.zeros(len(batch), np.bool_)
        corrected = np.zeros(len(batch), np.bool_)
        too_old = np.zeros(len(batch), np.bool_)
        if not in_order.all():
            late = np.flatnonzero(~in_order)
            too_old[late] = batch.time[late] < self._memory.oldest(batch.series[late])
            self._compare(batch, in_order, duplicate, corrected)
        keep = ~duplicate & ~too_old
        reasons = batch.reasons.copy()
        reasons[~in_order] |= OUT_OF_ORDER.mask
        reasons[corrected] |= CORRECTION.mask
        columns = {name: getattr(batch, name) for name in ReadingBatch.dtypes()}
        marked = ReadingBatch(**{**columns, "reasons": reasons})
        return Arrived(
            readings=marked.take(keep),
            in_order=in_order[keep],
            kept=np.flatnonzero(keep),
            duplicates=np.flatnonzero(duplicate),
            too_old=np.flatnonzero(too_old & ~duplicate),
        )

    def _in_order(self, batch: ReadingBatch) -> BoolArray:
        groups = Groups.by_series(batch.series)
        time = batch.time[groups.order]
        newest = self._state["newest"]
        before = groups.running_max(time, newest[groups.codes])
        in_order = np.empty(len(batch), np.bool_)
        in_order[groups.order] = time > before
        newest[groups.codes] = np.maximum(before, time)[groups.lasts]
        return in_order

    def _compare(
        self, batch: ReadingBatch, in_order: BoolArray, duplicate: BoolArray, corrected: BoolArray
    ) -> None:
        """Mark duplicates and corrections among readings that did not arrive in order."""
        order = np.lexsort((batch.time, batch.series))
        same = np.zeros(len(batch), np.bool_)
        same[1:] = (batch.time[order][1:] == batch.time[order][:-1]) & (
            batch.series[order][1:] == batch.series[order][:-1]
        )
        value = batch.value[order]
        earlier = np.empty_like(value)
        earlier[1:] = value[:-1]
        held = same.copy()
        asked = ~same & ~in_order[order]
        rows = order[asked]
        held[asked], earlier[asked] = self._memory.known(batch.series[rows], batch.time[rows])
        with np.errstate(invalid="ignore"):
            equal = (value == earlier) | (np.isnan(value) & np.isnan(earlier))
        duplicate[order] = held & equal
        corrected[order] = held & ~equal

    def snapshot(self) -> Snapshot:
        """Return the whole state."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot."""
        self._state.restore(snapshot)
