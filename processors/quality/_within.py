# SPDX-License-Identifier: EUPL-1.2
"""Since when the values of each series have stayed within a tolerance of each other.

Of the readings up to now two staircases are enough: the values no later one has exceeded, which
fall towards now, and those no later one has undercut, which rise. Whichever way a new value goes,
it takes steps off one staircase, and where it lies too far from the other, it cuts that one short.
A reading is put on either once and taken off once, so its cost does not depend on the length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import Rows
from lamppost.grouping import BoolArray, Groups
from lamppost.state import Snapshot

from ._look_back import SIDES, Limits, Reach, between, each, group_of, reaches
from ._series_last import SeriesLast, in_blocks
from ._stretches import accumulate_each

_BLOCK: Final = 65_536  # rows at a time: more leave the caches, fewer cost calls
_LARGEST: Final = np.finfo(np.float64).max
_KEPT: Final = ("value", "since", "first")


@dataclass(frozen=True, slots=True)
class Stay:
    """Rows that may belong to a long stay: when it began, and its readings up to the row.

    Both are told apart only so far as the limits ask.
    """

    rows: Int64Array
    began: Int64Array
    readings: Int64Array


@dataclass(frozen=True, slots=True)
class _Ends:
    """The newest row of each group.

    Attributes:
        reach: how far back each stays together with the rows of the batch.
        near: first step of either staircase that is near enough, shape (2 groups,).
        kept: whether anything of the staircases is to be kept, shape (2 groups,).
    """

    reach: Reach
    near: Int64Array
    kept: BoolArray


class Within:
    """The staircases of each series; series go by numbers from 0 on.

    A step says: since an instant, and since a reading by its number in the series, no value has
    been higher. Steps of a series stand in a ring, from ``head`` to ``tail``; the newest one holds
    the newest value. Steps from which on everything is long enough are dropped but for the last.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._state = SeriesLast(
            {
                "value": np.empty((1, SIDES, 0)),
                "since": np.empty((1, SIDES, 0), np.int64),
                "first": np.empty((1, SIDES, 0), np.int64),
                "head": np.empty((SIDES, 0), np.int64),
                "tail": np.empty((SIDES, 0), np.int64),
                "seen": np.empty(0, np.int64),
            }
        )

    def grow(self, size: int) -> None:
        """Make room for a number of series."""
        self._state.grow(size)

    def follow(self, rows: Rows, limits: Limits) -> Stay:
        """Return the stays of rows that may be in a long one, and remember all.

        Args:
            rows: numbers, at least one; codes are numbers the state has room for.
            limits: of each group.
        """
        blocks = []
        for part, block in in_blocks(rows, _BLOCK):
            found = self._follow(block, limits.take(_groups_of(rows.groups, part)))
            blocks.append(Stay(found.rows + part.start, found.began, found.readings))
        if len(blocks) == 1:
            return blocks[0]
        columns = zip(*((one.rows, one.began, one.readings) for one in blocks), strict=True)
        return Stay(*map(np.concatenate, columns))

    def _follow(self, rows: Rows, limits: Limits) -> Stay:
        groups = rows.groups
        value = np.clip(rows.value, -_LARGEST, _LARGEST)
        continues = self._continues(groups, value, limits.tolerance)
        reach = reaches(groups, rows.time, value, limits, continues)
        began, first, near = self._begin(groups, rows.time, reach, limits, continues)
        before = self._state["seen"][groups.places] - groups.starts
        ordinal = reach.rows + each(before, groups, reach.rows)
        stay = Stay(reach.rows, began, ordinal - first + 1)
        if not groups.once:
            newest = np.searchsorted(reach.rows, groups.lasts)
            reach, near = reach.take(newest), near[:, newest]
        kept = np.tile((reach.begin == groups.starts) & continues, SIDES)
        steps = _steps(groups, rows.time, value, reach.begin, limits)
        self._remember(groups, rows.time, _Ends(reach, near.ravel(), kept), steps, limits)
        return stay

    def _continues(self, groups: Groups, value: FloatArray, tolerance: FloatArray) -> BoolArray:
        """Return for each group whether its first value may stay with those before the batch."""
        state, places = self._state, groups.places
        tail = state["tail"][0, places]
        newest = state["value"].reshape(-1).take(self._slots(tail - 1, places))
        with np.errstate(over="ignore"):
            near = np.abs(value[groups.starts] - newest) < tolerance
        found: BoolArray = near & (tail > state["head"][0, places])
        return found

    def _begin(
        self,
        groups: Groups,
        time: Int64Array,
        reach: Reach,
        limits: Limits,
        continues: BoolArray,
    ) -> tuple[Int64Array, Int64Array, Int64Array]:
        """Return when the stay of each row began, the number of its first reading, and its steps.

        Those are the first ones near enough, shape (2, rows), of rows that stay with former ones.
        """
        near = np.zeros((SIDES, len(reach.rows)), np.int64)
        began = time[reach.begin]
        before = self._state["seen"][groups.places] - groups.starts
        first = reach.begin + each(before, groups, reach.rows)
        # -1 is no row: what does not stay with former values has none before the batch.
        start = each(np.where(continues, groups.starts, -1), groups, reach.rows)
        back = np.flatnonzero(reach.begin == start)
        if len(back):
            mine = group_of(groups, reach.rows[back])
            column = self._columns(groups.places[mine])
            step = self._near(column, reach.top[::-1, back].ravel(), limits.tolerance[mine])
            near[:, back] = step.reshape(SIDES, -1)
            for name, found in (("since", began), ("first", first)):
                kept = self._kept(name, column, step, np.tile(found[back], SIDES))
                found[back] = kept.reshape(SIDES, -1).max(axis=0)
        return began, first, near

    def _near(self, column: Int64Array, opposite: FloatArray, tolerance: FloatArray) -> Int64Array:
        """Return the first step of each staircase near enough to the highest of the other side."""
        tolerance = np.tile(tolerance, SIDES)

        def near(value: FloatArray, lane: Int64Array) -> BoolArray:
            found: BoolArray = value + opposite[lane] < tolerance[lane]
            return found

        with np.errstate(over="ignore"):
            return self._first_step(column, near)

    def _remember(
        self, groups: Groups, time: Int64Array, ends: _Ends, steps: _Steps, limits: Limits
    ) -> None:
        """Cut the staircases as the newest values ask, and put these on."""
        state, places = self._state, groups.places
        column = self._columns(places)
        head, tail = state["head"].reshape(-1), state["tail"].reshape(-1)
        reach, kept = ends.reach, np.flatnonzero(ends.kept)
        top = reach.top.ravel()[kept]
        higher = self._first_step(column[kept], lambda held, lane: held <= top[lane])
        seen = state["seen"][places]
        inherited = {
            "since": np.tile(time[reach.begin], SIDES),
            "first": np.tile(seen + reach.begin - groups.starts, SIDES),
        }
        for name, own in inherited.items():
            own[kept] = self._kept(name, column[kept], higher, own[kept])
        head[column] = tail[column]
        head[column[kept]], tail[column[kept]] = ends.near[kept], higher
        self._put(groups, time, steps, inherited, seen)
        state["seen"][places] = seen + groups.lasts - groups.starts + 1
        self._drop(groups, time[groups.lasts], limits)

    def _put(
        self,
        groups: Groups,
        time: Int64Array,
        steps: _Steps,
        inherited: Mapping[str, Int64Array],
        seen: Int64Array,
    ) -> None:
        """Put steps on the staircases; the first of each inherits what it replaces."""
        tail = self._state["tail"].reshape(-1)
        size = np.bincount(steps.lane, minlength=SIDES * len(groups.places))
        opens = np.cumsum(size) - size
        turn = np.arange(len(steps.lane)) - opens[steps.lane]
        group = steps.lane % len(groups.places)
        since = time[steps.since]
        first = seen[group] + steps.since - groups.starts[group]
        for column, name in ((since, "since"), (first, "first")):
            column[opens] = np.where(steps.whole, inherited[name], column[opens])
        column = self._columns(groups.places)
        head = self._state["head"].reshape(-1)[column]
        self._widen(int((tail[column] + size - head).max()))
        slot = self._slots(tail[column[steps.lane]] + turn, column[steps.lane])
        for name, added in (("value", steps.value), ("since", since), ("first", first)):
            self._state[name].reshape(-1)[slot] = added
        tail[column] += size

    def _drop(self, groups: Groups, now: Int64Array, limits: Limits) -> None:
        """Drop steps in front of one from which on everything is long enough."""
        column = self._columns(groups.places)
        head, tail = self._state["head"].reshape(-1), self._state["tail"].reshape(-1)
        late = np.tile(now - limits.longest_ns, SIDES)
        enough = np.tile(self._state["seen"][groups.places] - limits.least, SIDES)
        left = np.flatnonzero(head[column] + 1 < tail[column])
        while len(left):
            slot = self._slots(head[column[left]] + 1, column[left])
            old = self._state["since"].reshape(-1).take(slot) <= late[left]
            left = left[old & (self._state["first"].reshape(-1).take(slot) <= enough[left])]
            head[column[left]] += 1
            left = left[head[column[left]] + 1 < tail[column[left]]]

    def _first_step(
        self, column: Int64Array, holds: Callable[[FloatArray, Int64Array], BoolArray]
    ) -> Int64Array:
        """Return the first step for which something holds, which then holds for all later ones.

        Args:
            column: staircases to look at, shape (n,).
            holds: says so of values of steps, given which of the staircases each is of.
        """
        value = self._state["value"].reshape(-1)
        low, high = (self._state[end].reshape(-1)[column] for end in ("head", "tail"))
        # Where the first step is near enough, as while a stay goes on, nothing is to be looked for.
        left = np.flatnonzero(low < high)
        middle = low[left]
        while len(left):
            found = holds(value.take(self._slots(middle, column[left])), left)
            high[left] = np.where(found, middle, high[left])
            low[left] = np.where(found, low[left], middle + 1)
            left = left[low[left] < high[left]]
            middle = (low[left] + high[left]) // 2
        return low

    def _kept(
        self, name: str, column: Int64Array, step: Int64Array, otherwise: Int64Array
    ) -> Int64Array:
        """Return what is kept of steps; something else behind the last one."""
        found = self._state[name].reshape(-1).take(self._slots(step, column))
        return np.where(step < self._state["tail"].reshape(-1)[column], found, otherwise)

    def _columns(self, number: Int64Array) -> Int64Array:
        """Return the places of both staircases of some series among all of one ring row."""
        return np.concatenate([number, number + len(self._state["seen"])])

    def _slots(self, step: Int64Array, column: Int64Array) -> Int64Array:
        depth, _, room = self._state["value"].shape
        slots: Int64Array = (step & (depth - 1)) * (SIDES * room) + column
        return slots

    def _widen(self, steps: int) -> None:
        """Make room for a number of steps."""
        depth, _, room = self._state["value"].shape
        if steps <= depth:
            return
        wider = 1 << (steps - 1).bit_length()
        head = self._state["head"]
        step = head + ((np.arange(depth)[:, None, None] - head) & (depth - 1))
        slot = ((step & (wider - 1)) * (SIDES * room)).reshape(depth, -1) + np.arange(SIDES * room)
        for name in _KEPT:
            array = np.zeros((wider, SIDES, room), self._state[name].dtype)
            array.reshape(-1)[slot.ravel()] = self._state[name].ravel()
            self._state[name] = array

    def begin(self, value: FloatArray, since: Int64Array, readings: Int64Array) -> None:
        """Start over from stays at one value, shape (series,); none where it is NaN."""
        self.grow(len(value))
        known = np.flatnonzero(~np.isnan(value))
        for side, held in enumerate((value, -value)):
            self._state["value"][0, side, known] = held[known]
            self._state["since"][0, side, known] = since[known]
            self._state["tail"][side, known] = 1
        self._state["seen"][known] = readings[known]

    def snapshot(self) -> Snapshot:
        """Return the staircases."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over staircases."""
        self._state.restore(snapshot)


