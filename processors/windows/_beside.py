# SPDX-License-Identifier: EUPL-1.2
"""What the statistics of some readings need beside the reading: kept with it, as its state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import SeriesState

from ._frames import BoolArray, RowArray
from ._places import Places
from ._rows import IntArray, ordered, picked, whole

PARTNERS: Final = {"speed": ("vehicle_count", "flow"), "wind_direction": ("wind_speed",)}
"""Quantities of the same sensor, qualifiers and instant that a reading is seen beside; of several
the first that was measured."""

_MOST: Final = max(len(names) for names in PARTNERS.values())
_OWNERS: Final = {name: owner for owner, names in PARTNERS.items() for name in names}

Find = Callable[[npt.NDArray[np.int32], IntArray], tuple[BoolArray, RowArray]]


class Beside:
    """Finds for each reading the one it is seen beside, whichever of the two comes first."""

    def __init__(self, series: SeriesTable, included: BoolArray) -> None:
        """Take which flags enter, shape (256,)."""
        self._series = series
        self._included = included
        self._pairs = 0
        self._state = SeriesState(
            partners=np.full(_MOST, -1, np.int32),
            owner=np.int32(-1),
        )

    def fill(self, rows: RowArray, find: Find) -> RowArray:
        """Fill in what rows are seen beside.

        Args:
            rows: RAW rows in order of arrival.
            find: returns what is held of instants.

        Returns:
            Rows held before that are seen beside something else now: later versions of themselves.
        """
        self._grow()
        if not self._pairs:
            return rows[:0]
        owners = self._state["owner"][rows["series"]]
        seen = self._state["partners"][rows["series"], 0] >= 0
        seen |= self._state["partners"][rows["series"], -1] >= 0
        concerned = seen | (owners >= 0)
        if not concerned.any():
            return rows[:0]
        batch = ordered(picked(rows, concerned))
        rows["beside"][seen] = self._values(picked(rows, seen), batch, find)
        return self._held_before(picked(rows, owners >= 0), batch, find)

    def _held_before(self, partners: RowArray, batch: RowArray, find: Find) -> RowArray:
        """Return the rows held that partners in a batch change, with what they are beside now."""
        series = self._state["owner"][partners["series"]]
        held, former = find(series, partners["time"])
        in_batch, _ = Places.of(batch).locate(batch, series, partners["time"])
        former = picked(former, held & ~in_batch)
        beside = self._values(former, batch, find)
        same = (beside == former["beside"]) | (np.isnan(beside) & np.isnan(former["beside"]))
        former["beside"] = beside
        return picked(former, ~same)

    def _values(self, rows: RowArray, batch: RowArray, find: Find) -> npt.NDArray[np.float32]:
        """Return what stands beside rows, NaN where nothing does."""
        values = np.full(len(rows), np.nan, np.float32)
        for place in range(_MOST):
            partner = self._state["partners"][rows["series"], place]
            at = np.flatnonzero((partner >= 0) & np.isnan(values))
            if len(at):
                values[at] = self._look_up(partner[at], rows["time"][at], batch, find)
        return values

    def _look_up(
        self, series: npt.NDArray[np.int32], time: IntArray, batch: RowArray, find: Find
    ) -> npt.NDArray[np.float32]:
        there, at = Places.of(batch).locate(batch, series, time)
        found = batch.take(at) if len(batch) else np.zeros(len(series), batch.dtype)
        elsewhere = np.flatnonzero(~there)
        held, rows = find(series[elsewhere], time[elsewhere])
        whole(found)[elsewhere] = whole(rows)
        there[elsewhere] = held
        with np.errstate(over="ignore"):  # too large for what is kept is no number either
            value = found["value"].astype(np.float32)
        enters = there & self._included[found["flag"]] & np.isfinite(value)
        return np.where(enters, value, np.float32(np.nan))

    def _grow(self) -> None:
        known = len(self._state)
        self._state.grow(len(self._series))
        for code in range(known, len(self._series)):
            key = self._series[code]
            for place, name in enumerate(PARTNERS.get(key.quantity, ())):
                self._link(code, place, self._series.find(_beside(key, name)))
            owner = _OWNERS.get(key.quantity)
            if owner is not None:
                place = PARTNERS[owner].index(key.quantity)
                self._link(self._series.find(_beside(key, owner)), place, code)

    def _link(self, owner: int | None, place: int, partner: int | None) -> None:
        if owner is not None and partner is not None:
            self._state["partners"][owner, place] = partner
            self._state["owner"][partner] = owner
            self._pairs += 1


def _beside(key: SeriesKey, quantity: str) -> SeriesKey:
    return SeriesKey(key.sensor, quantity, key.qualifiers)
