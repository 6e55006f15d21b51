# SPDX-License-Identifier: EUPL-1.2
"""Which table made each index value of an entry: averaging period and version, row by row."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute

from lamppost.batch import IndexBatch
from lamppost.indices import TableNames

from .text_columns import TextColumn, spelled

# Typed loosely: the Arrow stubs know no kernels of texts.
_kernels: Final[Any] = pyarrow.compute


class TableColumns(NamedTuple):
    """Two texts for each row, empty where the entry does not tell.

    Attributes:
        averaging: period the concentration is averaged over.
        table_version: of the table that made the value.
    """

    averaging: TextColumn
    table_version: TextColumn

    def or_null(self) -> dict[str, Any]:
        """Return the columns by name, null in place of what is not known."""
        return {
            name: _kernels.if_else(_kernels.equal(column, ""), None, column).cast(pa.string())
            for name, column in self._asdict().items()
        }


def index_tables(columns: pa.RecordBatch) -> TableColumns:
    """Return what an entry of index values says of the tables behind them."""
    names = TableNames(columns.schema.metadata)
    codes = names.codes(IndexBatch.from_arrow(columns))
    return TableColumns(
        spelled(codes, lambda code: names.by_code(code).averaging),
        spelled(codes, lambda code: names.by_code(code).version),
    )
