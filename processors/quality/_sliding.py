# SPDX-License-Identifier: EUPL-1.2
"""Statistics of a time window that ends at each reading, at a constant cost for each.

Time is cut into panes as long as the window. A window then is the end of one pane and the beginning
of the next: running results forwards through the newer pane, and backwards through the older one,
give it without ever taking anything away again, which would lose digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import Rows
from lamppost.grouping import BoolArray
from lamppost.state import Snapshot

from ._series_last import SeriesLast, in_blocks
from ._stretches import Stretches, accumulate_each

Activity = Literal["sd", "range"]

_PARTS: Final = 2
_BLOCK: Final = 16_384  # rows whose columns stay in a core's cache
_CLOSED_AT_ONCE: Final = 256
_NEVER: Final = -(2**62)
_FILLS: Final[dict[str, Any]] = {
    "pane": np.int64(_NEVER),
    "origin": np.float64(np.nan),
    "held": np.int64(0),
    "former": np.int64(0),
    "at": np.int64(0),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the window of each row holds, shape (n,)."""

    count: Int64Array
    activity: FloatArray


class Sliding:
    """The two newest panes of each series.

    Two running results are kept for each reading: of a standard deviation the sum and the sum of
    squares, counted from the first value ever; of a range the smallest value and the smallest
    negative one.

    State: the number of the newest pane, its readings so far (``held`` of them), and of the pane
    just before it (``former`` of them, 0 unless it is the very one before) the results from each
    reading to its end, up to ``at`` of which no window reaches back any more. What is kept for each
    reading has the series side by side, since they mostly stand at the same place.
    """

    def __init__(self, activity: Activity) -> None:
        """Start empty."""
        self.by_sd = activity == "sd"
        self._add: np.ufunc = np.add if self.by_sd else np.minimum
        self._nothing = 0.0 if self.by_sd else np.inf
        arrays = {
            **{name: np.empty(0, fill.dtype) for name, fill in _FILLS.items()},
            "parts": np.empty((_PARTS, 0)),
            "time": np.empty((0, 0), np.int64),
            "value": np.empty((0, 0)),
            "former_time": np.empty((0, 0), np.int64),
            "former_parts": np.empty((_PARTS, 0, 0)),
        }
        self._state = SeriesLast(arrays, {**_FILLS, "parts": self._nothing})

    def grow(self, size: int) -> None:
        """Make room for a number of series."""
        self._state.grow(size)

    def origin(self, number: int) -> float:
        """Return the first value ever of a series."""
        return float(self._state["origin"][number])

    def alike(self, number: int, size: int) -> Sliding:
        """Return an empty memory of some series that count from the same value as one here."""
        made = Sliding("sd" if self.by_sd else "range")
        made.grow(size)
        made._state["origin"][:] = self.origin(number)
        return made

    def follow(self, rows: Rows, window_ns: Int64Array) -> Seen:
        """Return what the window up to each row holds, and remember the rows.

        Args:
            rows: finite numbers; codes are numbers the state has room for.
            window_ns: length of each row's window, the same for all rows of a series, shape (n,).
        """
        blocks = [self._follow(block, window_ns[part]) for part, block in in_blocks(rows, _BLOCK)]
        if len(blocks) == 1:
            return blocks[0]
        count, activity = zip(*((block.count, block.activity) for block in blocks), strict=True)
        return Seen(np.concatenate(count), np.concatenate(activity))

    def _follow(self, rows: Rows, window_ns: Int64Array) -> Seen:
        if not len(rows):
            return Seen(rows.time, rows.value)
        stretches = Stretches.of(rows.groups, rows.time // window_ns)
        walk = _Walk(stretches, rows.groups.places[stretches.group], rows.time)
        goes_on = (stretches.turn == 0) & (stretches.bucket == self._state["pane"][walk.number])
        with np.errstate(over="ignore", invalid="ignore"):
            own, origin = self._own(rows)
            forwards = self._forwards(walk, goes_on, own)
            backwards = self._backwards(walk, own)
            since = rows.time - window_ns
            before = _Before(
                np.full((_PARTS, len(rows)), self._nothing), np.zeros(len(rows), np.int64)
            )
            self._from_state(before, walk.rows_where(goes_on), walk, since)
            self._close(walk, goes_on, backwards, origin[stretches.group])
            self._from_before(before, walk, goes_on, since, backwards)
            count = (
                walk.turn
                + 1
                + np.where(goes_on, self._state["held"][walk.number], 0)[stretches.of_row]
            )
            self._remember(walk, goes_on, rows.value, forwards, backwards)
            parts = self._add(before.parts, forwards)
            return self._seen(count + before.count, parts)

    def _seen(self, count: Int64Array, parts: FloatArray) -> Seen:
        if not self.by_sd:
            return Seen(count, -parts[1] - parts[0])
        mean = parts[0] / count
        variance = np.maximum(parts[1] / count - mean * mean, 0.0)
        return Seen(count, np.sqrt(variance))

    def _own(self, rows: Rows) -> tuple[FloatArray, FloatArray]:
        """Return what each row adds, shape (2, n), and the origin of each group's values."""
        groups, value = rows.groups, rows.value
        first = self._state["origin"][groups.places]
        origin = np.where(np.isnan(first), value[groups.starts], first)
        self._state["origin"][groups.places] = origin
        level = value - origin if groups.once else value - origin[groups.group]
        return self._parts_of(value, level), origin

    def _parts_of(self, value: FloatArray, level: FloatArray) -> FloatArray:
        return np.stack([level, level * level]) if self.by_sd else np.stack([value, -value])

    def _forwards(self, walk: _Walk, goes_on: BoolArray, own: FloatArray) -> FloatArray:
        """Return the results from the beginning of its pane to each row."""
        found, first = own.copy(), walk.stretches.first
        begin = np.where(goes_on, self._state["parts"].take(walk.number, axis=1), self._nothing)
        found[:, first] = self._add(begin, found[:, first])
        accumulate_each(self._add, found, first, walk.size)
        return found

    def _backwards(self, walk: _Walk, own: FloatArray) -> FloatArray:
        """Return the results from each row to the end of its pane, of panes that have ended."""
        if not walk.followed.any():
            return own
        found = own[:, ::-1].copy()
        end = own.shape[1] - walk.stretches.first - walk.size
        accumulate_each(self._add, found, end[::-1], walk.size[::-1])
        return found[:, ::-1]

    def _from_state(
        self, before: _Before, rows: Int64Array, walk: _Walk, since: Int64Array
    ) -> None:
        """Take from the former pane what is later than the beginning of each row's window."""
        state = self._state
        number = walk.number[walk.stretches.of_row[rows]]
        former = state["former"][number]
        if not former.any():
            return
        place = self._place(number, former, since[rows])
        state["at"][number] = place
        inside = np.flatnonzero(place < former)
        flat = place[inside] * len(state["pane"]) + number[inside]
        rows = rows[inside]
        for part, kept in zip(before.parts, state["former_parts"], strict=True):
            part[rows] = kept.reshape(-1).take(flat)
        before.count[rows] += former[inside] - place[inside]

    def _place(self, number: Int64Array, former: Int64Array, since: Int64Array) -> Int64Array:
        """Return the first reading of the former pane later than an instant, else its length."""
        place = self._state["at"][number]
        room, time = len(self._state["pane"]), self._state["former_time"].reshape(-1)
        left = np.flatnonzero(place < former)
        # Windows move on by a reading or two, so the place is mostly near where it was.
        for _ in range(2):
            passed = time.take(place[left] * room + number[left]) <= since[left]
            left = left[passed]
            place[left] += 1
            left = left[place[left] < former[left]]
        low, high = place[left], former[left]
        while (open_ := np.flatnonzero(low < high)).size:
            middle = (low[open_] + high[open_]) // 2
            later = time.take(middle * room + number[left[open_]]) > since[left[open_]]
            high[open_] = np.where(later, middle, high[open_])
            low[open_] = np.where(later, low[open_], middle + 1)
        place[left] = low
        return place

    def _close(
        self, walk: _Walk, goes_on: BoolArray, backwards: FloatArray, origin: FloatArray
    ) -> None:
        """Turn the held pane into the former one where another pane begins."""
        state, stretches = self._state, walk.stretches
        closed = np.flatnonzero((stretches.turn == 0) & (~goes_on | walk.followed))
        if not len(closed):
            return
        number = walk.number[closed]
        # Of a pane that is not the very one before, nothing can be in a window.
        apart = ~goes_on[closed] & (state["pane"][number] != stretches.bucket[closed] - 1)
        state["held"][number[apart]] = 0
        state["former"][number] = state["held"][number]
        state["at"][number] = 0
        ended = np.where(goes_on[closed], backwards[:, stretches.first[closed]], self._nothing)
        kept = np.flatnonzero(state["held"][number] > 0)
        for start in range(0, len(kept), _CLOSED_AT_ONCE):
            some = kept[start : start + _CLOSED_AT_ONCE]
            self._turn_over(number[some], origin[closed[some]], ended[:, some])

    def _turn_over(self, number: Int64Array, origin: FloatArray, ended: FloatArray) -> None:
        """Run backwards through held panes, on from what has been seen behind their ends."""
        state = self._state
        held = state["held"][number]
        longest = int(held.max())
        value = state["value"][:longest, number]
        results = np.full((_PARTS, longest + 1, len(number)), self._nothing)
        results[:, 0] = ended
        results[:, 1:] = self._parts_of(value, value - origin)[:, ::-1]
        empty = np.arange(longest)[::-1, None] >= held
        results[:, 1:][:, empty] = self._nothing
        self._add.accumulate(results, axis=1, out=results)
        state["former_parts"][:, :longest, number] = results[:, :0:-1]
        state["former_time"][:longest, number] = state["time"][:longest, number]

    def _from_before(
        self,
        before: _Before,
        walk: _Walk,
        goes_on: BoolArray,
        since: Int64Array,
        backwards: FloatArray,
    ) -> None:
        """Take from the pane before what each row's window holds of it."""
        stretches = walk.stretches
        adjacent = np.zeros(len(stretches.first), np.bool_)
        adjacent[1:] = (stretches.turn[1:] > 0) & (
            stretches.bucket[1:] == stretches.bucket[:-1] + 1
        )
        rows = walk.rows_where(adjacent)
        if len(rows):
            mine = stretches.of_row[rows]
            low, high = stretches.first[mine - 1], stretches.first[mine]
            place = np.clip(walk.after(rows, since), low, high)
            inside = np.flatnonzero(place < high)
            rows, place = rows[inside], place[inside]
            before.parts[:, rows] = backwards[:, place]
            before.count[rows] = high[inside] - place
        # Where the pane before began in an earlier batch, its first readings are in the state.
        began_earlier = (stretches.turn == 0) & ~goes_on
        began_earlier[1:] |= adjacent[1:] & goes_on[:-1]
        self._from_state(before, walk.rows_where(began_earlier), walk, since)

    def _remember(
        self,
        walk: _Walk,
        goes_on: BoolArray,
        value: FloatArray,
        forwards: FloatArray,
        backwards: FloatArray,
    ) -> None:
        """Keep the newest pane of each series, and the one before it."""
        state, stretches = self._state, walk.stretches
        last = np.flatnonzero(~walk.followed)
        number = walk.number[last]
        self._keep_former(walk, goes_on, last[stretches.turn[last] > 0], backwards)
        start = np.where(goes_on[last], state["held"][number], 0)
        rows, place = walk.rows_of(last, start)
        self._widen(int((start + walk.size[last]).max()))
        mine = walk.number[stretches.of_row[rows]]
        flat = place * len(state["pane"]) + mine
        state["time"].reshape(-1)[flat] = walk.time[rows]
        state["value"].reshape(-1)[flat] = value[rows]
        state["held"][number] = start + walk.size[last]
        state["pane"][number] = stretches.bucket[last]
        ends = stretches.first[last] + walk.size[last] - 1
        for part, kept in zip(forwards, state["parts"], strict=True):
            kept[number] = part[ends]

    def _keep_former(
        self, walk: _Walk, goes_on: BoolArray, last: Int64Array, backwards: FloatArray
    ) -> None:
        """Keep the results of the last pane but one of the batch, where the last follows it."""
        if not len(last):
            return
        state, before = self._state, last - 1
        number = walk.number[last]
        adjacent = walk.stretches.bucket[before] + 1 == walk.stretches.bucket[last]
        start = np.where(adjacent & goes_on[before], state["former"][number], 0)
        state["former"][number] = start + np.where(adjacent, walk.size[before], 0)
        state["at"][number] = 0
        rows, place = walk.rows_of(before[adjacent], start[adjacent])
        self._widen(int(state["former"][number].max(initial=0)))
        mine = walk.number[walk.stretches.of_row[rows]]
        state["former_time"][place, mine] = walk.time[rows]
        state["former_parts"][:, place, mine] = backwards[:, rows]

    def _widen(self, readings: int) -> None:
        """Make room for a number of readings in a pane."""
        width = len(self._state["time"])
        if readings <= width:
            return
        room = max(readings, 2 * width, 8)
        for name in ("time", "value", "former_time", "former_parts"):
            array = self._state[name]
            wider = np.zeros((*array.shape[:-2], room, array.shape[-1]), array.dtype)
            wider[..., :width, :] = array
            self._state[name] = wider

    def snapshot(self) -> Snapshot:
        """Return both panes of every series."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over both panes of every series."""
        self._state.restore(snapshot)


@dataclass(frozen=True, slots=True)
class _Before:
    """What windows hold of the pane before: running results, shape (2, n), and readings."""

    parts: FloatArray
    count: Int64Array


class _Walk:
    """A batch by stretches: rows of one series in one pane."""

    def __init__(self, stretches: Stretches, number: Int64Array, time: Int64Array) -> None:
        self.stretches = stretches
        self.number = number
        self.time = time
        self.size = np.diff(stretches.first, append=len(time))
        self.turn = np.arange(len(time)) - stretches.first[stretches.of_row]
        self.followed = np.zeros(len(number), np.bool_)
        self.followed[:-1] = stretches.turn[1:] > 0

    def rows_where(self, which: BoolArray) -> Int64Array:
        """Return the rows of some stretches."""
        if which.all():
            return np.arange(len(self.time))
        return np.flatnonzero(which[self.stretches.of_row])

    def rows_of(self, which: Int64Array, start: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Return the rows of some stretches, and their places counted from a start for each."""
        size = self.size[which]
        if len(which) == len(self.time):
            return which, start
        turn = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        return np.repeat(self.stretches.first[which], size) + turn, np.repeat(start, size) + turn

    def after(self, rows: Int64Array, since: Int64Array) -> Int64Array:
        """Return the first row of the same series later than an instant, for each of some rows."""
        group = self.stretches.group
        if len(self.number) == 0 or group[0] == group[-1]:
            return np.searchsorted(self.time, since[rows], side="right")
        found = np.empty(len(rows), np.int64)
        of_row = group[self.stretches.of_row]
        mine = of_row[rows]
        for start, end in _runs(mine):
            low, high = np.searchsorted(of_row, [mine[start], mine[start] + 1])
            wanted = since[rows[start:end]]
            found[start:end] = low + np.searchsorted(self.time[low:high], wanted, side="right")
        return found


def _runs(column: Int64Array) -> list[tuple[int, int]]:
    """Return where runs of equal numbers begin and end."""
    edges = np.flatnonzero(np.diff(column)) + 1
    return list(zip([0, *edges.tolist()], [*edges.tolist(), len(column)], strict=True))
