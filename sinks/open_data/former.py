# SPDX-License-Identifier: EUPL-1.2
"""Rows of files of earlier layouts, with the columns of today."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from sinks.instant_texts import local_text

from .schema import Field, Table

_MICROSECOND_NS: Final = 1_000
_LOCAL: Final = "_local"
# Typed loosely: the Arrow stubs know no arrays of mixed types.
_arrow: Any = pa


def brought_up(table: Table, rows: pa.Table, *, window: str, zone: str) -> pa.Table:
    """Return rows with every column of today's layout.

    What nobody worked out then is empty. The resolution, and instants in local time, are filled in.

    Args:
        table: what the rows are of.
        rows: of any layout.
        window: resolution of the windows they are about, empty where they are about none.
        zone: the city's time zone.

    Raises:
        ValueError: the columns are those of no layout.
    """
    if table.layout_of(rows.column_names) is None:
        raise ValueError(f"these are no columns of {table.name}: {', '.join(rows.column_names)}")
    schema = table.arrow_schema()
    columns = [
        rows.column(column.name)
        if column.name in rows.column_names
        else _filled(column, rows, window, zone)
        for column in table.fields
    ]
    pairs = zip(columns, schema.types, strict=True)
    arrays = [found.cast(kind) for found, kind in pairs]
    made: pa.Table = _arrow.Table.from_arrays(arrays, schema=schema)
    return made


def _filled(column: Field, rows: pa.Table, window: str, zone: str) -> Any:  # noqa: ANN401 - an Arrow array
    """Return a column that an earlier layout did not have."""
    if column.type == "local datetime":
        instants = rows.column(column.name.removesuffix(_LOCAL)).cast(pa.int64()).to_numpy()
        return local_text(instants.astype(np.int64) * _MICROSECOND_NS, zone)
    if column.type != "string":
        return _arrow.nulls(len(rows))
    return _arrow.repeat(window if column.name == "window" else "", len(rows))
