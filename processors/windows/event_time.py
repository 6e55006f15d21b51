# SPDX-License-Identifier: EUPL-1.2
"""Windows in event time, each series by its own clock, with revisions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import AggregateBatch, FloatArray, JudgedBatch
from lamppost.component import register
from lamppost.flags import FLAG_NAMES
from lamppost.periods import FixedPeriod, Period
from lamppost.series import SeriesTable
from lamppost.shelf import MemoryShelf, Shelf
from lamppost.state import Snapshot, nested, part
from lamppost.times import HOUR_NS, SECOND_NS, format_length
from lamppost.zones import CityCalendar

from . import _sketch as sketch
from . import _statistics as statistics
from ._beside import Beside
from ._change import Change
from ._clock import NEVER, SeriesClocks
from ._former_snapshot import converted, is_former
from ._kinds import Kinds
from ._memory import Memory, windows_of
from ._paces import Paces
from ._pending import Pending
from ._publication import Rule, aggregates
from ._roll_ups import RollUps, Source
from ._rows import IntArray, RowArray, blocks, in_spans, joined, ordered, picked, whole
from ._settings import EventTimeSettings, EventTimeWords
from ._singles import Singles
from ._sketches import Sketches, quantile_columns
from ._table import NO_ROWS

_BLOCK: Final = 1_000
_SPAN: Final = np.dtype([("time", "i8"), ("length", "i8"), ("series", "i4")])


@register("aggregator")
class EventTimeWindows(EventTimeWords):
    """Statistics of windows from a minute to a year, and how much of each is covered.

    A window closes when its series' own clock passes its end by the allowed lateness. That clock is
    the newest device time, running on with engine time while the series is silent, so a device that
    is wrong about the time harms only itself. A reading for a closed window re-opens that window
    and those it is part of; each goes out again with the next revision. Longer windows are merged
    from the shorter ones, so hours from minutes equal hours from readings.

    Source: event time, watermarks and late panes as in Beam and Flink, whose published transcripts
    are among the tests; Chan's merging of variances; DDSketch (Masson et al. 2019) for quantiles;
    coverage rules of 2008/50/EC, Annexes VII and XI.

    Known failures: a device whose clock is wrong fills the wrong windows (see the alert on clocks);
    a series with a single reading has no cadence yet and is taken to have the default one.
    """

    name: ClassVar[str] = "event_time"
    Settings: ClassVar[type[EventTimeSettings]] = EventTimeSettings

    def __init__(
        self,
        settings: EventTimeSettings,
        series: SeriesTable,
        shelf: Shelf | None = None,
        city: CityCalendar | None = None,
    ) -> None:
        """Start without readings; what exceeds the bound of memory goes onto the shelf.

        Raises:
            ConfigError: days of the city cannot be made of the windows there are.
        """
        city = city or CityCalendar("UTC")
        shelf = shelf or MemoryShelf()
        self._settings = settings
        self._series = series
        self._lengths = settings.lengths_ns
        self._included = np.zeros(256, np.bool_)
        self._included[[flag for flag, name in FLAG_NAMES.items() if name in settings.include]] = (
            True
        )
        self._clocks = SeriesClocks(round(settings.allowed_lateness_s * SECOND_NS))
        self._pending = [
            Pending(statistics.STATE if level else statistics.RAW, partial(self._ends, level))
            for level in range(len(self._lengths))
        ]
        self._singles = Singles(partial(self._ends, 1), partial(self._reduce, 0))
        bound = round(settings.memory_mb * 1_000_000)
        self._rule = Rule(settings.min_coverage, settings.valid_hours)
        self._kinds = Kinds(
            series,
            time_weighted=settings.time_weighted,
            linear=settings.between_readings == "linear",
            calm_below=settings.calm_below,
            min_resultant=settings.min_resultant,
            wraps_at=settings.counters_wrap_at,
        )
        self._beside = Beside(series, self._included)
        periods = settings.roll_ups(city)
        level_of = {period.name: settings.level_below(period, city) for period in periods}
        keep_from = min([HOUR_NS, *(self._lengths[level] for level in level_of.values())])
        self._memory = Memory(self._lengths, self._reduce, shelf, bound, keep_from)
        default_ns = round(settings.default_period_s * SECOND_NS)
        self._paces = Paces(default_ns, self._memory.readings)
        self._sketches = {level: Sketches(shelf) for level in sorted(set(level_of.values()))}
        sources = {name: self._source(level) for name, level in level_of.items()}
        self._roll_ups = RollUps(periods, sources, shelf, self._kinds, self._memory.laid_aside)
        self._gone: dict[str, RowArray] = {}
        self._former_hours = np.empty(0, statistics.STATE)
        self._attach()
        self._looked_at = 0

    @property
    def lengths(self) -> tuple[int, ...]:
        """The resolutions of the windows there are: fixed lengths, ns, then minus the calendars."""
        longer = [level.period for level in self._roll_ups]
        return (
            *self._lengths,
            *(p.length_ns if isinstance(p, FixedPeriod) else -p.calendar for p in longer),
        )

    def clock(self, column: str) -> IntArray:
        """Return the ``newest`` instant of each series, or its ``watermark``: what is closed."""
        found: IntArray = self._clocks[column]
        return found

    def shelved(self) -> set[str]:
        """Return the names of the rows on the shelf."""
        return self._memory.names()

    def add(self, judged: JudgedBatch) -> None:
        """Take readings in; a later version of an instant replaces the former."""
        if not len(judged):
            return
        count = len(self._series)
        rows = np.zeros(len(judged), statistics.RAW)
        for name in ("series", "time", "value", "flag"):
            rows[name] = getattr(judged, name)
        rows["beside"] = np.nan
        first = judged.revision == 0
        # An amended verdict says nothing about the clock.
        if first.any():
            self._clocks.hear(judged.series, judged.time, judged.received, count)
        self._clocks.grow(count)
        again = self._beside.fill(rows, self._held)
        self._pending[0].add(rows, count)
        self._pending[0].add(again, count)

    def _held(
        self, series: npt.NDArray[np.int32], time: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.bool_], RowArray]:
        """Return which instants are held, and the newest row of each (zeros where none is)."""
        newer, rows = self._pending[0].find(series, time)
        asked = np.flatnonzero(~newer)
        newer[asked], older = self._memory.readings.find(series[asked], time[asked])
        whole(rows)[asked] = whole(older)
        return newer, rows

    def known(
        self, series: npt.NDArray[np.int32], time: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Return which instants are held, and the value of each."""
        held, rows = self._held(series, time)
        return held, rows["value"].copy()

    def hours(
        self, series: npt.NDArray[np.int32], start: IntArray, end: IntArray
    ) -> AggregateBatch:
        """Return the newest revision of the hours that begin in a span of each series, sorted."""
        level = len(self._lengths) - 1
        if self._lengths[level] != HOUR_NS:
            return AggregateBatch.empty()
        return self._as_hours(self._memory.states(level).between(series, start, end))

    def former_hours(
        self, series: npt.NDArray[np.int32], start: IntArray, end: IntArray
    ) -> AggregateBatch:
        """Return what the hours were that the last step of time revised, sorted."""
        return self._as_hours(in_spans(self._former_hours, series, start, end))

    def _as_hours(self, states: RowArray) -> AggregateBatch:
        period = FixedPeriod(HOUR_NS, HOUR_NS)
        length = np.full(len(states), HOUR_NS)
        return self._published(period, states, length, np.empty(0, sketch.ROW))

    def oldest(
        self, series: npt.NDArray[np.int32], newest: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return the oldest instant a series may still be corrected at, by its newest one."""
        self._clocks.grow(len(self._series))
        horizon = newest - round(self._settings.correction_horizon_s * SECOND_NS)
        oldest: IntArray = np.maximum(horizon, self._clocks["forgotten"][series])
        return oldest

    def advance(self, now: int) -> AggregateBatch:
        """Close and revise every window whose time has come."""
        self._clocks.grow(len(self._series))
        self._former_hours = self._former_hours[:0]
        former = self._clocks["watermark"].copy()
        clock = self._clocks.advance(now)
        rows = self._pending[0].take(clock)
        change = None
        if len(rows):
            rows, change = self._remember(ordered(rows), former)
        batches = self._close_all(rows, change, former, clock)
        batches += self._close_longer(clock)
        self._memory.make_room()
        self._forget(now)
        return AggregateBatch.concat(batches)

    def _remember(self, rows: RowArray, former: IntArray) -> tuple[RowArray, Change | None]:
        """Put readings of closed windows into memory.

        Returns:
            Those that came in time, and what the others change.
        """
        changed = self._paces.assign(rows, len(former))
        readings = self._memory.readings
        late = self._ends(0, rows) <= former[rows["series"]]
        if not late.any() and not len(changed):
            readings.insert(rows)
            return rows, None
        disturbed = joined([changed, picked(rows, late)], rows.dtype)
        series, start, end = self._reopened(disturbed, former)
        before = readings.between(series, start, end)
        readings.insert(ordered(joined([changed, rows], rows.dtype)))
        return picked(rows, ~late), Change(before, readings.between(series, start, end))

    def _reopened(
        self, late: RowArray, former: IntArray
    ) -> tuple[npt.NDArray[np.int32], IntArray, IntArray]:
        """Return the longest closed windows, of those made straight from readings, of late rows."""
        closed = former[late["series"]]
        length = np.full(len(late), self._lengths[0])
        for level in range(1, min(self._memory.first_kept + 1, len(self._lengths))):
            length[self._ends(level, late) <= closed] = self._lengths[level]
        spans = np.zeros(len(late), _SPAN)
        spans["series"], spans["length"] = late["series"], length
        spans["time"] = late["time"] // length * length
        spans = ordered(spans)
        return spans["series"], spans["time"], spans["time"] + spans["length"]

    def _close_all(
        self, rows: RowArray, change: Change | None, former: IntArray, clock: IntArray
    ) -> list[AggregateBatch]:
        """Close and revise the windows of every level, the longer from the shorter."""
        batches = []
        for level in range(len(self._lengths)):
            late, alone = rows[:0], rows
            if level:
                rows, late, alone = self._due(level, former, clock)
            states = self._reduce(level, rows)
            if level == 1 and len(alone):
                made = self._made_of_readings(1, alone)
                states = ordered(joined([states, made], statistics.STATE))
            if level > self._memory.first_kept:
                change = self._change_of(level, late)
            elif change:
                change = change.reduced(level, self._reduce)
            if change:
                revised = self._revise(level, change, former)
                if len(revised):
                    states = ordered(joined([states, revised], statistics.STATE))
            if len(states):
                # Windows of one reading each go on as readings, unless revisions are among them.
                is_same = level == 0 < self._memory.first_kept and not change
                singles = alone if is_same and len(alone) == len(states) else alone[:0]
                batches.append(self._publish(level, states, singles, former))
        return batches

    def _due(
        self, level: int, former: IntArray, clock: IntArray
    ) -> tuple[RowArray, RowArray, RowArray]:
        """Return the states due at a level, those of closed windows, and readings due at it."""
        rows, alone = self._pending[level].take(clock), np.empty(0, statistics.RAW)
        is_late = self._ends(level, rows) <= former[rows["series"]]
        late = rows[:0]
        if is_late.any():
            rows, late = picked(rows, ~is_late), picked(rows, is_late)
        if level == 1:
            rows, alone = self._singles.take(rows, clock)
        return ordered(rows), late, alone

    def _change_of(self, level: int, late: RowArray) -> Change | None:
        """Return closed windows of a level built from kept ones, which late states belong to."""
        if not len(late):
            return None
        series, start = windows_of(late, self._lengths[level])
        rows = self._memory.sources(level, series, start)
        return Change(rows[:0], self._reduce(level, rows))

    def _revise(self, level: int, change: Change, former: IntArray) -> RowArray:
        """Return the closed windows that say something else now, with their next revision."""
        states = change.after
        states = picked(states, self._ends(level, states) <= former[states["series"]])
        held, before = self._memory.former(level, states, change.before)
        states["revision"] = np.where(held, before["revision"] + 1, 0)
        new = ~held | statistics.differs(states, before)
        if self._lengths[level] == HOUR_NS:
            self._former_hours = picked(before, held & new)
        return picked(states, new)

    def _publish(
        self, level: int, states: RowArray, singles: RowArray, former: IntArray
    ) -> AggregateBatch:
        """Remember states, hand them on to the next level, and return what goes out.

        Args:
            level: of the windows.
            states: of the windows.
            singles: their readings, where each has just one, and then handed on in their place.
            former: clock of each series at the tick before.
        """
        self._memory.publish(level, states)
        if level + 1 < len(self._lengths):
            onward = singles if len(singles) else states
            if level < self._memory.first_kept:
                # Closed windows straight above are worked out from readings, see _reopened.
                is_open = self._ends(level + 1, onward) > former[onward["series"]]
                onward = onward if is_open.all() else picked(onward, is_open)
            waiting = self._singles if len(singles) else self._pending[level + 1]
            waiting.add(onward, len(self._series))
        return self._aggregates(level, states)

    def _close_longer(self, clock: IntArray) -> list[AggregateBatch]:
        """Close and revise the windows longer than an hour."""
        closed = self._roll_ups.advance(self._gone, clock, self._settings.min_coverage)
        self._gone = {}
        return [self._published(*found) for found in closed]

    def _ends(self, level: int, rows: RowArray) -> IntArray:
        """Return the end of the window of a level that each row belongs to."""
        return statistics.window_starts(rows, self._lengths[level]) + self._lengths[level]

    def _reduce(self, level: int, rows: RowArray) -> RowArray:
        if not len(rows):
            return np.empty(0, statistics.STATE)
        if level == 0:
            return self._made_of_readings(0, rows)
        return statistics.of_states(rows, self._lengths[level], self._kinds)

    def _made_of_readings(self, level: int, rows: RowArray) -> RowArray:
        return statistics.of_readings(rows, self._lengths[level], self._included, self._kinds)

    def _aggregates(self, level: int, states: RowArray) -> AggregateBatch:
        length, shortest = self._lengths[level], self._settings.quantiles_from_ns
        bins = np.empty(0, sketch.ROW)
        if shortest is not None and (length >= shortest or level in self._sketches):
            bins = self._bins(level, states)
        if level in self._sketches:
            self._gone[format_length(length)] = states
            self._sketches[level].insert(bins, picked(states, states["revision"] > 0))
        if shortest is not None and length < shortest:
            bins = bins[:0]
        period = FixedPeriod(length, length)
        return self._published(period, states, np.full(len(states), length), bins)

    def _published(
        self, period: Period, states: RowArray, length: IntArray, bins: RowArray
    ) -> AggregateBatch:
        quantiles: dict[str, FloatArray] = {}
        if len(bins):
            quantiles = quantile_columns(
                states, bins, states["low"], states["high"], self._settings.quantile_rule
            )
        return aggregates(
            period,
            states,
            length,
            rule=self._rule,
            kinds=self._kinds,
            quantiles=quantiles,
        )

    def _bins(self, level: int, states: RowArray) -> RowArray:
        """Return the sketches of windows, straight from their readings."""
        parts = [self._bins_of(level, part) for part in blocks(states, _BLOCK)]
        return joined(parts, sketch.ROW)

    def _bins_of(self, level: int, states: RowArray) -> RowArray:
        series, start = states["series"], states["time"]
        length = self._lengths[level]
        rows = self._memory.readings.between(series, start, start + length)
        enters = self._included[rows["flag"]] & np.isfinite(rows["value"])
        enters &= self._kinds.have_quantiles(rows["series"])
        rows = rows if enters.all() else picked(rows, enters)
        return sketch.of_readings(rows["series"], rows["time"] // length * length, rows["value"])

    def _source(self, level: int) -> Source:
        length = self._lengths[level]
        sketches = self._sketches[level] if self._settings.quantiles_from is not None else None
        return Source(format_length(length), length, self._memory.states(level), sketches)

    def _attach(self) -> None:
        """Let the memory look after what the longer windows keep."""
        lengths = self._lengths
        reach = {
            level: self._roll_ups.reach_ns(format_length(lengths[level]), lengths[level])
            for level in self._sketches
        }
        own = {f"sketches_{level}": found.table for level, found in self._sketches.items()}
        self._memory.attach({**own, **self._roll_ups.tables()}, reach)

    def _forget(self, now: int) -> None:
        """Once an hour, let go of what lies beyond the horizon; no result depends on when."""
        if now // HOUR_NS == self._looked_at:
            return
        self._looked_at = now // HOUR_NS
        newest = self._clocks["newest"]
        series = np.arange(len(newest), dtype=np.int32)
        oldest = np.where(newest == NEVER, NO_ROWS, self.oldest(series, newest))
        self._memory.expire(oldest)
        self._roll_ups.expire(oldest)

    def adopt(self, former: EventTimeWindows) -> AggregateBatch:
        """Go on from an aggregator with other settings, so that a policy change loses no reading.

        Windows of a length that stays go on with their revisions. Those of a new length start with
        the window under way; for the earlier ones their statistics are worked out from what is
        held, without being published, so that a late reading finds them whole.

        Returns:
            The windows of a former time zone that are none any more, each taken back.
        """
        count = len(self._series)
        former._clocks.grow(count)
        newest = former._clocks["newest"]
        gone = former.oldest(np.arange(count, dtype=np.int32), newest)
        self._clocks.adopt(former._clocks, gone, former._lengths[0])
        self._paces.cadence.restore(former._paces.cadence.snapshot())
        watermark, at_least = self._clocks["watermark"], self._settings.min_coverage
        gone_out = former._roll_ups.gone_out(self._roll_ups, count)
        self._memory.adopt(former._memory, watermark, gone_out)
        self._adopt_sketches(former)
        withdrawn = self._roll_ups.adopt(former._roll_ups, watermark, gone, at_least)
        self._resume(former._pending[0].rows())
        return AggregateBatch.concat([self._published(*found) for found in withdrawn])

    def _adopt_sketches(self, former: EventTimeWindows) -> None:
        kept = former._sketches if former._settings.quantiles_from is not None else {}
        theirs = {former._lengths[level]: found for level, found in kept.items()}
        for level, found in self._sketches.items():
            same = theirs.get(self._lengths[level])
            if same is not None:
                found.table.restore(same.table.snapshot())
            elif self._settings.quantiles_from is not None:
                for states in self._memory.blocks(level, len(self._series)):
                    found.insert(self._bins(level, states), states[:0])

    def _resume(self, waiting: RowArray) -> None:
        """Take up the windows under way at every level."""
        count = len(self._series)
        watermark = self._clocks["watermark"]
        series = np.arange(count, dtype=np.int32)
        shortest = watermark // self._lengths[0] * self._lengths[0]
        open_end = np.full(count, NO_ROWS)
        for level, length in enumerate(self._lengths):
            start = watermark // length * length
            rows = self._memory.readings.between(series, start, open_end)
            if level == 0:
                rows = joined([rows, waiting], rows.dtype)
            rows = picked(rows, rows["time"] < shortest[rows["series"]]) if level else rows
            for step in range(level):
                rows = self._reduce(step, rows)
            self._pending[level].add(rows, count)

    def snapshot(self) -> Snapshot:
        """Return the whole state."""
        parts = {f"pending_{level}": found.rows() for level, found in enumerate(self._pending)}
        return {
            "singles": self._singles.rows(),
            **nested("clocks", self._clocks.snapshot()),
            **nested("cadence", self._paces.cadence.snapshot()),
            **nested("memory", self._memory.snapshot()),
            **nested("roll_ups", self._roll_ups.snapshot()),
            **parts,
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot."""
        if is_former(snapshot):
            snapshot = converted(snapshot, self._lengths)
        self._clocks.restore(part("clocks", snapshot))
        self._paces.cadence.restore(part("cadence", snapshot))
        lost = self._memory.restore(part("memory", snapshot))
        if lost is not None:
            longest = self._lengths[-1]
            self._clocks.forget((lost // longest + 1) * longest)
        self._roll_ups.restore(part("roll_ups", snapshot), self._clocks["watermark"])
        # Earlier versions had states of them among the others.
        singles = snapshot.get("singles", self._singles.rows()[:0])
        self._singles.restore(singles, len(self._clocks["newest"]))
        for level, found in enumerate(self._pending):
            found.restore(snapshot[f"pending_{level}"], len(self._clocks["newest"]))
