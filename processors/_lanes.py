# SPDX-License-Identifier: EUPL-1.2
"""Rows laid out by round, so that rules that go reading by reading run over slices of arrays."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lamppost.batch import Int64Array
from lamppost.grouping import Groups


@dataclass(frozen=True, slots=True)
class Lanes:
    """The first rows of all series, then the second rows of all series, and so on.

    Series stand in the same order in every round, the one with most rows first. Thus a round is a
    slice of the laid-out rows, and the series in it are the first lanes: no gathering is needed.

    Attributes:
        order: position in the sorted rows of each laid-out row, shape (n,).
        groups: number of the group in each lane, shape (groups,); the same array as ``order`` where
            no series has a second row.
        edges: where each round begins among the laid-out rows, and the end of the last.
    """

    order: Int64Array
    groups: Int64Array
    edges: list[int]

    @classmethod
    def of(cls, groups: Groups) -> Self:
        """Lay out rows sorted by series."""
        if len(groups.starts) == len(groups.series):
            rows = np.arange(len(groups.series))
            return cls(rows, rows, [0, len(rows)] if len(rows) else [0])
        sizes = groups.lasts - groups.starts + 1
        by_size = np.argsort(-sizes, kind="stable")
        lane = np.empty_like(by_size)
        lane[by_size] = np.arange(len(by_size))
        rows = np.arange(len(groups.series))
        turn = rows - groups.starts[groups.group]
        # Round t holds the series that have more than t rows.
        widths = len(sizes) - np.cumsum(np.bincount(sizes))[:-1] if len(sizes) else sizes
        edges = np.concatenate([[0], np.cumsum(widths)])
        order = np.empty_like(rows)
        order[edges[turn] + lane[groups.group]] = rows
        return cls(order, by_size, edges.tolist())

    def laid(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return sorted rows, the last axis of an array, as they are laid out."""
        return column if self.order is self.groups else column.take(self.order, axis=-1)

    def rounds(self) -> Iterator[tuple[slice, slice]]:
        """Yield for each round the slice of laid-out rows and the slice of lanes."""
        for start, end in itertools.pairwise(self.edges):
            yield slice(start, end), slice(0, end - start)
