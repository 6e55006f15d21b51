# SPDX-License-Identifier: EUPL-1.2
"""Days: which file a row belongs to, and how new rows meet those already there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from lamppost.times import DAY_NS, SECOND_NS

from .schema import Table

# Typed loosely: the Arrow stubs know no dictionary columns.
_kernels: Any = pyarrow.compute
_arrow: Any = pa


def day_folder(day: int) -> PurePosixPath:
    """Return the folder of a day, given in days since 1970 (UTC), zero-padded.

    >>> str(day_folder(20_412))
    'year=2025/month=11/day=20'
    """
    date = datetime.fromtimestamp(day * DAY_NS // SECOND_NS, UTC)
    return PurePosixPath(f"year={date:%Y}/month={date:%m}/day={date:%d}")


def by_day(rows: pa.Table, last_instant: npt.NDArray[np.int64]) -> Iterator[tuple[int, pa.Table]]:
    """Cut rows into days by an instant inside the period they are about."""
    days = last_instant // DAY_NS
    for day in np.unique(days):
        yield int(day), rows.take(np.flatnonzero(days == day))


def merged(table: Table, parts: list[pa.Table]) -> pa.Table:
    """Join rows of one day, sorted by key; of a key the highest revision stays.

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
