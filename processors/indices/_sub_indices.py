# SPDX-License-Identifier: EUPL-1.2
"""What an index says over each averaging period of a pollutant, and which of them counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np

from lamppost.batch import FloatArray
from lamppost.indices import IndexTable

from ._rated import LastHours, Rate, Rated
from ._rating import Table


@dataclass(frozen=True, slots=True)
class SubIndex:
    """What an index says about one pollutant over one averaging period.

    Attributes:
        period: 1h, 8h or 24h of hourly means; 15min for the highest quarter of the newest hour;
            nowcast; any other is not made from the stream, and answers questions only.
        table: what concentrations mean.
        variant: how the table differs from that of the index's version, by choice of the policy.
    """

    period: str
    table: Table
    variant: str = ""


class Averaged(NamedTuple):
    """Means over an averaging period, NaN where too few of its hours count."""

    concentration: FloatArray
    coverage: FloatArray


class Average(Protocol):
    """Averages over the period of a sub-index."""

    def __call__(self, quantity: str, sub: SubIndex, last: LastHours) -> Averaged | None:
        """Return the mean of each row; None where the stream does not make such means."""
        ...


class SubIndices:
    """The tables of an index that are in force: the highest of a pollutant's counts."""

    def __init__(self, tables: Mapping[str, Sequence[SubIndex]], average: Average) -> None:
        """Number the tables as they stand, from 1."""
        self._tables = tables
        self._average = average
        self._numbers: dict[str, int] = {}
        number = 1
        for quantity, subs in tables.items():
            self._numbers[quantity] = number
            number += len(subs)

    def named(self, version: str) -> tuple[IndexTable, ...]:
        """Return the tables by number, of an index whose tables have a version."""
        return tuple(
            IndexTable(sub.period, f"{version}, {sub.variant}" if sub.variant else version)
            for subs in self._tables.values()
            for sub in subs
        )

    def rate(self, pollutants: Sequence[str]) -> Rate:
        """Return what says what the hours of some pollutants mean, numbered as they stand."""
        return partial(self._rate, pollutants)

    def _rate(self, pollutants: Sequence[str], last: LastHours) -> Rated:
        count = len(last.codes)
        rated = Rated.nothing(count)
        for number, quantity in enumerate(pollutants):
            rows = np.flatnonzero(last.pollutant == number)
            if len(rows) == count > 0:
                return self.best(quantity, last)
            if len(rows):
                rated.put(rows, self.best(quantity, last.take(rows)))
        return rated

    def best(self, quantity: str, last: LastHours) -> Rated:
        """Return the highest sub-index of a pollutant's rows, the first where none has a value."""
        best: Rated | None = None
        for sub in self._tables[quantity]:
            rated = self.one(quantity, sub, last)
            if rated is not None:
                best = rated if best is None else rated.where(rated.exceeds(best), best)
        if best is None:
            raise ValueError("a pollutant of an index has no table the stream can feed")
        return best

    def one(self, quantity: str, sub: SubIndex, last: LastHours) -> Rated | None:
        """Return what one sub-index says; None where the stream does not make its means."""
        averaged = self.averaged(quantity, sub, last)
        return None if averaged is None else self.rated(quantity, sub, averaged)

    def averaged(self, quantity: str, sub: SubIndex, last: LastHours) -> Averaged | None:
        """Return means over the period of a sub-index; None where the stream makes none."""
        return self._average(quantity, sub, last)

    def rated(self, quantity: str, sub: SubIndex, averaged: Averaged) -> Rated:
        """Return what a sub-index says of means."""
        number = self._numbers[quantity] + self._tables[quantity].index(sub)
        values = sub.table.values(averaged.concentration)
        return Rated(values, averaged.coverage, np.full(len(averaged.coverage), number, np.uint8))
