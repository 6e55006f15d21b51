# SPDX-License-Identifier: EUPL-1.2
"""Dates: which file a row belongs to, and how new rows meet those already there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from lamppost.batch import DAY
from lamppost.times import DAY_NS, SECOND_NS

from .schema import Table

# Typed loosely: the Arrow stubs know no dictionary columns.
_kernels: Any = pyarrow.compute
_arrow: Any = pa


class Depth(IntEnum):
    """How many folders lead to a file: the windows of a day, of a month or of a year are in one."""

    YEAR = 1
    MONTH = 2
    DAY = 3


def depth_of(resolution: int) -> Depth:
    """Return how the windows of a resolution are cut into files: some hundred of a series in each.

    Args:
        resolution: its number, see :func:`lamppost.periods.resolutions`.
    """
    if resolution in {DAY_NS, -DAY}:
        return Depth.MONTH
    return Depth.DAY if 0 < resolution < DAY_NS else Depth.YEAR


def folder_of(day: int, depth: Depth = Depth.DAY) -> str:
    """Return the folder of a day, given in days since 1970, zero-padded.

    >>> folder_of(20_412), folder_of(20_412, Depth.MONTH)
    ('year=2025/month=11/day=20', 'year=2025/month=11')
    """
    date = datetime.fromtimestamp(day * DAY_NS // SECOND_NS, UTC)
    return "/".join((f"year={date:%Y}", f"month={date:%m}", f"day={date:%d}")[:depth])


def by_folder(
    rows: pa.Table, instants: npt.NDArray[np.int64], depth: Depth = Depth.DAY
) -> Iterator[tuple[str, pa.Table]]:
    """Cut rows into folders by the date of an instant inside the period they are about."""
    days, row_day = np.unique(instants // DAY_NS, return_inverse=True)
    folders = [folder_of(day, depth) for day in days.tolist()]
    named = list(dict.fromkeys(folders))
    number = np.array([named.index(folder) for folder in folders], np.int64)[row_day]
    for place, folder in enumerate(named):
        yield folder, rows.take(np.flatnonzero(number == place))


def merged(table: Table, parts: list[pa.Table]) -> pa.Table:
    """Join rows of one file, sorted by key; of a key the highest revision stays.

    Between equal revisions the later part wins, so writing rows again changes nothing.
    """
    rows = _arrow.concat_tables(parts).combine_chunks()
    ranks = [_ranks(rows.column(name)) for name in table.key]
    revision = rows.column("revision").to_numpy()
    order = np.lexsort((np.arange(len(rows)), revision, *reversed(ranks)))
    last = np.zeros(len(order), bool)
    last[-1:] = True
    for rank in ranks:
        last[:-1] |= rank[order][1:] != rank[order][:-1]
    kept: pa.Table = rows.take(order[last])
    return kept


def in_force(rows: pa.Table) -> pa.Table:
    """Return aggregates without those that were taken back."""
    count, excluded, revision = (
        rows.column(name).to_numpy() for name in ("count", "excluded", "revision")
    )
    taken_back = (count == 0) & (excluded == 0) & (revision > 0)
    return rows.take(np.flatnonzero(~taken_back)) if taken_back.any() else rows


def _ranks(column: Any) -> npt.NDArray[np.int64]:  # noqa: ANN401 - a chunked Arrow column
    """Return integers in the order of a column's values; texts sort by their UTF-8 bytes."""
    if not pa.types.is_string(column.type):
        values: npt.NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
        return values
    encoded = _arrow.chunked_array(column).combine_chunks().dictionary_encode()
    order = _kernels.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    ranks: npt.NDArray[np.int64] = rank[encoded.indices.to_numpy()]
    return ranks
