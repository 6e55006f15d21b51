# SPDX-License-Identifier: EUPL-1.2
"""The last hourly means of each series, and how often the value of each hour was published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, Int64Array
from lamppost.state import SeriesState, Snapshot

NEVER: Final = -(2**40)
DAY_HOURS: Final = 24
MOST_NEAR: Final = 999
"""Highest revision told from memory; what is corrected beyond it is told by the hours' own."""

CodeArray = npt.NDArray[np.int32]


class HourRings:
    """Rings of hours, one for each series that has one, a day longer than an index looks back."""

    def __init__(self, reach: int) -> None:
        """Start without series.

        Args:
            reach: hours that one value is made of.
        """
        self.reach = reach
        self.size = reach + DAY_HOURS
        self._places, self._state = self._empty()

    def _empty(self) -> tuple[SeriesState, SeriesState]:
        return SeriesState(place=np.int32(-1)), SeriesState(
            series=np.int32(-1),
            mean=np.full(self.size, np.nan),
            revision=np.full(self.size, -1, np.int16),
            newest=np.int64(NEVER),
            # So long ago that nothing lasts until the newest hour.
            told=np.int64(2 * NEVER),
        )

    def all_places(self) -> CodeArray:
        """Return the place of every series that has one."""
        return np.arange(len(self._state), dtype=np.int32)

    def places(self, codes: CodeArray, count: int) -> CodeArray:
        """Return the place of each series, giving one to those that have none."""
        self._places.grow(max(count, int(codes.max(initial=-1)) + 1))
        place = self._places["place"]
        new = np.unique(codes[place[codes] < 0])
        if len(new):
            before = len(self._state)
            self._state.grow(before + len(new))
            place[new] = np.arange(before, before + len(new))
            self._state["series"][before:] = new
        placed: CodeArray = place[codes]
        return placed

    def codes(self, places: npt.NDArray[Any]) -> CodeArray:
        """Return the series of places."""
        codes: CodeArray = self._state["series"][places]
        return codes

    def newest(self, places: npt.NDArray[Any]) -> Int64Array:
        """Return the newest hour of each place that has a value, be it none."""
        newest: Int64Array = self._state["newest"][places]
        return newest

    def told(self, places: npt.NDArray[Any]) -> Int64Array:
        """Return the newest hour of each place of which there is a window."""
        told: Int64Array = self._state["told"][places]
        return told

    def means(self, places: npt.NDArray[Any], last: Int64Array) -> FloatArray:
        """Return the means of the hours that end with some, newest first, shape (n, reach)."""
        hours = last[:, None] - np.arange(self.reach)
        means: FloatArray = self._state["mean"][places[:, None], hours % self.size]
        return means

    def published(self, places: npt.NDArray[Any], hour: Int64Array) -> npt.NDArray[np.bool_]:
        """Return whether hours that are held were published."""
        done: npt.NDArray[np.bool_] = self._state["revision"][places, hour % self.size] >= 0
        return done

    def publish(self, places: npt.NDArray[Any], hour: Int64Array) -> npt.NDArray[np.int32]:
        """Count a publication of each hour, and return its revision."""
        slot = hour % self.size
        revision = np.minimum(self._state["revision"][places, slot] + 1, MOST_NEAR)
        self._state["revision"][places, slot] = revision
        counted: npt.NDArray[np.int32] = revision.astype(np.int32)
        return counted

    def advance(self, places: npt.NDArray[Any], hour: Int64Array) -> None:
        """Make room for hours newer than all before, each place once, forgetting the oldest."""
        gone = np.minimum(hour - self._state["newest"][places], self.size)
        row = np.repeat(np.arange(len(hour)), gone)
        back = np.arange(len(row)) - np.repeat(np.cumsum(gone) - gone, gone)
        slot = (hour[row] - back) % self.size
        self._state["mean"][places[row], slot] = np.nan
        self._state["revision"][places[row], slot] = -1
        self._state["newest"][places] = hour

    def store(
        self,
        places: npt.NDArray[Any],
        hour: Int64Array,
        mean: FloatArray,
        is_told: npt.NDArray[np.bool_],
    ) -> None:
        """Keep means of hours that are held; those not told of have no window."""
        np.maximum.at(self._state["told"], places[is_told], hour[is_told])
        held = hour > self.newest(places) - self.size
        self._state["mean"][places[held], hour[held] % self.size] = mean[held]

    def snapshot(self) -> Snapshot:
        """Return what is held."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over rings, also shorter or longer ones."""
        known = snapshot.get("series", np.flatnonzero(snapshot["newest"] != NEVER))
        rows = np.arange(len(known)) if "series" in snapshot else known
        self._places, self._state = self._empty()
        codes = np.asarray(known, np.int32)
        places = self.places(codes, 0)
        newest = snapshot["newest"][rows]
        self._state["newest"][places] = newest
        self._state["told"][places] = snapshot["told"][rows] if "told" in snapshot else newest
        for name in ("mean", "revision"):
            former_size = snapshot[name].shape[1]
            hours = newest[:, None] - np.arange(min(self.size, former_size))
            former = snapshot[name][rows[:, None], hours % former_size]
            if name == "revision":
                former = np.minimum(former, MOST_NEAR)
            self._state[name][places[:, None], hours % self.size] = former
