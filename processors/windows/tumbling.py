# SPDX-License-Identifier: EUPL-1.2
"""Tumbling windows in event time, each series by its own clock, with revisions."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator, model_validator

from lamppost.batch import FIXED, AggregateBatch, JudgedBatch
from lamppost.component import Settings, register
from lamppost.flags import FLAG_NAMES, GOOD, MISSING, SUSPECT
from lamppost.series import SeriesTable
from lamppost.shelf import MemoryShelf, Shelf
from lamppost.state import Snapshot, nested, part
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS

from . import _statistics as statistics
from ._cadence import Cadence
from ._clock import NEVER, SeriesClocks
from ._former_snapshot import converted, is_former
from ._memory import Memory, Reduce, windows_of
from ._pending import Pending
from ._rows import IntArray, RowArray, ordered
from ._table import NO_ROWS

_UNITS_NS: Final = {"s": SECOND_NS, "min": MINUTE_NS, "h": HOUR_NS}
_LENGTH: Final = re.compile(r"(\d+)(s|min|h)")
_SPAN: Final = np.dtype([("time", "i8"), ("length", "i8"), ("series", "i4")])


class TumblingSettings(Settings):
    """Which windows there are, and when they close."""

    lengths: tuple[str, ...] = Field(
        default=("1min", "15min", "1h"),
        description="Window lengths from short to long, each a multiple of the one before.",
    )
    allowed_lateness_s: float = Field(
        default=30.0, ge=0, description="How long a window waits for late readings, seconds."
    )
    correction_horizon_s: float = Field(
        default=2_592_000.0,
        ge=0,
        description="How far behind its series' newest reading a late one may lie, seconds.",
    )
    memory_mb: float = Field(
        default=32.0,
        gt=0,
        description="How much of the readings and statistics that can still be corrected stays in "
        "memory, megabytes; the rest lies in files.",
    )
    include: tuple[str, ...] = Field(
        default=("good", "not_evaluated", "suspect"),
        description="Flags of the readings that enter the statistics.",
    )
    min_coverage: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="Part of a window that must be covered, else its aggregate is suspect.",
    )
    default_period_s: float = Field(
        default=60.0,
        gt=0,
        description="Time a series' first reading accounts for, and the longest gap taken to be "
        "usual before three are known, seconds.",
    )

    @property
    def lengths_ns(self) -> tuple[int, ...]:
        """The window lengths in nanoseconds."""
        return tuple(_length_ns(text) for text in self.lengths)

    @field_validator("lengths")
    @classmethod
    def _nest(cls, lengths: tuple[str, ...]) -> tuple[str, ...]:
        values = [_length_ns(text) for text in lengths]
        if not values or any(b % a or b <= a for a, b in itertools.pairwise(values)):
            raise ValueError("each length must be a multiple of the one before")
        return lengths

    @model_validator(mode="after")
    def _known_flags(self) -> Self:
        unknown = set(self.include) - set(FLAG_NAMES.values())
        if unknown:
            raise ValueError(f"unknown flags in include: {', '.join(sorted(unknown))}")
        return self


@register("aggregator")
class Tumbling:
    """Count, mean, minimum, maximum, deviation and coverage of nested windows.

    A window closes when its series' own clock passes its end by the allowed lateness. That clock is
    the newest device time, running on with engine time while the series is silent, so a device that
    is wrong about the time harms only itself. A reading for a closed window re-opens that window
    and those it is part of; each goes out again with the next revision. Longer windows are merged
    from the shorter ones (Chan), so hours from minutes equal hours from readings.
    """

    name: ClassVar[str] = "tumbling"
    Settings: ClassVar[type[TumblingSettings]] = TumblingSettings

    def __init__(
        self, settings: TumblingSettings, series: SeriesTable, shelf: Shelf | None = None
    ) -> None:
        """Start without readings; what exceeds the bound of memory goes onto the shelf."""
        self._settings = settings
        self._series = series
        self._lengths = settings.lengths_ns
        self._included = np.zeros(256, np.bool_)
        self._included[[flag for flag, name in FLAG_NAMES.items() if name in settings.include]] = (
            True
        )
        self._cadence = Cadence(round(settings.default_period_s * SECOND_NS))
        self._clocks = SeriesClocks(round(settings.allowed_lateness_s * SECOND_NS))
        self._pending = [
            Pending(statistics.STATE if level else statistics.RAW, length)
            for level, length in enumerate(self._lengths)
        ]
        bound = round(settings.memory_mb * 1_000_000)
        self._memory = Memory(self._lengths, self._reduce, shelf or MemoryShelf(), bound)
        self._looked_at = 0

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths of the windows there are, from short to long, ns."""
        return self._lengths

    @property
    def clock_skew_ns(self) -> npt.NDArray[np.float64]:
        """How far receipt usually lies behind device time, by series; NaN where never heard."""
        self._clocks.grow(len(self._series))
        return self._clocks.skew()

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
        first = judged.revision == 0
        fresh = judged if first.all() else judged.take(first)
        # An amended verdict says nothing about clock or cadence.
        if len(fresh):
            self._clocks.hear(judged.series, judged.time, judged.received, count)
            rows["cover"][first] = self._cadence.learn(fresh.series, fresh.time, count)
        self._clocks.grow(count)
        self._pending[0].add(rows, count)

    def known(
        self, series: npt.NDArray[np.int32], time: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Return which instants are held, and the value of each."""
        newer, rows = self._pending[0].find(series, time)
        values = rows["value"].copy()
        asked = np.flatnonzero(~newer)
        held, rows = self._memory.readings.find(series[asked], time[asked])
        values[asked] = rows["value"]
        newer[asked] = held
        return newer, values

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
        former = self._clocks["watermark"].copy()
        clock = self._clocks.advance(now)
        rows = self._pending[0].take(clock)
        batches = []
        if len(rows):
            late = self._ends(0, rows) <= former[rows["series"]]
            fresh = ordered(rows if not late.any() else rows[~late], inherit="cover")
            change = self._remember(rows, fresh, late, former)
            batches = self._close_all(fresh, change, former, clock)
        else:
            batches = self._close_all(rows, None, former, clock)
        self._memory.make_room()
        self._forget(now)
        return AggregateBatch.concat(batches)

    def _remember(
        self, rows: RowArray, fresh: RowArray, late: npt.NDArray[np.bool_], former: IntArray
    ) -> _Change | None:
        """Put readings of closed windows into memory; return what late ones change there."""
        readings = self._memory.readings
        if not late.any():
            readings.insert(fresh)
            return None
        series, start, end = self._reopened(rows[late], former)
        before = readings.between(series, start, end)
        readings.insert(ordered(rows, inherit="cover"))
        return _Change(before, readings.between(series, start, end))

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
        self, rows: RowArray, change: _Change | None, former: IntArray, clock: IntArray
    ) -> list[AggregateBatch]:
        """Close and revise the windows of every level, the longer from the shorter."""
        batches = []
        for level in range(len(self._lengths)):
            late = rows[:0]
            if level:
                rows = self._pending[level].take(clock)
                is_late = self._ends(level, rows) <= former[rows["series"]]
                rows, late = ordered(rows[~is_late]), rows[is_late]
            states = self._reduce(level, rows)
            if level > self._memory.first_kept:
                change = self._change_of(level, late)
            elif change:
                change = change.reduced(level, self._reduce)
            if change:
                revised = self._revise(level, change, former)
                states = ordered(np.concatenate([states, revised])) if len(revised) else states
            if len(states):
                batches.append(self._publish(level, states, former))
        return batches

    def _change_of(self, level: int, late: RowArray) -> _Change | None:
        """Return closed windows of a level built from kept ones, which late states belong to."""
        if not len(late):
            return None
        series, start = windows_of(late, self._lengths[level])
        rows = self._memory.sources(level, series, start)
        return _Change(rows[:0], self._reduce(level, rows))

    def _revise(self, level: int, change: _Change, former: IntArray) -> RowArray:
        """Return the closed windows that say something else now, with their next revision."""
        states = change.after
        states = states[self._ends(level, states) <= former[states["series"]]]
        held, before = self._memory.former(level, states, change.before)
        states["revision"] = np.where(held, before["revision"] + 1, 0)
        revised: RowArray = states[~held | statistics.differs(states, before)]
        return revised

    def _publish(self, level: int, states: RowArray, former: IntArray) -> AggregateBatch:
        """Remember states, hand them on to the next level, and return what goes out."""
        self._memory.publish(level, states)
        if level + 1 < len(self._lengths):
            onward = states
            if level < self._memory.first_kept:
                # Closed windows straight above are worked out from readings, see _reopened.
                onward = states[self._ends(level + 1, states) > former[states["series"]]]
            self._pending[level + 1].add(onward, len(self._series))
        return self._aggregates(states, self._lengths[level])

    def _ends(self, level: int, rows: RowArray) -> IntArray:
        """Return the end of the window of a level that each row belongs to."""
        return statistics.window_starts(rows, self._lengths[level]) + self._lengths[level]

    def _reduce(self, level: int, rows: RowArray) -> RowArray:
        if not len(rows):
            return np.empty(0, statistics.STATE)
        if level == 0:
            return statistics.of_readings(rows, self._lengths[0], self._included)
        return statistics.of_states(rows, self._lengths[level])

    def _aggregates(self, states: RowArray, length: int) -> AggregateBatch:
        count = states["count"]
        empty = count == 0
        coverage = np.minimum(states["cover"] / length, 1.0)
        deviation = np.full(len(states), np.nan)
        np.divide(states["squares"], count - 1, out=deviation, where=count > 1)
        covered = np.where(coverage < self._settings.min_coverage, SUSPECT, GOOD)
        return AggregateBatch(
            series=states["series"],
            start=states["time"],
            length=np.full(len(states), length),
            calendar=np.full(len(states), FIXED, np.uint8),
            revision=states["revision"],
            count=count,
            expected=_expected(states, length, self._cadence.usual(states["series"])),
            coverage=coverage,
            mean=states["mean"],
            min=np.where(empty, np.nan, states["low"]),
            max=np.where(empty, np.nan, states["high"]),
            sd=np.sqrt(deviation),
            total=np.where(empty, np.nan, states["total"]),
            suspect=states["suspect"],
            excluded=states["excluded"],
            flag=np.where(empty, MISSING, covered).astype(np.uint8),
        )

    def _forget(self, now: int) -> None:
        """Once an hour, let go of what lies beyond the horizon; no result depends on when."""
        if now // HOUR_NS == self._looked_at:
            return
        self._looked_at = now // HOUR_NS
        newest = self._clocks["newest"]
        series = np.arange(len(newest), dtype=np.int32)
        self._memory.expire(np.where(newest == NEVER, NO_ROWS, self.oldest(series, newest)))

    def adopt(self, former: Tumbling) -> None:
        """Go on from an aggregator with other settings, so that a policy change loses no reading.

        Windows of a length that stays go on with their revisions. Those of a new length start with
        the window under way; for the earlier ones their statistics are worked out from what is
        held, without being published, so that a late reading finds them whole.
        """
        count = len(self._series)
        former._clocks.grow(count)
        newest = former._clocks["newest"]
        gone = former.oldest(np.arange(count, dtype=np.int32), newest)
        self._clocks.adopt(former._clocks, gone, former._lengths[0])
        self._cadence.restore(former._cadence.snapshot())
        self._memory.adopt(former._memory, self._clocks["watermark"])
        self._resume(former._pending[0].rows())

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
                rows = np.concatenate([rows, waiting])
            rows = rows[rows["time"] < shortest[rows["series"]]] if level else rows
            for step in range(level):
                rows = self._reduce(step, rows)
            self._pending[level].add(rows, count)

    def snapshot(self) -> Snapshot:
        """Return the whole state."""
        parts = {f"pending_{level}": found.rows() for level, found in enumerate(self._pending)}
        return {
            **nested("clocks", self._clocks.snapshot()),
            **nested("cadence", self._cadence.snapshot()),
            **nested("memory", self._memory.snapshot()),
            **parts,
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot."""
        if is_former(snapshot):
            snapshot = converted(snapshot, self._lengths)
        self._clocks.restore(part("clocks", snapshot))
        self._cadence.restore(part("cadence", snapshot))
        lost = self._memory.restore(part("memory", snapshot))
        if lost is not None:
            longest = self._lengths[-1]
            self._clocks.forget((lost // longest + 1) * longest)
        for level, found in enumerate(self._pending):
            found.clear()
            found.add(snapshot[f"pending_{level}"], len(self._clocks["newest"]))


class _Change(NamedTuple):
    """Rows of windows that late readings belong to, without them and with them."""

    before: RowArray
    after: RowArray

    def reduced(self, level: int, reduce: Reduce) -> _Change:
        """Return the states of a level, made of the rows below."""
        return _Change(reduce(level, self.before), reduce(level, self.after))


def _expected(
    states: RowArray, length: int, usual: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return how many readings the pace of those that entered would have put in a whole window.

    Where none entered, the pace is the series' usual one.
    """
    pace = np.divide(
        states["cover"], states["count"], out=usual.astype(np.float64), where=states["cover"] > 0
    )
    expected: npt.NDArray[np.float64] = length / pace
    return expected


def _length_ns(text: str) -> int:
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a length such as 30s, 15min or 1h")
    return int(match[1]) * _UNITS_NS[match[2]]
