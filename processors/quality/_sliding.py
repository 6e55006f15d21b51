# SPDX-License-Identifier: EUPL-1.2
"""Statistics of a time window that ends at each reading, at a constant cost for each.

Time is cut into panes as long as the window. A window then is the end of one pane and the beginning
of the next: running results forwards through the newer pane, and backwards through the older one,
give it without ever taking anything away again, which would lose digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lamppost.batch import FloatArray, Int64Array
from lamppost.grouping import BoolArray, Groups
from lamppost.state import Snapshot
from processors._lanes import Lanes

from ._stretches import Stretches

_PARTS: Final = 5  # smallest, largest, sum, sum of squares, count; sums from the first value
_NOTHING: Final = np.array([np.inf, -np.inf, 0.0, 0.0, 0.0])
_NEVER: Final = -(2**62)
_FILLS: Final[dict[str, Any]] = {
    "pane": np.int64(_NEVER),
    "origin": np.float64(np.nan),
    "held": np.int64(0),
    "former": np.int64(0),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the window of each row holds, shape (n,)."""

    count: FloatArray
    range: FloatArray
    sd: FloatArray


class Sliding:
    """The two newest panes of each series.

    State: the number of the newest pane, its readings so far (``held`` of them), and of the pane
    just before it (``former`` of them, 0 unless it is the very one before) the results from each
    reading to its end.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._state: dict[str, np.ndarray[Any, Any]] = {
            **{name: np.empty(0, fill.dtype) for name, fill in _FILLS.items()},
            "parts": np.empty((0, _PARTS)),
            "time": np.empty((0, 0), np.int64),
            "value": np.empty((0, 0)),
            "former_time": np.empty((0, 0), np.int64),
            "former_parts": np.empty((0, 0, _PARTS)),
        }

    def grow(self, size: int) -> None:
        """Make room for a number of series."""
        known = len(self._state["pane"])
        if size <= known:
            return
        for name, array in self._state.items():
            added = np.zeros((size - known, *array.shape[1:]), array.dtype)
            added[...] = _FILLS.get(name, _NOTHING if name == "parts" else 0)
            self._state[name] = np.concatenate([array, added])

    def follow(
        self,
        groups: Groups,
        number: Int64Array,
        time: Int64Array,
        value: FloatArray,
        window_ns: Int64Array,
    ) -> Seen:
        """Return what the window up to each row holds, and remember the rows.

        Args:
            groups: the rows, sorted by series.
            number: of each group's series, shape (groups,).
            time: instants, shape (n,).
            value: finite numbers, shape (n,).
            window_ns: length of each row's window, the same for all rows of a series, shape (n,).
        """
        if not len(value):
            return Seen(value, value, value)
        stretches = Stretches.of(groups, time // window_ns)
        walk = _Walk(stretches, number[stretches.group], time)
        goes_on = (stretches.turn == 0) & (stretches.bucket == self._state["pane"][walk.number])
        first = self._state["origin"][number]
        origin = np.where(np.isnan(first), value[groups.starts], first)
        self._state["origin"][number] = origin
        with np.errstate(over="ignore", invalid="ignore"):
            level = value - origin[groups.group]
            forwards = self._forwards(walk, goes_on, value, level)
            backwards = self._backwards(walk, value, level)
            since = time - window_ns
            parts = np.broadcast_to(_NOTHING, (len(value), _PARTS)).copy()
            continuing = np.flatnonzero(goes_on[stretches.of_row])
            self._from_state(parts, continuing, walk, since)
            self._close(walk, goes_on, backwards, origin[stretches.group])
            self._from_before(parts, walk, goes_on, since, backwards)
            self._remember(walk, goes_on, value, forwards, backwards)
            return _statistics(_merged(parts.T, forwards.T))

    def _forwards(
        self, walk: _Walk, goes_on: BoolArray, value: FloatArray, level: FloatArray
    ) -> FloatArray:
        """Return the results from the beginning of its pane to each row."""
        begin = np.where(goes_on[:, None], self._state["parts"][walk.number], _NOTHING)
        rows = np.arange(len(value))
        return _run(Groups(rows, walk.stretches.of_row.astype(np.int32)), begin, value, level)

    def _backwards(self, walk: _Walk, value: FloatArray, level: FloatArray) -> FloatArray:
        """Return the results from each row to the end of its pane, of panes that have ended."""
        found = np.empty((len(value), _PARTS))
        rows = np.flatnonzero(walk.followed[walk.stretches.of_row])[::-1]
        if len(rows):
            of_row = walk.stretches.of_row[rows].astype(np.int32)
            groups = Groups(rows, of_row)
            begin = np.broadcast_to(_NOTHING, (len(groups.starts), _PARTS))
            found[rows] = _run(groups, begin, value[rows], level[rows])
        return found

    def _from_state(
        self, parts: FloatArray, rows: Int64Array, walk: _Walk, since: Int64Array
    ) -> None:
        """Take from the former pane what is later than the beginning of each row's window."""
        number = walk.number[walk.stretches.of_row[rows]]
        former = self._state["former"][number]
        rows, number, former = rows[former > 0], number[former > 0], former[former > 0]
        if not len(rows):
            return
        flat = self._state["former_time"].reshape(-1)
        base = number * self._state["former_time"].shape[1]
        place = _after(flat, base, base + former, since[rows]) - base
        inside = place < former
        parts[rows[inside]] = self._state["former_parts"][number[inside], place[inside]]

    def _close(
        self, walk: _Walk, goes_on: BoolArray, backwards: FloatArray, origin: FloatArray
    ) -> None:
        """Turn the held pane into the former one where another pane begins."""
        state, stretches = self._state, walk.stretches
        ends = (stretches.turn == 0) & (~goes_on | walk.followed)
        closed = np.flatnonzero(ends)
        number = walk.number[closed]
        # Of a pane that is not the very one before, nothing can be in a window.
        apart = ~goes_on[closed] & (state["pane"][number] != stretches.bucket[closed] - 1)
        state["held"][number[apart]] = 0
        held = state["held"][number]
        running = np.where(goes_on[closed][:, None], backwards[stretches.first[closed]], _NOTHING)
        state["former_time"][number] = state["time"][number]
        state["former"][number] = held
        for place in range(int(held.max(initial=0)) - 1, -1, -1):
            some = np.flatnonzero(held > place)
            value = state["value"][number[some], place]
            running[some] = _added(running[some].T, value, value - origin[closed][some]).T
            state["former_parts"][number[some], place] = running[some]

    def _from_before(
        self,
        parts: FloatArray,
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
        rows = np.flatnonzero(adjacent[stretches.of_row])
        if len(rows):
            mine = stretches.of_row[rows]
            low, high = stretches.first[mine - 1], stretches.first[mine]
            place = _after(walk.time, low, high, since[rows])
            inside = place < high
            parts[rows[inside]] = backwards[place[inside]]
        # Where the pane before began in an earlier batch, its first readings are in the state.
        began_earlier = np.zeros(len(stretches.first), np.bool_)
        began_earlier[1:] = adjacent[1:] & goes_on[:-1]
        began_earlier |= (stretches.turn == 0) & ~goes_on
        self._from_state(parts, np.flatnonzero(began_earlier[stretches.of_row]), walk, since)

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
        state["time"][mine, place], state["value"][mine, place] = walk.time[rows], value[rows]
        state["held"][number] = start + walk.size[last]
        state["pane"][number] = stretches.bucket[last]
        state["parts"][number] = forwards[stretches.first[last] + walk.size[last] - 1]

    def _keep_former(
        self, walk: _Walk, goes_on: BoolArray, last: Int64Array, backwards: FloatArray
    ) -> None:
        """Keep the results of the last pane but one of the batch, where the last follows it."""
        state, before = self._state, last - 1
        number = walk.number[last]
        adjacent = walk.stretches.bucket[before] + 1 == walk.stretches.bucket[last]
        start = np.where(adjacent & goes_on[before], state["former"][number], 0)
        state["former"][number] = start + np.where(adjacent, walk.size[before], 0)
        rows, place = walk.rows_of(before[adjacent], start[adjacent])
        self._widen(int(state["former"][number].max(initial=0)))
        mine = walk.number[walk.stretches.of_row[rows]]
        state["former_time"][mine, place] = walk.time[rows]
        state["former_parts"][mine, place] = backwards[rows]

    def _widen(self, readings: int) -> None:
        """Make room for a number of readings in a pane."""
        width = self._state["time"].shape[1]
        if readings <= width:
            return
        for name in ("time", "value", "former_time", "former_parts"):
            array = self._state[name]
            wider = np.zeros(
                (len(array), max(readings, 2 * width, 8), *array.shape[2:]), array.dtype
            )
            wider[:, :width] = array
            self._state[name] = wider

    def snapshot(self) -> Snapshot:
        """Return both panes of every series."""
        return {name: array.copy() for name, array in self._state.items()}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over both panes of every series."""
        self._state = {name: np.array(snapshot[name]) for name in self._state}


class _Walk:
    """A batch by stretches: rows of one series in one pane."""

    def __init__(self, stretches: Stretches, number: Int64Array, time: Int64Array) -> None:
        self.stretches = stretches
        self.number = number
        self.time = time
        self.size = np.diff(stretches.first, append=len(time))
        self.followed = np.zeros(len(number), np.bool_)
        self.followed[:-1] = stretches.turn[1:] > 0

    def rows_of(self, which: Int64Array, start: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Return the rows of some stretches, and their places counted from a start for each."""
        size = self.size[which]
        turn = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        return np.repeat(self.stretches.first[which], size) + turn, np.repeat(start, size) + turn


def _run(groups: Groups, begin: FloatArray, value: FloatArray, level: FloatArray) -> FloatArray:
    """Return running results over the rows of each group, from what each begins with."""
    lanes = Lanes.of(groups)
    running = begin[lanes.groups].T.copy()
    laid_value, laid_level = value[lanes.order], level[lanes.order]
    laid = np.empty((_PARTS, len(value)))
    for rows, lane in lanes.rounds():
        running[:, lane] = _added(running[:, lane], laid_value[rows], laid_level[rows])
        laid[:, rows] = running[:, lane]
    found = np.empty((len(value), _PARTS))
    found[lanes.order] = laid.T
    return found


def _added(parts: FloatArray, value: FloatArray, level: FloatArray) -> FloatArray:
    low, high, total, squares, count = parts
    return np.stack(
        [
            np.minimum(low, value),
            np.maximum(high, value),
            total + level,
            squares + level * level,
            count + 1,
        ]
    )


def _merged(one: FloatArray, other: FloatArray) -> FloatArray:
    low, high = np.minimum(one[0], other[0]), np.maximum(one[1], other[1])
    return np.stack([low, high, *(one[2:] + other[2:])])


def _statistics(parts: FloatArray) -> Seen:
    low, high, total, squares, count = parts
    mean = total / count
    variance = np.maximum(squares / count - mean * mean, 0.0)
    return Seen(count, high - low, np.sqrt(variance))


def _after(time: Int64Array, low: Int64Array, high: Int64Array, since: Int64Array) -> Int64Array:
    """Return the first place in ``[low, high)`` later than an instant, else ``high``."""
    low, high = low.copy(), high.copy()
    while (unsettled := low < high).any():
        middle = (low + high) // 2
        later = time[np.minimum(middle, len(time) - 1)] > since
        high = np.where(unsettled & later, middle, high)
        low = np.where(unsettled & ~later, middle + 1, low)
    return low
