# SPDX-License-Identifier: EUPL-1.2
"""Rows cut wherever a series enters another hour or day, taken turn by turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lamppost.batch import Int64Array
from lamppost.grouping import Groups


@dataclass(frozen=True, slots=True)
class Stretches:
    """Rows of one series in one bucket of time are a stretch; a stretch may go on from before.

    Attributes:
        first: first row of each stretch, shape (stretches,).
        bucket: its hour, day ..., shape (stretches,).
        group: number of its series' group, shape (stretches,).
        of_row: number of each row's stretch, shape (n,).
        turn: how many stretches of the same group come before it, shape (stretches,).
    """

    first: Int64Array
    bucket: Int64Array
    group: Int64Array
    of_row: Int64Array
    turn: Int64Array

    @classmethod
    def of(cls, groups: Groups, bucket: Int64Array) -> Self:
        """Cut rows sorted by series where their bucket changes."""
        if groups.once:
            return cls(groups.starts, bucket, groups.starts, groups.starts, np.zeros_like(bucket))
        opens = groups.is_first.copy()
        opens[1:] |= bucket[1:] != bucket[:-1]
        first = np.flatnonzero(opens)
        group = groups.group[first]
        number = np.repeat(np.arange(len(first)), np.diff(first, append=len(bucket)))
        turn = np.arange(len(first)) - number[groups.starts][group]
        return cls(first, bucket[first], group, number, turn)

    def spread(self, numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return for each row what is said of its stretch."""
        if len(self.first) == len(self.of_row):
            return numbers
        return np.repeat(numbers, np.diff(self.first, append=len(self.of_row)))

    def turns(self) -> Iterator[tuple[Int64Array, Int64Array]]:
        """Yield the first stretches of all groups and their rows, then the second ones, ..."""
        if not self.turn.any():
            if len(self.turn):
                yield np.arange(len(self.turn)), np.arange(len(self.of_row))
            return
        by_turn = np.argsort(self.turn, kind="stable")
        sizes = np.diff(self.first, append=len(self.of_row))
        edges = np.cumsum(np.bincount(self.turn)) if len(by_turn) else np.empty(0, np.int64)
        start = 0
        for end in edges.tolist():
            stretches = by_turn[start:end]
            size = sizes[stretches]
            offset = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
            yield stretches, np.repeat(self.first[stretches], size) + offset
            start = end
