# SPDX-License-Identifier: EUPL-1.2
"""Settings given per quantity, looked up by series code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray
from lamppost.grouping import Groups
from lamppost.quantities import QuantityName
from lamppost.series import SeriesTable

__all__ = ["Numbered", "PerSeries", "QuantityName", "optional"]

_ALL: Final = slice(None)


class Numbered(Protocol):
    """Settings of one quantity that are a row of numbers."""

    def numbers(self) -> tuple[float, ...]:
        """Return them, in the order the component looks them up."""
        ...


class PerSeries:
    """Numbers the settings give for each quantity, as columns over series codes.

    The table of series may grow at any time; rows for new series appear at the next look-up.
    """

    def __init__(
        self,
        series: SeriesTable,
        given: Mapping[str, Sequence[float]],
        default: Sequence[float] | None = None,
        *,
        width: int,
    ) -> None:
        """Take rows of ``width`` numbers by quantity, and one for all other quantities."""
        rows = [*given.values(), *([] if default is None else [default])]
        self._series = series
        self._columns = np.array([[np.nan] * width, *rows], np.float64).T.copy()
        self._row = {name: number for number, name in enumerate(given, start=1)}
        self._other = 0 if default is None else len(rows)
        self._row_of_series: npt.NDArray[np.intp] = np.empty(0, np.intp)

    @classmethod
    def given_by(
        cls,
        series: SeriesTable,
        quantities: Mapping[str, Numbered],
        default: Numbered | None = None,
        *,
        width: int,
    ) -> Self:
        """Take what settings say of each quantity, and of all others."""
        given = {name: limits.numbers() for name, limits in quantities.items()}
        return cls(series, given, default.numbers() if default else None, width=width)

    def of(self, codes: npt.NDArray[np.integer[Any]]) -> FloatArray:
        """Return the numbers of some series, shape (width, n); NaN where none are given."""
        self._grow()
        numbers: FloatArray = self._columns.take(self._row_of_series.take(codes), axis=1)
        return numbers

    def of_rows(self, groups: Groups, columns: slice = _ALL) -> FloatArray:
        """Return numbers of each row, shape (width, n), or (width, 1) where all are of one series.

        Args:
            groups: the rows.
            columns: which of the numbers.
        """
        self._grow()
        row = self._row_of_series.take(groups.places)
        by_group: FloatArray = self._columns[columns].take(row, axis=1)
        if groups.once or len(groups.places) == 1:
            return by_group
        by_row: FloatArray = by_group.take(groups.group, axis=1)
        return by_row

    def given_for(self, quantity: str) -> bool:
        """Return whether the settings give numbers for a quantity."""
        return self._row.get(quantity, self._other) > 0

    def _grow(self) -> None:
        known = len(self._row_of_series)
        if known == len(self._series):
            return
        added = self._series.by_quantity(known, lambda name: self._row.get(name, self._other))
        self._row_of_series = np.concatenate([self._row_of_series, added])


def optional(number: float | None) -> float:
    """Return a number, or NaN in place of none."""
    return np.nan if number is None else number
