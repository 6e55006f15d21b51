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

    def oldest(
        self, series: npt.NDArray[np.int32], newest: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return the oldest instant at which a series may still change, by its newest one."""
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

    def sort_out(self, batch: ReadingBatch, imported: BoolArray | None = None) -> Arrived:
        """Say what each reading of a batch is; later calls remember it.

        Nobody was heard where a reading was ``imported``.
        """
        self._state.grow(len(self._series))
        heard = slice(None) if imported is None else ~imported
        np.maximum.at(self._state["received"], batch.series[heard], batch.received[heard])
        before = self._newest_before(batch)
        in_order = batch.time > before
        too_old = batch.time < self._memory.oldest(batch.series, before)
        duplicate = np.zeros(len(batch), np.bool_)
        corrected = np.zeros(len(batch), np.bool_)
        if not in_order.all():
            rows = np.flatnonzero(~too_old)  # what the memory knows beyond the horizon is chance
            duplicate[rows], corrected[rows] = self._compare(batch.take(rows), in_order[rows])
        keep = ~duplicate & ~too_old
        if in_order.all() and keep.all():
            nothing = np.empty(0, np.int64)
            return Arrived(batch, in_order, np.arange(len(batch)), nothing, nothing)
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
            too_old=np.flatnonzero(too_old),
        )

    def _newest_before(self, batch: ReadingBatch) -> npt.NDArray[np.int64]:
        """Return the newest instant of its series before each reading, and remember the newest."""
        groups = Groups.by_series(batch.series)
        time = batch.time[groups.order]
        newest = self._state["newest"]
        carried = groups.running_max(time, newest[groups.codes])
        newest[groups.codes] = np.maximum(carried, time)[groups.lasts]
        before = np.empty(len(batch), np.int64)
        before[groups.order] = carried
        return before

    def _compare(self, batch: ReadingBatch, in_order: BoolArray) -> tuple[BoolArray, BoolArray]:
        """Return which readings are duplicates, and which are corrections."""
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
        duplicate, corrected = np.empty_like(held), np.empty_like(held)
        duplicate[order] = held & equal
        corrected[order] = held & ~equal
        return duplicate, corrected

    def snapshot(self) -> Snapshot:
        """Return the whole state."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot."""
        self._state.restore(snapshot)
