# SPDX-License-Identifier: EUPL-1.2
"""What closed windows leave behind: readings, states of long windows, revision numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.shelf import Shelf
from lamppost.state import Snapshot, nested, part
from lamppost.times import DAY_NS, HOUR_NS, format_length

from . import _statistics as statistics
from ._cadence import REACH_NS
from ._laid_aside import REVISION, LaidAside
from ._places import Places
from ._rows import IntArray, RowArray, ordered, picked, whole
from ._table import NO_ROWS, Table

_SNAPSHOTS_KEEP: Final = 8

Reduce = Callable[[int, RowArray], RowArray]


class Memory:
    """Readings and states as far back as they can still be corrected.

    States of windows below an hour are not kept: what is held of their readings gives them again,
    exactly as they were. Of those only revision numbers above 0 are remembered. States from an hour
    on are kept, because longer windows are built from them.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        reduce: Reduce,
        shelf: Shelf,
        memory_bytes: int,
        keep_from: int = HOUR_NS,
    ) -> None:
        """Start empty.

        Args:
            lengths: of the windows, from short to long.
            reduce: gives the states of a level from the rows they are made of.
            shelf: where the rest goes.
            memory_bytes: how much stays in memory.
            keep_from: length of the shortest windows whose states are kept.
        """
        self._lengths = tuple(lengths)
        self._reduce = reduce
        self._bound = memory_bytes
        self.first_kept = sum(length < keep_from for length in lengths)
        self.readings = Table(statistics.RAW, shelf)
        levels = range(len(lengths))
        self._states = {
            level: Table(statistics.STATE, shelf) for level in levels if level >= self.first_kept
        }
        self._revisions = {
            level: Table(REVISION, shelf) for level in levels if level < self.first_kept
        }
        self.laid_aside = LaidAside(shelf)
        self._attached: dict[str, Table] = {}
        self._longest: dict[int, int] = {}

    def attach(self, tables: Mapping[str, Table], reach: Mapping[int, int]) -> None:
        """Look after tables of others as well.

        Args:
            tables: by a name of their own.
            reach: how long the windows made from a level can be, ns.
        """
        self._attached = dict(tables)
        self._longest = dict(reach)

    def states(self, level: int) -> Table:
        """Return the states of a level that is kept."""
        return self._states[level]

    def blocks(self, level: int, series_count: int) -> Iterator[RowArray]:
        """Yield the kept states of a level, block by block, sorted."""
        return self._states[level].blocks(series_count)

    def is_kept(self, level: int) -> bool:
        """Tell whether the states of a level are kept."""
        return level in self._states

    def publish(self, level: int, states: RowArray) -> None:
        """Remember states that go out, with the revisions they get here if they did before."""
        self.laid_aside.renumber(self._name(level), states)
        if self.is_kept(level):
            self._states[level].insert(states)
            return
        revised = picked(states, states["revision"] > 0)
        if len(revised):
            rows = np.empty(len(revised), REVISION)
            for name in REVISION.names or ():
                rows[name] = revised[name]
            self._revisions[level].insert(rows)

    def former(
        self, level: int, states: RowArray, before: RowArray
    ) -> tuple[npt.NDArray[np.bool_], RowArray]:
        """Return which windows went out before, and the state of each that did.

        Args:
            level: of the windows.
            states: of the windows now.
            before: states worked out from what was held until now, of a level that is not kept.
        """
        series, start = states["series"], states["time"]
        if self.is_kept(level):
            return self._states[level].find(series, start)
        held, at = Places.of(before).locate(before, series, start)
        rows = np.zeros(len(states), statistics.STATE)
        whole(rows)[held] = whole(before)[at[held]]
        rows["revision"] = self._revisions[level].find(series, start)[1]["revision"]
        return held, rows

    def sources(self, level: int, series: npt.NDArray[Any], start: IntArray) -> RowArray:
        """Return the rows that some windows of a level above the first kept one are made of."""
        return self._states[level - 1].between(series, start, start + self._lengths[level])

    def make_room(self) -> None:
        """Lay down what exceeds the bound, the largest first."""
        while sum(table.memory_bytes for table in self._tables().values()) > self._bound:
            largest = max(self._tables().values(), key=lambda table: table.memory_bytes)
            largest.spill()
            if largest.memory_bytes:  # the shelf has no room; the outbox will not have any either
                return

    def expire(self, oldest: IntArray) -> None:
        """Forget what no correction can need any more.

        Args:
            oldest: oldest instant of each series that may still be corrected, NO_ROWS without any.
        """
        made_from = self._reach(oldest, min(self.first_kept, len(self._lengths) - 1))
        # The pace of a late reading goes by those of the week before it.
        paced_by = np.where(made_from == NO_ROWS, NO_ROWS, made_from - REACH_NS)
        self.readings.expire(paced_by)
        for level, table in {**self._states, **self._revisions}.items():
            table.expire(self._reach(oldest, min(level + 1, len(self._lengths) - 1), level))
            if f"sketches_{level}" in self._attached:
                self._attached[f"sketches_{level}"].expire(self._reach(oldest, level, level))
        self.laid_aside.expire(oldest)

    def _reach(self, oldest: IntArray, above: int, level: int | None = None) -> IntArray:
        """Return from where windows are made that may still be corrected.

        Args:
            oldest: instant of each series.
            above: level of the windows.
            level: of what they are made of, where that makes longer ones as well.
        """
        longest = self._lengths[above]
        if level is not None:
            longest = max(longest, self._longest.get(level, 0), self.laid_aside.reach_ns)
        return np.where(oldest == NO_ROWS, NO_ROWS, oldest - longest)

    def adopt(
        self, former: Memory, watermark: IntArray, gone_out: Mapping[str, Iterator[RowArray]]
    ) -> None:
        """Go on from the memory of windows of other lengths.

        Args:
            former: that memory.
            watermark: of each series, ns.
            gone_out: the windows beyond these lengths that do not go on, by resolution, in blocks.
        """
        self.readings.restore(former.readings.snapshot())
        self._lay_aside(former, watermark, gone_out)
        for level, length in enumerate(self._lengths):
            if length not in former._lengths:
                if self.is_kept(level):
                    self._begin(level, watermark)
                else:
                    self._revisions[level].restore(self.laid_aside.revisions(self._name(level)))
                continue
            place = former._lengths.index(length)
            theirs = former._states if former.is_kept(place) else former._revisions
            if self.is_kept(level) and not former.is_kept(place):
                self._begin(level, watermark, theirs[place])
                continue
            tables = self._states if self.is_kept(level) else self._revisions
            tables[level].restore(theirs[place].snapshot())

    def _lay_aside(
        self, former: Memory, watermark: IntArray, gone_out: Mapping[str, Iterator[RowArray]]
    ) -> None:
        """Keep the revisions of what is not made any more."""
        aside = self.laid_aside
        aside.adopt(former.laid_aside)
        lengths = enumerate(former._lengths)
        shorter = {
            former._name(level): former._gone_out(level, watermark)
            for level, length in lengths
            if length not in self._lengths
        }
        for name, blocks in [*shorter.items(), *gone_out.items()]:
            for rows in blocks:
                aside.lay(name, rows)
                self.make_room()
        aside.whole = {former._name(level) for level in former._states}

    def _gone_out(self, level: int, watermark: IntArray) -> Iterator[RowArray]:
        """Yield windows that went out: those that may be revised as others than the first time.

        Under other lengths, windows of the hour under way may close a second time.
        """
        if self.is_kept(level):
            yield from self.blocks(level, len(watermark))
            return
        series = np.arange(len(watermark), dtype=np.int32)
        end = watermark // self._lengths[level] * self._lengths[level]
        rows = self.readings.between(series, watermark // HOUR_NS * HOUR_NS, end)
        for step in range(level + 1):
            rows = self._reduce(step, rows)
        yield rows
        table = self._revisions[level]
        yield table.between(series, np.full(len(end), -NO_ROWS), np.full(len(end), NO_ROWS))

    def _name(self, level: int) -> str:
        return format_length(self._lengths[level])

    def _begin(self, level: int, watermark: IntArray, revisions: Table | None = None) -> None:
        """Work out the closed windows of a length not kept before, so that late rows find them.

        Args:
            level: of the windows.
            watermark: of each series, ns.
            revisions: those above 0 of windows that went out; None where none did of late.
        """
        end = watermark // self._lengths[level] * self._lengths[level]
        source = self.readings if level == self.first_kept else self._states[level - 1]
        for codes in source.series_blocks(len(end)):
            rows = source.between(codes, np.full(len(codes), -NO_ROWS), end[codes])
            for step in range(level + 1) if level == self.first_kept else (level,):
                rows = self._reduce(step, rows)
            if revisions is not None:
                rows["revision"] = revisions.find(rows["series"], rows["time"])[1]["revision"]
            else:
                number = self.laid_aside.numbers(self._name(level), rows)
                rows["revision"] = np.maximum(number, 0)
            self._states[level].insert(rows)
            self.make_room()

    def names(self) -> set[str]:
        """Return the names of what lies on the shelf."""
        return set().union(*(table.names() for table in self._tables().values()))

    def snapshot(self) -> Snapshot:
        """Return what is in memory and the names of the rest; much in memory is laid down first."""
        arrays: Snapshot = {}
        for name, table in self._tables().items():
            if table.memory_bytes > self._bound // _SNAPSHOTS_KEEP:
                table.spill()
            arrays.update(nested(name, table.snapshot()))
        return arrays

    def restore(self, snapshot: Mapping[str, Any]) -> int | None:
        """Take over a snapshot; return the last instant of what was given up, None of nothing."""
        self.laid_aside.expect(snapshot)
        tables = ((table, part(name, snapshot)) for name, table in self._tables().items())
        # A snapshot of an earlier version lacks what there was not.
        found = [(table, run) for table, parts in tables if parts for run in table.restore(parts)]
        return max((run.last + self._made_from(table) for table, run in found), default=None)

    def _made_from(self, table: Table) -> int:
        """Return how long windows made from rows of a table are, days at most: they lack them.

        Months and years go on with what is left, and their coverage says so.
        """
        return 0 if table is self.readings else 2 * DAY_NS

    def _tables(self) -> dict[str, Table]:
        states = {f"states_{level}": table for level, table in self._states.items()}
        revisions = {f"revisions_{level}": table for level, table in self._revisions.items()}
        aside = self.laid_aside.tables()
        return {"readings": self.readings, **states, **revisions, **aside, **self._attached}


def windows_of(rows: RowArray, length_ns: int) -> tuple[npt.NDArray[np.int32], IntArray]:
    """Return series and start of the windows that rows belong to, sorted, each once."""
    keys = np.zeros(len(rows), [("time", "i8"), ("series", "i4")])
    keys["series"], keys["time"] = rows["series"], statistics.window_starts(rows, length_ns)
    keys = ordered(keys)
    return keys["series"], keys["time"]
