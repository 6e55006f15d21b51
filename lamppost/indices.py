# SPDX-License-Identifier: EUPL-1.2
"""Health indices as people read them: names, colours, tables, and one value for a station."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .batch import FloatArray, IndexBatch
from .series import qualifiers_mapping

CORRECTED: Final = "corrected"
"""Qualifier of a series whose values were corrected; it names the correction."""


@dataclass(frozen=True, slots=True)
class Category:
    """One of the classes an index is told in.

    Attributes:
        name: as the index's authors call it.
        colour: as they print it, six hexadecimal digits after a number sign.
    """

    name: str
    colour: str


@dataclass(frozen=True, slots=True)
class Scale:
    """What an index is called, where its numbers come from, and its categories.

    Attributes:
        title: printed name.
        version: of the table.
        source: where the table was published.
        categories: from best to worst; the first is category 1.
        averaging: periods over which each pollutant is averaged, by canonical name.
    """

    title: str
    version: str
    source: str
    categories: tuple[Category, ...]
    averaging: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def published(self) -> dict[str, Any]:
        """Return what goes out with the rules."""
        return asdict(self)


class IndexTable(NamedTuple):
    """Which table made a value.

    Attributes:
        averaging: period the concentration is averaged over, as the index names it; may be empty.
        version: of the table, with what a policy may choose about it.
    """

    averaging: str
    version: str


TABLES_KEY: Final = "tables"
"""Under which an entry of index values says what the numbers of its tables stand for."""

_TABLES: Final = 256


def named_tables(batch: IndexBatch, tables: Mapping[int, Sequence[IndexTable]]) -> str:
    """Return, as JSON, the tables behind the rows of a batch, those that occur.

    Args:
        batch: the rows.
        tables: of each index by its number; the number of a table is its place from 0.
    """
    found: dict[str, dict[str, IndexTable]] = {}
    both = np.unique(batch.index.astype(np.int64) * _TABLES + batch.table)
    for index, table in (divmod(code, _TABLES) for code in both.tolist()):
        known = tables.get(index, ())
        if table < len(known):
            found.setdefault(str(index), {})[str(table)] = known[table]
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False)


class TableNames:
    """The tables behind the rows of one entry; of an entry that tells nothing, none is known."""

    def __init__(self, metadata: Mapping[bytes, bytes] | None) -> None:
        """Read what :func:`named_tables` wrote into the metadata of an entry."""
        told = (metadata or {}).get(TABLES_KEY.encode(), b"{}")
        self._tables = {
            (int(index), int(table)): IndexTable(*names)
            for index, by_number in json.loads(told).items()
            for table, names in by_number.items()
        }

    def of(self, index: int, table: int) -> IndexTable:
        """Return a table of an index, with empty texts where it is not known."""
        return self._tables.get((index, table), _UNKNOWN)

    def codes(self, batch: IndexBatch) -> npt.NDArray[np.int64]:
        """Return a number for each row that says index and table, see :meth:`by_code`."""
        both: npt.NDArray[np.int64] = batch.index.astype(np.int64) * _TABLES + batch.table
        return both

    def by_code(self, code: int) -> IndexTable:
        """Return the table of a number out of :meth:`codes`."""
        return self.of(*divmod(code, _TABLES))


_UNKNOWN: Final = IndexTable("", "")


@dataclass(frozen=True, slots=True)
class Combined:
    """Which rows of single pollutants make up the value of a station.

    Attributes:
        first: a row of each station's hour, shape (stations' hours,).
        worst: the row that decides, -1 where no row has a value.
        group: which station's hour each row belongs to, shape (rows,).
        counts: whether the row takes part, shape (rows,).
        responsible: whether the row is as bad as the worst, shape (rows,).
    """

    first: npt.NDArray[np.int64]
    worst: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]
    counts: npt.NDArray[np.bool_]
    responsible: npt.NDArray[np.bool_]


def combine(
    station_hour: npt.NDArray[Any],
    pollutant: npt.NDArray[Any],
    value: FloatArray,
    *,
    corrected: npt.NDArray[np.bool_],
) -> Combined:
    """Put the values of an hour's pollutants together: the highest counts.

    Of a pollutant that a station measures more than once the corrected series count where one of
    them has a value, else all. Several pollutants can be responsible; the first row decides.

    Args:
        station_hour: number of the station, index and hour of each row.
        pollutant: number of its quantity, from 0.
        value: of the index, NaN where there is none.
        corrected: whether the series is a corrected one.
    """
    _, first, group = np.unique(station_hour, return_index=True, return_inverse=True)
    there = ~np.isnan(value)
    _, same = np.unique(
        group * (int(pollutant.max(initial=0)) + 1) + pollutant, return_inverse=True
    )
    has_corrected = np.zeros(int(same.max(initial=-1)) + 1, np.bool_)
    has_corrected[same[there & corrected]] = True
    counts = there & (corrected | ~has_corrected[same])
    highest = np.full(len(first), -np.inf)
    np.maximum.at(highest, group[counts], value[counts])
    responsible = counts & (value == highest[group])
    worst = np.full(len(first), -1, np.int64)
    rows = np.flatnonzero(responsible)[::-1]
    worst[group[rows]] = rows
    return Combined(first, worst, group, counts, responsible)


def is_corrected(qualifiers: str) -> bool:
    """Return whether a series holds corrected values.

    >>> is_corrected("channel=a;corrected=barkjohn_2021")
    True
    """
    return CORRECTED in qualifiers_mapping(qualifiers)
