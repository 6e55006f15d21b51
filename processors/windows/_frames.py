# SPDX-License-Identifier: EUPL-1.2
"""Rows that follow one another in groups, and sums over each group."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, Int64Array

BoolArray = npt.NDArray[np.bool_]
RowArray = npt.NDArray[Any]


class Frames(NamedTuple):
    """How rows fall into groups; no group is empty.

    Attributes:
        group: number of the group of each row, ascending, shape (n,).
        begins: position of the first row of each group, shape (groups,).
    """

    group: Int64Array
    begins: Int64Array

    @classmethod
    def of(cls, group: Int64Array) -> Frames:
        """Take the number of each row's group, ascending; numbers may be left out."""
        new = np.ones(len(group), np.bool_)
        np.not_equal(group[1:], group[:-1], out=new[1:])
        return cls(group, np.flatnonzero(new))

    @classmethod
    def beginning(cls, new: BoolArray) -> Frames:
        """Take where a row begins a group; they are numbered from 0."""
        begins = np.flatnonzero(new)
        if len(begins) == len(new):
            return cls(begins, begins)
        return cls(np.repeat(np.arange(len(begins)), np.diff(begins, append=len(new))), begins)

    @property
    def numbers(self) -> Int64Array:
        """The number of each group that has rows."""
        return self.firsts(self.group)

    @property
    def ends(self) -> Int64Array:
        """Position of the last row of each group."""
        return np.append(self.begins[1:], len(self.group))[: len(self.begins)] - 1

    def firsts(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what stands in the first row of each group."""
        return column if self._each_alone else column[self.begins]

    def lasts(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what stands in the last row of each group."""
        return column if self._each_alone else column[self.ends]

    @property
    def sizes(self) -> Int64Array:
        """How many rows each group has."""
        return np.diff(self.begins, append=len(self.group))

    @property
    def _each_alone(self) -> bool:
        """Whether every row is a group of its own, as at one reading a minute."""
        return len(self.begins) == len(self.group)

    def sums(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the sum of a column over each group."""
        return column if self._each_alone else np.add.reduceat(column, self.begins)

    def lowest(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the smallest of a column in each group."""
        return column if self._each_alone else np.minimum.reduceat(column, self.begins)

    def highest(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the largest of a column in each group."""
        return column if self._each_alone else np.maximum.reduceat(column, self.begins)

    def spread(self, numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return for each row what is said of its group, by a column of all groups there are."""
        if len(numbers) == len(self.begins) == len(self.group):
            return numbers
        return numbers[self.group]

    def put(self, column: npt.NDArray[Any], numbers: npt.NDArray[Any]) -> None:
        """Put what is said of each group that has rows into a column of all groups there are."""
        if len(numbers) == len(column):
            column[:] = numbers
        else:
            column[self.numbers] = numbers

    def totals(self, states: RowArray) -> RowArray:
        """Return the state of each group of states whose fields are all sums."""
        totals = np.empty(len(self.begins), states.dtype)
        for name in states.dtype.names or ():
            totals[name] = self.sums(states[name])
        return totals

    def between(self, pairs: npt.NDArray[Any]) -> FloatArray:
        """Return the sum over each group of what lies between each row and the next of the group.

        Args:
            pairs: between row i and row i + 1, whatever groups they are in, shape (n - 1,).
        """
        inside = np.zeros(len(self.group))
        inside[1:] = np.where(self.group[1:] == self.group[:-1], pairs, 0.0)
        return self.sums(inside)


def ratio(above: npt.NDArray[Any], below: npt.NDArray[Any]) -> FloatArray:
    """Return quotients, NaN where there is nothing to divide by."""
    found = np.full(len(above), np.nan)
    np.divide(above, below, out=found, where=below > 0)
    return found