@dataclass(frozen=True, slots=True)
class _Steps:
    """Steps to put on staircases: lane (group, the negatives behind all groups) by lane.

    Attributes:
        lane: whose each is, ascending.
        value: shape (steps,).
        since: row from which on no value is higher.
        whole: for each lane whether its first step is of the first row of the stay.
    """

    lane: Int64Array
    value: FloatArray
    since: Int64Array
    whole: BoolArray


def _steps(
    groups: Groups, time: Int64Array, value: FloatArray, begin: Int64Array, limits: Limits
) -> _Steps:
    """Return the steps that the rows of each group make from one of them on."""
    count = len(groups.places)
    if groups.once:
        lane = np.arange(SIDES * count)
        both = np.concatenate([value, -value])
        return _Steps(lane, both, np.tile(groups.starts, SIDES), np.ones(len(lane), np.bool_))
    lasts = groups.lasts
    rows, opens = between(begin, lasts)
    group = group_of(groups, rows)
    late = (time[lasts] - limits.longest_ns)[group]
    enough = (time[rows] <= late) & (rows <= (lasts - limits.least)[group] + 1)
    start = begin + np.maximum(np.add.reduceat(enough.astype(np.int64), opens) - 1, 0)
    rows, opens = between(start, lasts)
    sides = np.stack([value[rows], -value[rows]])
    highest = sides[:, ::-1].copy()
    size = lasts - start + 1
    accumulate_each(np.maximum, highest, (len(rows) - opens - size)[::-1], size[::-1])
    is_step = np.ones(sides.shape, np.bool_)
    is_step[:, :-1] = sides[:, :-1] > highest[:, ::-1][:, 1:]
    is_step[:, opens + size - 1] = True
    side, place = np.nonzero(is_step)
    lane = side * count + group_of(groups, rows[place])
    since = np.append(-1, rows[place][:-1]) + 1
    opened = np.append(True, lane[1:] != lane[:-1])
    since[opened] = np.tile(start, SIDES)
    return _Steps(lane, sides[side, place], since, np.tile(start == begin, SIDES))


def _groups_of(groups: Groups, rows: slice) -> slice:
    """Return which groups some rows in a row are of."""
    part = group_of(groups, rows)
    return slice(int(part[0]), int(part[-1]) + 1)
