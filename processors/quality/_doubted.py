# SPDX-License-Identifier: EUPL-1.2
"""Numbers that are a code with some devices, in series whose type of device nobody has named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import Rows
from lamppost.grouping import BoolArray, Groups
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from processors._per_series import PerSeries

from ._devices import UNNAMED, Devices

TOLERANCE: Final = 1e-6
"""How far from a code a number may lie, as a share of it, for units that were converted."""


@dataclass(frozen=True, slots=True)
class Found:
    """Rows whose number may be a code.

    Attributes:
        rows: their positions, shape (n,).
        run: how many of the same the series has shown in a row, shape (n,).
        repeated: whether these are so many that it is one, shape (n,).
    """

    rows: Int64Array
    run: Int64Array
    repeated: BoolArray

    def each(self) -> Iterator[tuple[int, int]]:
        """Yield each row with its run."""
        yield from zip(self.rows.tolist(), self.run.tolist(), strict=True)


_NOTHING: Final = Found(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.bool_))


class Doubted:
    """Finds such numbers, and counts how often each series repeats one."""

    def __init__(
        self,
        codes: Mapping[str, Sequence[float]],
        repeated: int,
        series: SeriesTable,
        devices: Devices,
    ) -> None:
        """Take the codes by quantity, and how many of the same in a row are no chance."""
        width = max(map(len, codes.values()), default=1)
        padded = {name: (*some, *[np.nan] * (width - len(some))) for name, some in codes.items()}
        every = [code for some in codes.values() for code in some]
        reach = [TOLERANCE * abs(code) for code in every]
        self._lowest = min(map(float.__sub__, every, reach), default=np.inf)
        self._highest = max(map(float.__add__, every, reach), default=-np.inf)
        self._codes = PerSeries(series, padded, width=width)
        self._repeated = repeated
        self._series = series
        self._devices = devices
        self._state = SeriesState(code=np.float64(np.nan), run=np.int64(0))
        self._some_run = False

    def among(self, rows: Rows) -> Found:
        """Return the rows that may be codes; all others end what has been repeated."""
        within = (rows.value >= self._lowest) & (rows.value <= self._highest)
        if not within.any() and not self._some_run:
            return _NOTHING
        self._state.grow(len(self._series))
        where = np.flatnonzero(self._touched(rows.groups, within) & ~rows.missing)
        groups, value = rows.groups.take(where), rows.value[where]
        hit = self._hit(groups, value)
        run = self._count(groups, np.where(hit, value, np.nan))
        found = np.flatnonzero(hit)
        return Found(where[found], run[found], run[found] >= self._repeated)

    def snapshot(self) -> Snapshot:
        """Return what each series repeats."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over what each series repeats."""
        self._state.restore(snapshot)
        self._some_run = bool(self._state["run"].any())

    def _touched(self, groups: Groups, within: BoolArray) -> BoolArray:
        """Return the rows of the series that show a code or have shown one last."""
        shows = within if groups.once else np.logical_or.reduceat(within, groups.starts)
        series: BoolArray = shows | (self._state["run"][groups.places] > 0)
        return series if groups.once else series[groups.group]

    def _hit(self, groups: Groups, value: FloatArray) -> BoolArray:
        codes = self._codes.of(groups.series)
        with np.errstate(invalid="ignore"):
            equal = np.abs(value - codes) <= np.abs(codes) * TOLERANCE
        hit: BoolArray = equal.any(axis=0) & (self._devices.of(groups.series) == UNNAMED)
        return hit

    def _count(self, groups: Groups, code: FloatArray) -> Int64Array:
        """Return how many of the same there are in a row up to each row, 0 without a code."""
        places = groups.places
        before, carried = self._state["code"][places], self._state["run"][places]
        begins = ~(code == groups.previous(code, before))
        opened, row = groups.latest(begins), np.arange(len(code))
        goes_on = carried[groups.group] + row - groups.starts[groups.group] + 1
        run = np.where(opened >= 0, row - opened + 1, goes_on)
        run[np.isnan(code)] = 0
        self._state["code"][places] = code[groups.lasts]
        self._state["run"][places] = run[groups.lasts]
        self._some_run = bool(self._state["run"].any())
        return run
