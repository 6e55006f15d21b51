# SPDX-License-Identifier: EUPL-1.2
"""Quarters of an hour, for limits that are about the highest of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, Int64Array
from lamppost.state import SeriesState, Snapshot

from ._hours import NEVER, CodeArray

PER_HOUR: Final = 4


class QuarterRings:
    """Means of quarters, as far back as they can be corrected, of the few series that need them."""

    def __init__(self, kept_hours: int) -> None:
        """Start without series."""
        self._size = kept_hours
        self._state = SeriesState(
            quarter=np.full((kept_hours, PER_HOUR), np.nan), newest=np.int64(NEVER)
        )
        self._places = SeriesState(place=np.int32(-1))

    def _placed(self, codes: CodeArray, *, grow: bool) -> CodeArray:
        self._places.grow(int(codes.max(initial=-1)) + 1)
        place = self._places["place"]
        if grow:
            new = np.unique(codes[place[codes] < 0])
            before = len(self._state)
            self._state.grow(before + len(new))
            place[new] = np.arange(before, before + len(new))
        placed: CodeArray = place[codes]
        return placed

    def store(
        self,
        codes: CodeArray,
        hour: Int64Array,
        quarters: FloatArray,
        told: npt.NDArray[np.bool_],
    ) -> None:
        """Keep quarters of some hours, each series and hour once, shape (n, 4), where told."""
        rows = np.flatnonzero(told.any(axis=1))
        order = rows[np.argsort(hour[rows], kind="stable")]
        for row in np.split(order, np.flatnonzero(np.diff(hour[order])) + 1):
            if len(row):
                self._store(codes[row], hour[row], quarters[row], told[row])

    def _store(
        self,
        codes: CodeArray,
        hour: Int64Array,
        quarters: FloatArray,
        told: npt.NDArray[np.bool_],
    ) -> None:
        places = self._placed(codes, grow=True)
        self._advance(places, hour)
        kept = hour > self._state["newest"][places] - self._size
        slot = places[kept], hour[kept] % self._size
        held = self._state["quarter"][slot]
        self._state["quarter"][slot] = np.where(told[kept], quarters[kept], held)

    def _advance(self, places: CodeArray, hour: Int64Array) -> None:
        """Make room for hours newer than all before, forgetting the oldest."""
        gone = np.clip(hour - self._state["newest"][places], 0, self._size)
        row = np.repeat(np.arange(len(hour)), gone)
        back = np.arange(len(row)) - np.repeat(np.cumsum(gone) - gone, gone)
        self._state["quarter"][places[row], (hour[row] - back) % self._size] = np.nan
        self._state["newest"][places] = np.maximum(hour, self._state["newest"][places])

    def highest(self, codes: CodeArray, hour: Int64Array) -> FloatArray:
        """Return the highest quarter of some hours, NaN where none is held."""
        places = self._placed(codes, grow=False)
        found = np.full(len(codes), np.nan)
        rows = np.flatnonzero(places >= 0)
        newest = self._state["newest"][places[rows]]
        rows = rows[(hour[rows] <= newest) & (hour[rows] > newest - self._size)]
        held = self._state["quarter"][places[rows], hour[rows] % self._size]
        highest = np.where(np.isnan(held), -np.inf, held).max(axis=1, initial=-np.inf)
        found[rows] = np.where(np.isinf(highest), np.nan, highest)
        return found

    def snapshot(self) -> Snapshot:
        """Return what is held."""
        return {**self._state.snapshot(), **self._places.snapshot()}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over what was held, also of a shorter or longer memory."""
        self._places.restore(snapshot)
        former = snapshot["quarter"]
        self._state = SeriesState(
            quarter=np.full((self._size, PER_HOUR), np.nan), newest=np.int64(NEVER)
        )
        self._state.grow(len(former))
        newest = snapshot["newest"]
        self._state["newest"][:] = newest
        hours = newest[:, None] - np.arange(min(self._size, former.shape[1]))
        rows = np.arange(len(former))[:, None]
        self._state["quarter"][rows, hours % self._size] = former[rows, hours % former.shape[1]]
