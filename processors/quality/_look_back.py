# SPDX-License-Identifier: EUPL-1.2
"""How far back within a batch the values of a series stay within a tolerance of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, Int64Array
from lamppost.grouping import BoolArray, Groups

SIDES: Final = 2
"""The values, and their negatives, whose highest is the lowest value."""

_Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is asked of each group of rows, shape (groups,).

    Attributes:
        tolerance: values stay together while their range is smaller.
        shortest_ns: no stay that is shorter is asked for.
        longest_ns: no longer time is told apart.
        least: nor is a larger number of readings.
    """

    tolerance: FloatArray
    shortest_ns: Int64Array
    longest_ns: Int64Array
    least: Int64Array

    def take(self, where: slice) -> Limits:
        """Return what is asked of some groups."""
        return Limits(
            self.tolerance[where],
            self.shortest_ns[where],
            self.longest_ns[where],
            self.least[where],
        )


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back in the batch values stay together with those of some rows.

    Attributes:
        rows: ascending.
        begin: first row of the stay each is in.
        top: its highest value and its highest negative one, shape (2, rows).
    """

    rows: Int64Array
    begin: Int64Array
    top: FloatArray

    def take(self, where: Int64Array) -> Reach:
        return Reach(self.rows[where], self.begin[where], self.top[:, where])


def reaches(
    groups: Groups, time: Int64Array, value: FloatArray, limits: Limits, continues: BoolArray
) -> Reach:
    """Return the stays within the batch, of rows that may be in a long one or end a group."""
    if groups.once:
        return Reach(groups.starts, groups.starts, np.stack([value, -value]))
    opens = groups.is_first.copy()
    with np.errstate(over="ignore"):
        step = np.abs(np.diff(value))
    opens[1:] |= step >= each(limits.tolerance, groups, slice(1, None))
    first = np.flatnonzero(opens)
    last = np.append(first[1:], len(value)) - 1
    mine = group_of(groups, first)
    long = time[last] - time[first] >= limits.shortest_ns[mine]
    goes_on = groups.is_first[first] & continues[mine]
    ends = last == groups.lasts[mine]
    chosen = np.flatnonzero(long | goes_on | ends)
    rows, begins = between(first[chosen], last[chosen])
    size = (last - first + 1)[chosen]
    back = _Back(
        time[rows],
        value[rows],
        np.repeat(begins, size),
        *(
            each(limit, groups, rows)
            for limit in (limits.tolerance, limits.longest_ns, limits.least)
        ),
    )
    reach = _evenly(groups, time, limits)
    if reach is None:
        return Reach(rows, rows - back.exactly(np.arange(len(rows))), back.top)
    wanted = np.zeros(len(rows), np.bool_)
    wanted[begins[ends[chosen]] + size[ends[chosen]] - 1] = True
    wanted |= np.repeat(goes_on[chosen], size) & (back.held < reach[1])
    return Reach(rows, rows - back.roughly(reach, np.flatnonzero(wanted)), back.top)


def _evenly(groups: Groups, time: Int64Array, limits: Limits) -> tuple[int, int] | None:
    """Return how many rows back the shortest and the longest stay reach, if that is one number."""
    step = np.diff(time)[~groups.is_first[1:]]
    if step.min() != step.max() or step[0] <= 0:
        return None
    asked = np.stack([limits.shortest_ns, limits.longest_ns, limits.least])
    if (asked != asked[:, :1]).any():
        return None
    shortest, longest, least = asked[:, 0].tolist()
    one = int(step[0])
    return max(-(-shortest // one), least - 1), max(-(-longest // one), least - 1)


def group_of(groups: Groups, rows: Int64Array | slice) -> Int64Array:
    """Return the group of each of some rows."""
    if len(groups.places) > 1:
        return groups.group[rows]
    size = len(groups.series[rows]) if isinstance(rows, slice) else len(rows)
    return np.zeros(size, np.int64)


def each(of_group: _Array, groups: Groups, rows: Int64Array | slice) -> _Array:
    """Return what is given for the group of each row, or one for all where there is one only."""
    return of_group if len(of_group) == 1 else of_group[groups.group[rows]]


class _Back:
    """How many rows before it each row stays together with.

    The highest of 1, 2, 4, 8 ... rows up to each are found once, on either side. Of any number of
    rows the highest then is that of two such spans.

    Attributes:
        held: rows before each that may stay together with it at all.
        top: the highest on either side, shape (2, n), of rows that were looked at exactly.
    """

    def __init__(
        self,
        time: Int64Array,
        value: FloatArray,
        floor: Int64Array,
        tolerance: FloatArray,
        longest_ns: Int64Array,
        least: Int64Array,
    ) -> None:
        """Take rows, the first one that each may stay together with, and what is asked of each."""
        self._time = time
        self._tolerance = tolerance
        self._longest_ns = longest_ns
        self._least = least
        self._levels = [np.stack([value, -value])]
        self.held = np.arange(len(value)) - floor
        self.top = np.full((SIDES, len(value)), np.inf)

    def exactly(self, rows: Int64Array) -> Int64Array:
        """Return it for some rows, as far as anybody asks."""
        levels = 1
        while self._asked(1 << (levels - 1)):
            levels += 1
        return self._exactly(rows, levels - 1)

    def roughly(self, reach: tuple[int, int], exact: Int64Array) -> Int64Array:
        """Return either of two numbers of rows where it is as many, else 0; exactly for some."""
        short, long = reach
        back = np.where(self._stays(short), short, 0)
        back[self._stays(long)] = long
        levels = min(long, int(self.held.max())).bit_length()
        back[exact] = self._exactly(exact, levels)
        return back

    def _exactly(self, rows: Int64Array, levels: int) -> Int64Array:
        """Add spans, from the longest to the shortest, wherever the values still stay together."""
        tolerance = self._tolerance if len(self._tolerance) == 1 else self._tolerance[rows]
        top, back, held = self._levels[0][:, rows], np.zeros(len(rows), np.int64), self.held[rows]
        for level in reversed(range(levels)):
            before = np.maximum(rows - back - 1, 0)
            with np.errstate(over="ignore"):
                taken = np.maximum(top, self._level(level).take(before, axis=1))
                stays = taken[0] + taken[1] < tolerance
            more = back + (1 << level)
            stays &= more <= held
            back = np.where(stays, more, back)
            top = np.where(stays, taken, top)
        self.top[:, rows] = top
        return back

    def _stays(self, reach: int) -> BoolArray:
        """Return which rows stay together with as many before them."""
        found = self.held >= reach
        if not found.any():
            return found
        level = (reach + 1).bit_length() - 1
        shift = reach + 1 - (1 << level)
        span = self._level(level)
        with np.errstate(over="ignore"):
            tops = np.maximum(span[:, reach:], span[:, reach - shift : len(found) - shift])
            spread = np.add(tops[0], tops[1], out=tops[0])
        found[reach:] &= spread < self._tolerance[-len(spread) :]
        return found

    def _level(self, number: int) -> FloatArray:
        """Return the highest of the last 2 to some power rows up to each."""
        while len(self._levels) <= number:
            size, former = 1 << (len(self._levels) - 1), self._levels[-1]
            wider = np.empty_like(former)
            wider[:, :size] = former[:, :size]
            np.maximum(former[:, size:], former[:, :-size], out=wider[:, size:])
            self._levels.append(wider)
        return self._levels[number]

    def _asked(self, size: int) -> bool:
        """Return whether a row can look so many rows back, and would not see enough by less."""
        if size > len(self._time):
            return False
        lasted = self._time[size - 1 :] - self._time[: len(self._time) - size + 1]
        short = (lasted < self._longest_ns[-len(lasted) :]) | (size < self._least[-len(lasted) :])
        return bool((short & (self.held[size - 1 :] >= size)).any())


def between(start: Int64Array, lasts: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return the rows from one to another for each group, and where those of each begin."""
    size = lasts - start + 1
    opens = np.cumsum(size) - size
    return np.arange(size.sum()) + np.repeat(start - opens, size), opens
