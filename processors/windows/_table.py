# SPDX-License-Identifier: EUPL-1.2
"""Rows kept by (series, instant), newest version first: in memory, and on a shelf beyond that."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.shelf import Shelf
from lamppost.state import Snapshot
from lamppost.times import DAY_NS

from ._former_rows import brought_up
from ._places import Places
from ._rows import IntArray, RowArray, joined, ordered, picked, whole

NO_ROWS: Final = np.iinfo(np.int64).max

# Small runs soon cost more to look through than to join, large ones the other way round.
_FAN_IN: Final = ((16, 50_000), (64, NO_ROWS))
_FILES_TO_MERGE: Final = 8
_BLOCK_ROWS: Final = 200_000
_LARGEST_FILE: Final = 16_000_000
_SMALLEST_FILE: Final = 1_000_000
_SHELVED: Final = np.dtype(
    [("name", "S40"), ("rows", "i8"), ("first", "i8"), ("last", "i8"), ("thinned", "u1")]
)


@dataclass(slots=True)
class Run:
    """Sorted rows, each instant once.

    Attributes:
        rows: None where they lie on the shelf.
        size: how many they are.
        first, last: the span of their instants.
        name: on the shelf.
        thinned: whether only the rows of series that are far behind the others are left.
        places: where those of each series stand, once somebody has asked.
    """

    rows: RowArray | None
    size: int
    first: int
    last: int
    name: str = ""
    thinned: bool = False
    places: Places | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, rows: RowArray) -> Run:
        """Wrap rows in memory."""
        return cls(rows, len(rows), int(rows["time"].min()), int(rows["time"].max()))


class Table:
    """A log-structured table: sorted runs from old to new; the newest version of a row wins.

    Rows come in order of time but for late ones, so runs hardly overlap, and looking up an instant
    leads to the one or two runs that span it. Runs of like size are joined, always neighbours, so
    that their order stays that of age.
    """

    def __init__(self, dtype: npt.DTypeLike, shelf: Shelf) -> None:
        """Start empty.

        Args:
            dtype: of a row; needs the fields series and time.
            shelf: where runs go that are not to stay in memory.
        """
        self._dtype = np.dtype(dtype)
        self._shelf = shelf
        self._shelved: list[Run] = []
        self._recent: list[Run] = []

    def __len__(self) -> int:
        """Return how many rows are held, older versions included."""
        return sum(run.size for run in self._runs())

    @property
    def memory_bytes(self) -> int:
        """Size of the rows in memory."""
        return sum(run.size for run in self._recent) * self._dtype.itemsize

    @property
    def first(self) -> int:
        """The first instant there is a row of; NO_ROWS without any."""
        return min((run.first for run in self._runs()), default=NO_ROWS)

    def names(self) -> set[str]:
        """Return the names of the runs on the shelf."""
        return {run.name for run in self._shelved}

    def insert(self, rows: RowArray) -> None:
        """Take in rows that :func:`ordered` returned."""
        if len(rows):
            self._recent.append(Run.of(rows))
            self._merge_recent()

    def between(self, series: npt.NDArray[Any], start: IntArray, end: IntArray) -> RowArray:
        """Return the newest rows of each series in its half-open span of time, sorted.

        Spans of one series must not overlap.
        """
        found = []
        if len(series):
            for run in self._spanning(int(start.min()), int(end.max()) - 1):
                asked = np.flatnonzero((end > run.first) & (start <= run.last))
                if len(asked):
                    rows, places = self._looked_up(run)
                    found.append(places.cut(rows, series[asked], start[asked], end[asked]))
        return ordered(joined(found, self._dtype))

    def series_blocks(self, series_count: int) -> list[npt.NDArray[np.int32]]:
        """Return the codes of all series in blocks, few enough that their rows fit into memory."""
        series = np.arange(series_count, dtype=np.int32)
        return np.array_split(series, len(self) // _BLOCK_ROWS + 1)

    def blocks(self, series_count: int) -> Iterator[RowArray]:
        """Yield all newest rows, by blocks of series, sorted."""
        for codes in self.series_blocks(series_count):
            span = np.full(len(codes), NO_ROWS)
            yield self.between(codes, -span, span)

    def find(
        self, series: npt.NDArray[Any], time: IntArray
    ) -> tuple[npt.NDArray[np.bool_], RowArray]:
        """Return which instants are held, and the newest row of each (zeros where none is)."""
        held = np.zeros(len(series), np.bool_)
        found = np.zeros(len(series), self._dtype)
        if not len(series):
            return held, found
        for run in reversed(self._spanning(int(time.min()), int(time.max()))):
            asked = np.flatnonzero(~held & (time >= run.first) & (time <= run.last))
            if len(asked):
                rows, places = self._looked_up(run)
                there, at = places.locate(rows, series[asked], time[asked])
                held[asked[there]] = True
                whole(found)[asked[there]] = whole(rows)[at[there]]
        return held, found

    def around(
        self, series: npt.NDArray[Any], time: IntArray, count: int, reach_ns: int
    ) -> RowArray:
        """Return the newest rows around instants, sorted: some to either side of each, if there.

        Args:
            series: of each instant; sorted by series and time.
            time: the instants, ns.
            count: how many rows to either side.
            reach_ns: how far from its instant a row is surely found.
        """
        found = []
        for run in self._spanning(int(time.min()) - reach_ns, int(time.max()) + reach_ns):
            asked = np.flatnonzero((time + reach_ns >= run.first) & (time - reach_ns <= run.last))
            if len(asked):
                rows, places = self._looked_up(run)
                found.append(places.around(rows, series[asked], time[asked], count))
        return ordered(joined(found, self._dtype))

    def expire(self, reach: IntArray) -> None:
        """Forget rows older than their series' instant in ``reach``, shape (series,).

        Runs on the shelf go as a whole. Where most series have passed one, the rows of those that
        have not are kept by themselves, so that a device that fell silent pins nobody else's.
        Series without rows reach to NO_ROWS.
        """
        kept = (self._expired(run, reach) for run in self._recent)
        self._recent = [run for run in kept if run]
        ends = reach[reach != NO_ROWS]
        if len(ends) and self._shelved:
            first, usual = int(ends.min()), int(np.median(ends))
            kept = (self._thinned(run, reach, first, usual) for run in self._shelved)
            self._shelved = [run for run in kept if run]
            self._merge_shelved()

    def _expired(self, run: Run, reach: IntArray) -> Run | None:
        rows = self._rows(run)
        kept = rows["time"] >= reach[rows["series"]]
        if kept.all():
            return run
        return Run.of(picked(rows, kept)) if kept.any() else None

    def _thinned(self, run: Run, reach: IntArray, first: int, usual: int) -> Run | None:
        if run.last < first:
            return None
        if run.last >= usual or run.thinned:
            return run
        left = self._expired(run, reach)
        if left is None or left is run:
            return left and replace(run, thinned=True)
        try:
            return replace(_shelved(left, self._shelf), thinned=True)
        except OSError:
            return run

    def spill(self) -> None:
        """Lay everything that is in memory on the shelf; where it has no room, keep it."""
        if not self._recent:
            return
        self._join_recent(len(self._recent))
        (run,) = self._recent
        try:
            self._shelved += [_shelved(part, self._shelf) for part in _by_day(self._rows(run))]
        except OSError:
            return
        self._recent = []
        self._merge_shelved()

    def snapshot(self) -> Snapshot:
        """Return the rows in memory, and the names of the others."""
        if self._recent:
            self._join_recent(len(self._recent))
        shelved = np.zeros(len(self._shelved), _SHELVED)
        for place, run in enumerate(self._shelved):
            name = run.name.encode()
            shelved[place] = (name, run.size, run.first, run.last, run.thinned)
        rows = joined([self._rows(run) for run in self._recent], self._dtype)
        return {"rows": rows, "shelved": shelved}

    def restore(self, snapshot: Mapping[str, Any]) -> list[Run]:
        """Take over a snapshot; return the runs that were given up, and are not in it any more."""
        rows = brought_up(snapshot["rows"], self._dtype)
        self._recent = [Run.of(rows)] if len(rows) else []
        runs = [
            Run(None, int(size), int(first), int(last), name.decode(), bool(thinned))
            for name, size, first, last, thinned in snapshot["shelved"].tolist()
        ]
        lost = [run for run in runs if self._shelf.is_given_up(run.name)]
        self._shelved = [run for run in runs if run not in lost]
        return lost

    def _runs(self) -> list[Run]:
        return [*self._shelved, *self._recent]

    def _spanning(self, first: int, last: int) -> list[Run]:
        return [run for run in self._runs() if run.last >= first and run.first <= last]

    def _rows(self, run: Run) -> RowArray:
        return brought_up(self._shelf.open(run.name), self._dtype) if run.rows is None else run.rows

    def _looked_up(self, run: Run) -> tuple[RowArray, Places]:
        rows = self._rows(run)
        if run.places is None:
            run.places = Places.of(rows)
        return rows, run.places

    def _merge_recent(self) -> None:
        for fan_in, most_rows in _FAN_IN:
            sizes = [run.size for run in self._recent[-fan_in:]]
            alike = len(sizes) == fan_in and sizes[0] <= fan_in * max(sizes[1:])
            if alike and sum(sizes) <= most_rows:
                self._join_recent(fan_in)

    def _join_recent(self, count: int) -> None:
        """Make one run of the newest ones in memory."""
        if count > 1:
            self._recent[-count:] = [Run.of(self._together(self._recent[-count:]))]

    def _merge_shelved(self) -> None:
        """Make one file of small neighbours, so that there are not many."""
        for start, end in reversed(list(_small_neighbours(self._shelved, self._dtype.itemsize))):
            parts = self._shelved[start:end]
            try:
                whole = _shelved(Run.of(self._together(parts)), self._shelf)
            except OSError:
                return
            self._shelved[start:end] = [whole]

    def _together(self, runs: list[Run]) -> RowArray:
        rows = joined([self._rows(run) for run in runs], self._dtype)
        return ordered(rows)


def _shelved(run: Run, shelf: Shelf) -> Run:
    if run.rows is None:
        return run
    return replace(run, name=shelf.put(run.rows), rows=None)


def _by_day(rows: RowArray) -> Iterator[Run]:
    """Cut rows at midnights (UTC), so that days can go one by one; small days stay together."""
    day = rows["time"] // DAY_NS
    days, counts = np.unique(day, return_counts=True)
    enough = max(_SMALLEST_FILE // rows.dtype.itemsize, 1)
    before = np.cumsum(counts) - counts
    parts = np.unique(before // enough, return_index=True)[1]
    edges = [*days[parts].tolist(), int(days[-1]) + 1]
    if len(parts) == 1:
        yield Run.of(rows)
        return
    for first, last in itertools.pairwise(edges):
        yield Run.of(picked(rows, (day >= first) & (day < last)))


def _small_neighbours(runs: list[Run], row_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield the places of neighbouring runs that together make one file of a sensible size."""
    start = total = 0
    for place, run in enumerate([*runs, Run(None, _LARGEST_FILE, 0, 0)]):
        size = run.size * row_bytes
        if total + size > _LARGEST_FILE:
            if place - start >= _FILES_TO_MERGE:
                yield start, place
            start, total = place, 0
        total += size
