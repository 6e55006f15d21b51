# SPDX-License-Identifier: EUPL-1.2
"""Rows laid out by round, so that rules that go reading by reading run over slices of arrays."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from lamppost.batch import Int64Array
from lamppost.grouping import Groups


@dataclass(frozen=True, slots=True)
class Lanes:
    """The first rows of all series, then the second rows of all series, and so on.

    Series stand in the same order in every round, the one with most rows first. Thus a round is a
    slice of the laid-out rows, and the series in it are the first lanes: no gathering is needed.

    Attributes:
        order: position in the sorted rows of each laid-out row, shape (n,).
        groups: number of the group in each lane, shape (groups,).
        edges: where each round begins among the laid-out rows, and the end of the last.
    """

    order: Int64Array
    groups: Int64Array
    edges: list[int]

    @classmethod
    def of(cls, groups: Groups) -> Self:
        """Lay out rows sorted by series."""
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

    def rounds(self) -> Iterator[tuple[slice, slice]]:
        """Yield for each round the slice of laid-out rows and the slice of lanes."""
        for start, end in itertools.pairwise(self.edges):
            yield slice(start, end), slice(0, end - start)
