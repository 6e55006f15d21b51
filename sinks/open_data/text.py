# SPDX-License-Identifier: EUPL-1.2
"""Tables as bytes: CSV (RFC 4180) and Parquet. The same rows always give the same bytes."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from lamppost.times import format_instant
from sinks.text_columns import TextColumn, content, join, numbers, or_empty, pick, spelled, texts

_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_QUOTED: Final = frozenset('",\r\n')
_MICROSECOND_NS: Final = 1_000
# Typed loosely: the Parquet module has incomplete types.
_parquet: Any = pyarrow.parquet


def text_cell(text: str) -> str:
    """Return a text as a CSV cell.

    A text a spreadsheet would run as a formula gets an apostrophe in front. So does one that looks
    as if it had got one, so that whoever takes one away gets back what it was.

    >>> text_cell("=1+1")
    "'=1+1"
    >>> text_cell('a "b", c')
    '"a ""b"", c"'
    """
    guarded = f"'{text}" if _FORMULA.match(text) else text
    if _QUOTED.isdisjoint(guarded):
        return guarded
    doubled = guarded.replace('"', '""')
    return f'"{doubled}"'


def csv_bytes(table: pa.Table) -> bytes:
    """Return a table as CSV in UTF-8 with a header line and CR LF line ends."""
    names: list[str] = table.column_names
    header = ",".join(text_cell(name) for name in names) + "\r\n"
    if not len(table):
        return header.encode()
    parts: list[TextColumn | str] = []
    for name in names:
        column: Any = table.column(name).combine_chunks()
        parts += [_cells(column), ","]
    parts[-1] = "\r\n"
    return header.encode() + bytes(content(join(*parts)))


def parquet_bytes(table: pa.Table) -> bytes:
    """Return a table as Parquet: zstd, dictionaries, statistics."""
    sink = pa.BufferOutputStream()
    _parquet.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=True,
        write_statistics=True,
        version="2.6",
        store_schema=True,
    )
    return sink.getvalue().to_pybytes()


def _cells(column: Any) -> TextColumn:  # noqa: ANN401 - an Arrow array of any published type
    if pa.types.is_string(column.type):
        encoded = column.dictionary_encode()
        cells = texts(text_cell(value) for value in encoded.dictionary.to_pylist())
        return pick(cells, encoded.indices.fill_null(0).to_numpy())
    if pa.types.is_timestamp(column.type):
        micros = column.cast(pa.int64()).to_numpy()
        return spelled(micros, lambda micro: format_instant(micro * _MICROSECOND_NS))
    if pa.types.is_boolean(column.type):
        return pick(texts(["false", "true"]), column.cast(pa.int8()).to_numpy())
    if column.null_count == len(column):
        return pick(texts([""]), np.zeros(len(column), np.int64))
    absent = column.is_null().to_numpy(zero_copy_only=False)
    values = column.fill_null(0).to_numpy(zero_copy_only=False)
    return or_empty(numbers(values, absent.astype(np.bool_)))
