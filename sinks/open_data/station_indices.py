# SPDX-License-Identifier: EUPL-1.2
"""The indices of whole stations, from a day of published indices of single pollutants."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lamppost.indices import combine, is_corrected
from sinks.text_columns import TextColumn, spelled

from .fields import STATION_INDICES

_BETWEEN: Final = ";"
# Typed loosely: the Arrow stubs know no dictionary columns.
_arrow: Any = pa


def station_index_rows(rows: pa.Table) -> pa.Table:
    """Return one row for each station, index and hour of published indices, sorted as they are.

    Args:
        rows: of the table of indices, all those of a day.
    """
    quantity, quantities = _numbered(rows, "quantity")
    station, _ = _numbered(rows, "station")
    index, names = _numbered(rows, "index")
    qualifiers, spellings = _numbered(rows, "qualifiers")
    corrected = np.array([is_corrected(text) for text in spellings], np.bool_)
    end = rows.column("period_end").cast(pa.int64()).to_numpy()
    ends, hour = np.unique(end, return_inverse=True)
    # Sorted as the table is: by station, index and end.
    station_hour = (station * len(names) + index) * len(ends) + hour
    value = rows.column("value").to_numpy(zero_copy_only=False).astype(np.float64)
    found = combine(station_hour, quantity, value, corrected=corrected[qualifiers])
    told = rows.take(np.where(found.worst < 0, found.first, found.worst))
    bits = np.left_shift(1, quantity)
    columns = {
        **{name: told.column(name) for name in ("station", "index", "period_end", "policy")},
        **{name: told.column(name) for name in ("value", "category", "beyond")},
        **{name: told.column(name) for name in ("averaging", "table_version")},
        "responsible": _words(bits, found.group, found.responsible, quantities),
        "pollutants": _words(bits, found.group, found.counts, quantities),
        "revision": _highest(rows.column("revision").to_numpy(), found.group),
    }
    schema = STATION_INDICES.arrow_schema()
    made: pa.Table = _arrow.Table.from_arrays(
        [_cast(columns[name], schema.field(name).type) for name in schema.names], schema=schema
    )
    return made


def _column(rows: pa.Table, name: str) -> Any:  # noqa: ANN401 - an Arrow array of any type
    """Return a column in one piece."""
    found: Any = rows.column(name)
    return found.chunk(0) if found.num_chunks == 1 else found.combine_chunks()


def _numbered(rows: pa.Table, name: str) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the place of each text of a column among its distinct ones, which are sorted."""
    encoded = _column(rows, name).dictionary_encode()
    texts = [str(text) for text in encoded.dictionary.to_pylist()]
    rank = np.empty(len(texts), np.int64)
    rank[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
    return rank[encoded.indices.to_numpy()], sorted(texts)


def _words(
    bits: npt.NDArray[np.int64],
    group: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.bool_],
    names: list[str],
) -> npt.NDArray[np.object_]:
    """Return, for each group, the names of the chosen rows' quantities."""
    masks = np.zeros(int(group.max(initial=-1)) + 1, np.int64)
    np.bitwise_or.at(masks, group[chosen], bits[chosen])
    column: TextColumn = spelled(
        masks, lambda mask: _BETWEEN.join(name for n, name in enumerate(names) if mask >> n & 1)
    )
    words: npt.NDArray[np.object_] = column.to_numpy(zero_copy_only=False)
    return words


def _highest(
    revision: npt.NDArray[np.int64], group: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    highest = np.zeros(int(group.max(initial=-1)) + 1, np.int64)
    np.maximum.at(highest, group, revision)
    return highest


def _cast(column: Any, kind: pa.DataType) -> Any:  # noqa: ANN401 - Arrow or numpy columns
    if isinstance(column, np.ndarray):
        return _arrow.array(column, kind)
    return column.cast(kind)
