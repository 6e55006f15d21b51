# SPDX-License-Identifier: EUPL-1.2
"""Rows grouped by series: the one vectorised tool all streaming processors share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, TypeVar

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
Numbers = TypeVar("Numbers", FloatArray, IntArray)


_DIGIT_BITS: Final = 16
_DIGIT: Final = 1 << _DIGIT_BITS
_LONG_RUN: Final = 64


def series_order(series: npt.NDArray[Any]) -> IntArray:
    """Return the positions that sort series codes, stably.

    Sensors report in turn, so codes come in ascending runs, which numpy's stable sort finds and
    merges. Where there are none, it sorts 16-bit numbers by counting, several times as fast as
    longer ones.
    """
    if not len(series):
        return np.empty(0, np.int64)
    breaks = int(np.count_nonzero(series[1:] < series[:-1]))
    if not breaks:
        return np.arange(len(series))
    if breaks * _LONG_RUN <= len(series):
        return np.argsort(series, kind="stable")
    if series.max() < _DIGIT and series.min() >= 0:
        return np.argsort(series.astype(np.uint16), kind="stable")
    order = np.argsort(series.astype(np.uint16), kind="stable")
    higher = (series >> _DIGIT_BITS)[order]
    # Codes below 0 sort first: the upper half keeps its sign.
    return order[np.argsort(higher.astype(np.int16), kind="stable")]


@dataclass(frozen=True)
class Groups:
    """A view of rows sorted by series, the order of arrival kept within each.

    Attributes:
        order: positions of the original rows, shape (n,); ``column[order]`` is sorted.
        series: series code of each sorted row, shape (n,).
    """

    order: IntArray
    series: npt.NDArray[np.int32]

    _latest: ClassVar[tuple[npt.NDArray[Any], Groups] | None] = None

    @classmethod
    def by_series(cls, series: npt.NDArray[np.int32]) -> Groups:
        """Sort rows by series, stably.

        The stages a batch goes through all ask about the same column, which is sorted once: what
        was found of a read-only column is remembered until the next one.
        """
        latest = cls._latest
        if latest is not None and latest[0] is series:
            return latest[1]
        order = series_order(series)
        found = cls(order, series.take(order))
        if not series.flags.writeable:
            Groups._latest = series, found
        return found

    @cached_property
    def is_first(self) -> BoolArray:
        """True where a sorted row is the first of its series, shape (n,)."""
        first = np.ones(len(self.series), dtype=np.bool_)
        np.not_equal(self.series[1:], self.series[:-1], out=first[1:])
        return first

    @cached_property
    def once(self) -> bool:
        """Whether no series has a second row, as in most batches of a live city."""
        return bool(self.is_first.all())

    @cached_property
    def starts(self) -> IntArray:
        """Position of the first sorted row of each series, shape (groups,)."""
        return np.arange(len(self.series)) if self.once else np.flatnonzero(self.is_first)

    @cached_property
    def lasts(self) -> IntArray:
        """Position of the last sorted row of each series, shape (groups,)."""
        if self.once:
            return self.starts
        return np.append(self.starts[1:], len(self.series))[: len(self.starts)] - 1

    @cached_property
    def group(self) -> IntArray:
        """Number of the group each sorted row belongs to, shape (n,)."""
        return self.starts if self.once else np.cumsum(self.is_first) - 1

    @cached_property
    def codes(self) -> npt.NDArray[np.int32]:
        """The series present, ascending, shape (groups,)."""
        return self.series if self.once else self.series[self.starts]

    @cached_property
    def places(self) -> IntArray:
        """The same codes to look up state by: numpy takes these several times as fast."""
        return self.codes.astype(np.intp)

    def take(self, where: IntArray | slice) -> Groups:
        """Return the grouping of some sorted rows, at ascending positions."""
        return Groups(self.order[where], self.series[where])

    def previous(self, column: Numbers, carried: Numbers) -> Numbers:
        """Return each sorted row's predecessor in its series.

        Args:
            column: sorted values, shape (n,).
            carried: value before this batch for every group, shape (groups,).
        """
        if self.once:
            return carried
        shifted = np.empty_like(column)
        shifted[1:] = column[:-1]
        shifted[self.starts] = carried
        return shifted

    def previous_int(self, column: IntArray, carried: IntArray) -> IntArray:
        """Do what :meth:`previous` does, for instants."""
        return self.previous(column, carried)

    def running_max(self, column: IntArray, carried: IntArray) -> IntArray:
        """Return the largest value of the series before each sorted row, shape (n,).

        Args:
            column: sorted instants, shape (n,).
            carried: largest value before this batch for every group, shape (groups,).
        """
        if self.once:
            return carried
        before = self.previous_int(column, carried)
        # Where nothing is late, which is nearly always, the largest is the one before.
        if (self.previous_int(before, carried) <= before).all():
            return before
        # One accumulate over all groups: ranks keep the order of instants, and adding a multiple
        # of the rank span for each group keeps a group from seeing the maximum of the one before.
        values, ranks = np.unique(before, return_inverse=True)
        lifted = ranks + self.group * len(values)
        return values[np.maximum.accumulate(lifted) - self.group * len(values)]

    def latest(self, marked: BoolArray) -> IntArray:
        """Return the last marked row of the series up to each sorted row, -1 where there is none.

        Args:
            marked: of the sorted rows, shape (n,).
        """
        if self.once:
            return np.where(marked, self.starts, -1)
        latest = np.maximum.accumulate(np.where(marked, np.arange(len(marked)), -1))
        return np.where(latest >= self.starts[self.group], latest, -1)

    def rounds(self) -> Iterator[IntArray]:
        """Yield the first sorted row of every series, then the second of every series, ...

        Within a round each series appears once, so sequential rules can run as array operations
        over series. There are as many rounds as the busiest series has rows.
        """
        remaining = self.starts
        while len(remaining):
            yield remaining
            following = remaining + 1
            inside = following < len(self.series)
            following = following[inside]
            remaining = following[~self.is_first[following]]
