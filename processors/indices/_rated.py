# SPDX-License-Identifier: EUPL-1.2
"""What an index is told about the last hours of series, and what it answers."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lamppost.batch import FlagArray, FloatArray, Int64Array

from ._hours import CodeArray
from ._rating import Values

BoolArray = npt.NDArray[np.bool_]


class Rated(NamedTuple):
    """Values of an index.

    Attributes:
        values: what it says.
        coverage: part of the averaging period that is valid.
        table: number of the table that says so.
    """

    values: Values
    coverage: FloatArray
    table: FlagArray

    @classmethod
    def nothing(cls, count: int) -> Rated:
        """Return rows without a value, to be filled."""
        nothing, none = np.full(count, np.nan), np.zeros(count, np.uint8)
        values = Values(nothing, nothing.copy(), none, none.copy())
        return cls(values, np.zeros(count), none.copy())

    def at(self, rows: npt.NDArray[Any]) -> Rated:
        """Return some rows."""
        values = Values(*(column[rows] for column in self.values))
        return Rated(values, self.coverage[rows], self.table[rows])

    def put(self, rows: npt.NDArray[Any], other: Rated) -> None:
        """Write other values into some rows."""
        for name, ours in self.values._asdict().items():
            ours[rows] = getattr(other.values, name)
        self.coverage[rows], self.table[rows] = other.coverage, other.table

    def where(self, kept: BoolArray, other: Rated) -> Rated:
        """Return these values, those of ``other`` where they are not kept."""
        return Rated(
            self.values.where(kept, other.values),
            np.where(kept, self.coverage, other.coverage),
            np.where(kept, self.table, other.table),
        )

    def exceeds(self, other: Rated) -> BoolArray:
        """Return where these values stand above others."""
        return self.values.exceeds(other.values)

    def differs(self, other: Rated) -> BoolArray:
        """Return where anything that is published differs."""
        found: BoolArray = (self.coverage != other.coverage) | (self.table != other.table)
        for name, ours in self.values._asdict().items():
            theirs = getattr(other.values, name)
            found |= (ours != theirs) & ~(np.isnan(ours) & np.isnan(theirs))
        return found


class LastHours(NamedTuple):
    """What an index is told about some series.

    Attributes:
        codes: series of each row.
        pollutant: number of its pollutant.
        means: valid hourly means, newest first, NaN where there is none; shape (n, reach).
        highest: highest valid quarter of the newest hour.
    """

    codes: CodeArray
    pollutant: Int64Array
    means: FloatArray
    highest: FloatArray

    def take(self, rows: npt.NDArray[Any]) -> LastHours:
        """Return some rows."""
        return LastHours(*(column[rows] for column in self))

    def weighed(self, rate: Rate, factor: FloatArray) -> Rated:
        """Return what an index says of masses that times a factor are as its tables mean them."""
        if (factor == 1.0).all():
            return rate(self)
        means, highest = self.means * factor[:, None], self.highest * factor
        rated = rate(self._replace(means=means, highest=highest))
        given = rated.values.concentration / factor
        return rated._replace(values=rated.values._replace(concentration=given))


class Rate(Protocol):
    """Says what the last hours of some series mean."""

    def __call__(self, last: LastHours) -> Rated:
        """Return the value of each row."""
        ...
