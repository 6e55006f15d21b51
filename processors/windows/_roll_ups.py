# SPDX-License-Identifier: EUPL-1.2
"""Windows longer than an hour: side by side, hopping, and of the city's calendar.

Whatever changes a window makes the longer ones it is part of due. A due window is worked out, once
its series' clock has passed its end, from everything that is held of it; so a first value and a
revision are made the same way, and a revision goes up through all of them in one step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from lamppost.periods import CalendarPeriod, Period
from lamppost.shelf import Shelf
from lamppost.state import Snapshot, nested, part
from lamppost.times import HOUR_NS
from lamppost.zones import CityCalendar

from . import _seam as seam
from . import _sketch as sketch
from . import _statistics as statistics
from . import _validity as validity
from ._clock import NEVER
from ._due import WINDOW, DueWindows
from ._frames import Frames
from ._kinds import Kinds
from ._laid_aside import LaidAside
from ._places import inside
from ._rows import IntArray, RowArray, blocks, joined, ordered, picked
from ._seam import longest_ns
from ._sketches import Sketches
from ._table import NO_ROWS, Table

_BLOCK: Final = 1_000


class Closed(NamedTuple):
    """Windows that go out.

    Attributes:
        period: their resolution.
        states: of the windows, sorted by series and start, with their revisions.
        length: of each, ns.
        bins: their sketches.
    """

    period: Period
    states: RowArray
    length: IntArray
    bins: RowArray


class Source(NamedTuple):
    """What windows are made of: the states and sketches of shorter ones.

    Attributes:
        name: resolution of those.
        length_ns: their length, 0 for those of a calendar.
        states: all that are kept of them.
        sketches: theirs; None where none are kept.
    """

    name: str
    length_ns: int
    states: Table
    sketches: Sketches | None


class RollUp:
    """The windows of one resolution, made from those of another."""

    def __init__(
        self, period: Period, source: Source, shelf: Shelf, kinds: Kinds, aside: LaidAside
    ) -> None:
        """Start empty."""
        self.period = period
        self._source = source
        self._kinds = kinds
        self._aside = aside
        self.due = DueWindows()
        self.states = Table(statistics.STATE, shelf)
        self.sketches = Sketches(shelf)

    @property
    def source(self) -> Source:
        """What this resolution is made of."""
        return self._source

    @property
    def as_source(self) -> Source:
        """This resolution as what another one is made of."""
        return Source(self.period.name, 0, self.states, self.sketches)

    def mark(self, states: RowArray, series_count: int) -> None:
        """Make due the windows that shorter ones, which have just gone out, are part of."""
        found = self.period.windows(states["time"])
        self.due.add(states["series"][found.row], found.start, found.length, series_count)

    def close(self, clock: IntArray, at_least: float) -> Closed:
        """Work out what is due, and remember what is new or different.

        Args:
            clock: of each series, ns.
            at_least: part of an hour that makes it valid.
        """
        due = self.due.take(clock)
        if not len(due):
            nothing = np.empty(0, np.int64)
            return Closed(
                self.period, np.empty(0, statistics.STATE), nothing, np.empty(0, sketch.ROW)
            )
        made = [self._made(block, at_least) for block in blocks(due, _BLOCK)]
        states = joined(made, statistics.STATE)
        held, former = self.states.find(states["series"], states["time"])
        states["revision"] = np.where(held, former["revision"] + 1, 0)
        # What went out and cannot be brought back whole stays as it was.
        new = self._aside.numbers(self.period.name, states) < 0
        new = np.where(held, statistics.differs(states, former), new)
        states, held = picked(states, new), held[new]
        length = self.period.lengths(states["time"])
        bins = self._merged(states, length)
        self.states.insert(states)
        # Of windows of a fixed length nothing longer is made.
        if _in_calendar(self):
            self.sketches.insert(bins, picked(states, held))
        return Closed(self.period, states, length, bins)

    def _made(self, due: RowArray, at_least: float) -> RowArray:
        """Return the states of windows sorted by series and start."""
        rows, window = inside(due, self._source.states.between)
        if not self._source.length_ns:
            held = seam.says_something(rows)
            rows, window = picked(rows, held), window[held]
        if not len(rows):
            return np.empty(0, statistics.STATE)
        states = statistics.merged(rows, due["time"][window], self._kinds)
        if 0 < self._source.length_ns <= HOUR_NS:
            states["hours"] = validity.valid_hours(
                Frames.of(window), states["time"], rows, at_least
            )
        return states

    def _merged(self, states: RowArray, length: IntArray) -> RowArray:
        """Return the sketches of windows, from those of the shorter ones."""
        if self._source.sketches is None:
            return np.empty(0, sketch.ROW)
        windows = np.zeros(len(states), WINDOW)
        windows["series"], windows["time"] = states["series"], states["time"]
        windows["length"] = length
        found = []
        for block in blocks(windows, _BLOCK):
            rows, window = inside(block, self._source.sketches.between)
            rows["time"] = block["time"][window]
            found.append(sketch.merged(rows))
        return joined(found, sketch.ROW)

    def begin_sketches(self, series_count: int) -> None:
        """Make the sketches of windows that went out without, from those of the shorter ones."""
        for block in self.states.blocks(series_count):
            states = picked(block, seam.says_something(block))
            bins = self._merged(states, self.period.lengths(states["time"]))
            self.sketches.insert(bins, states)

    def bring_back(self, since: IntArray, watermark: IntArray, at_least: float) -> None:
        """Work out closed windows anew, without publishing them, so that late rows find them.

        Args:
            since: instant from which what they are made of is held, of each series, ns.
            watermark: of each series, ns.
            at_least: part of an hour that makes it valid.
        """
        for codes in self._source.states.series_blocks(len(since)):
            shorter = self._source.states.between(codes, since[codes], watermark[codes])
            found = self.period.windows(shorter["time"])
            windows = np.zeros(len(found.row), WINDOW)
            windows["series"] = shorter["series"][found.row]
            windows["time"], windows["length"] = found.start, found.length
            gone_out = found.start + found.length <= watermark[windows["series"]]
            gone_out |= self._aside.numbers(self.period.name, windows) >= 0
            held = found.start >= since[windows["series"]]
            windows = ordered(picked(windows, gone_out & held))
            for block in blocks(windows, _BLOCK):
                states = self._made(block, at_least)
                states = picked(states, self._aside.is_whole(self.period.name, states))
                number = self._aside.numbers(self.period.name, states)
                states["revision"] = np.maximum(number, 0)
                self.states.insert(states)
                if _in_calendar(self):
                    bins = self._merged(states, self.period.lengths(states["time"]))
                    self.sketches.insert(bins, states[:0])

    def remake(self, former: RollUp, since: int, series_count: int) -> Closed:
        """Take back windows of a former calendar, and make due those of the one there is now.

        Args:
            former: the same resolution by that calendar; what it keeps is here already.
            since: instant from which windows are made anew.
            series_count: how many series there are.
        """
        ours, theirs = self.period, former.period
        assert isinstance(ours, CalendarPeriod)  # noqa: S101 - others have no zone
        # Across the date line, the date before ends earlier than it did. Without a seam, a window
        # of theirs may begin before any of ours.
        start = min(
            int(ours.windows(np.array([since - 1])).start[0]),
            int(theirs.windows(np.array([since])).start[0]),
        )
        gone = []
        for rows in seam.blocks_since(self.states, start, series_count):
            fits = seam.fitting(ours, rows["time"], theirs.lengths(rows["time"]))
            gone.append(seam.taken_back(picked(rows, ~fits)))
        states = joined(gone, statistics.STATE)
        self.states.insert(states)
        self.sketches.insert(np.empty(0, sketch.ROW), states)
        waiting = former.due.rows()
        waiting = picked(waiting, seam.fitting(ours, waiting["time"], waiting["length"]))
        shorter = seam.blocks_since(self._source.states, start, series_count)
        due = [waiting, *(seam.due_rows(ours, rows) for rows in shorter)]
        self.due.restore(ordered(joined(due, WINDOW)), series_count)
        return Closed(theirs, states, theirs.lengths(states["time"]), np.empty(0, sketch.ROW))

    def expire(self, oldest: IntArray, reach_ns: int) -> None:
        """Forget what no correction can need any more.

        Args:
            oldest: oldest instant of each series that may still be corrected, NO_ROWS without any.
            reach_ns: longest window that is made from these, or their own length.
        """
        reach = np.where(oldest == NO_ROWS, NO_ROWS, oldest - reach_ns)
        for table in self.tables().values():
            table.expire(reach)

    def tables(self) -> dict[str, Table]:
        """Return what is kept, by name."""
        name = self.period.name
        return {f"states_{name}": self.states, f"sketches_{name}": self.sketches.table}


class RollUps:
    """All windows longer than an hour."""

    def __init__(
        self,
        periods: Sequence[Period],
        sources: Mapping[str, Source],
        shelf: Shelf,
        kinds: Kinds,
        aside: LaidAside,
    ) -> None:
        """Start empty.

        Args:
            periods: from short to long.
            sources: what each is made of, by its name, where that is not another of these.
            shelf: where rows go that need not be in memory.
            kinds: what is kept beside the usual.
            aside: which windows went out of periods that are not made at present.
        """
        self._first = NO_ROWS  # end of the first hour that days were ever made of
        self._aside = aside
        self._levels: list[RollUp] = []
        for period in periods:
            inner = self._inside(period)
            source = sources[period.name] if inner is None else inner.as_source
            self._levels.append(RollUp(period, source, shelf, kinds, aside))

    def __iter__(self) -> Iterator[RollUp]:
        """Iterate from short to long."""
        return iter(self._levels)

    def _inside(self, period: Period) -> RollUp | None:
        """Return the longest resolution whose windows make up those of another."""
        if not isinstance(period, CalendarPeriod):
            return None
        shorter = [
            level
            for level in self._levels
            if isinstance(level.period, CalendarPeriod) and level.period.calendar < period.calendar
        ]
        return shorter[-1] if shorter else None

    def advance(
        self, closed: Mapping[str, RowArray], clock: IntArray, at_least: float
    ) -> list[Closed]:
        """Close and revise every window whose time has come.

        Args:
            closed: windows that have just gone out, by resolution.
            clock: of each series, ns.
            at_least: part of an hour that makes it valid.
        """
        gone = dict(closed)
        found = []
        for level in self._levels:
            states = gone.get(level.source.name)
            if states is not None and len(states):
                self._note(level, states)
                level.mark(states, len(clock))
            out = level.close(clock, at_least)
            gone[level.period.name] = out.states
            if len(out.states):
                found.append(out)
        return found

    def expire(self, oldest: IntArray) -> None:
        """Forget what no correction can need any more."""
        for level in self._levels:
            longest = max(longest_ns(level.period), self._aside.reach_ns)
            level.expire(oldest, self.reach_ns(level.period.name, longest))

    def reach_ns(self, name: str, least_ns: int) -> int:
        """Return how long windows made from a resolution can be, at least a given length."""
        above = [longest_ns(level.period) for level in self._levels if level.source.name == name]
        return max([least_ns, *above])

    def tables(self) -> dict[str, Table]:
        """Return everything that is kept, by name."""
        return {name: table for level in self._levels for name, table in level.tables().items()}

    @property
    def city(self) -> CityCalendar | None:
        """The calendar of the days, months and years; None without any."""
        periods = (level.period for level in self._levels)
        return next((each.city for each in periods if isinstance(each, CalendarPeriod)), None)

    def _follow(self, city: CityCalendar) -> None:
        """Make days, months and years by a calendar from now on."""
        for level in self._levels:
            if isinstance(level.period, CalendarPeriod):
                level.period = CalendarPeriod(level.period.calendar, city)

    def adopt(
        self,
        former: RollUps,
        watermark: IntArray,
        oldest: IntArray,
        at_least: float,
    ) -> list[Closed]:
        """Go on from roll-ups under other settings; what is new begins with windows under way.

        Args:
            former: those roll-ups.
            watermark: of each series, ns.
            oldest: instant from which everything of each series is held, ns.
            at_least: part of an hour that makes it valid.

        Returns:
            Windows that are none any more.
        """
        self._first = former._first
        series_count, aside = len(watermark), self._aside
        if oldest.max(initial=NEVER) <= NEVER:
            return []  # nobody has been heard
        seam_at = self._seam(former, oldest)
        theirs = {level.period.name: level for level in former}
        begin_sketches = former._lack_sketches and not self._lack_sketches
        withdrawn = []
        for level in self._levels:
            same = theirs.get(level.period.name)
            if same is None or not _goes_on(same, level):
                if level.period.name in aside and level.source.name in aside.whole:
                    level.bring_back(oldest - aside.reach_ns, watermark, at_least)
                    aside.whole.add(level.period.name)
                self._begin(level, series_count, watermark)
                continue
            aside.whole.add(level.period.name)
            for name, table in level.tables().items():
                table.restore(same.tables()[name].snapshot())
            if same.period == level.period:
                level.due.restore(same.due.rows(), series_count)
            else:
                withdrawn.append(level.remake(same, seam_at, series_count))
            if begin_sketches and _in_calendar(level):
                level.begin_sketches(series_count)
        return withdrawn

    @property
    def _lack_sketches(self) -> bool:
        return any(level.source.sketches is None for level in self._levels)

    def gone_out(self, others: RollUps, series_count: int) -> dict[str, Iterator[RowArray]]:
        """Return the windows that went out of periods that others do not go on with, in blocks."""
        ours = {level.period.name: level for level in others}
        return {
            level.period.name: level.states.blocks(series_count)
            for level in self
            if level.period.name not in ours or not _goes_on(level, ours[level.period.name])
        }

    def _seam(self, former: RollUps, oldest: IntArray) -> int:
        """Go on with a former calendar; return from when windows are made anew where it ends."""
        city, before = self.city, former.city
        if city is None or before is None:
            return -NO_ROWS
        if city.name == before.name:
            self._follow(before)
            return -NO_ROWS
        # What is held of every series, so that none has to go on with days it does not hold.
        found = seam.seam_between(before, city, int(oldest.max()), former._first)
        self._follow(found.city)
        return found.since

    def _note(self, level: RollUp, states: RowArray) -> None:
        length = level.source.length_ns
        if _in_calendar(level) and length and len(states):
            self._first = min(self._first, int(states["time"].min()) + length)

    def _begin(self, level: RollUp, series_count: int, watermark: IntArray) -> None:
        series = np.arange(len(watermark), dtype=np.int32)
        heard = watermark > -NO_ROWS // 2
        series, now = series[heard], watermark[heard]
        start = level.period.windows(now).start[:: level.period.hops]
        rows = level.source.states.between(series, start, np.full(len(series), NO_ROWS))
        found = level.period.windows(rows["time"])
        codes = rows["series"][found.row]
        under_way = found.start + found.length > watermark[codes]
        self._note(level, picked(rows, found.row[under_way]))
        level.due.add(
            codes[under_way], found.start[under_way], found.length[under_way], series_count
        )

    def snapshot(self) -> Snapshot:
        """Return which windows are due, and former zones; the tables are the caller's to store."""
        due = nested("due", {level.period.name: level.due.rows() for level in self._levels})
        if self.city is None:
            return due
        return {
            **due,
            "former_zones": seam.as_rows(self.city),
            "first": np.array([self._first]),
        }

    def restore(self, snapshot: Mapping[str, Any], watermark: IntArray) -> None:
        """Take over a snapshot; what it lacks begins with the windows under way."""
        due = part("due", snapshot)
        if self.city is not None and "former_zones" in snapshot:
            self._follow(seam.from_rows(self.city.name, snapshot["former_zones"]))
        # Snapshots of earlier versions lack it: what is held tells most of it.
        held = (level.states.first for level in filter(_in_calendar, self._levels))
        self._first = (
            int(snapshot["first"][0]) if "first" in snapshot else min(held, default=NO_ROWS)
        )
        for level in self._levels:
            if level.period.name in due:
                level.due.restore(due[level.period.name], len(watermark))
            else:
                self._begin(level, len(watermark), watermark)


def _goes_on(former: RollUp, level: RollUp) -> bool:
    ours, theirs = level.period, former.period
    if isinstance(ours, CalendarPeriod) and isinstance(theirs, CalendarPeriod):
        # Another zone is the matter of the seam.
        return ours.city.name != theirs.city.name or former.source.name == level.source.name
    return ours == theirs and former.source.name == level.source.name


def _in_calendar(level: RollUp) -> bool:
    return isinstance(level.period, CalendarPeriod)
