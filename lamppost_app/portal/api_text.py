# SPDX-License-Identifier: EUPL-1.2
"""Columns as JSON, CSV and Parquet, without a Python object for each row."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute

from sinks.instant_texts import utc_text
from sinks.open_data.text import parquet_bytes
from sinks.text_columns import Part, TextColumn, content, join, numbers, texts

from .api_columns import WORD_SEPARATOR, column, kind_of, mapped
from .api_models import Kind

_kernels: Any = pyarrow.compute
_arrow: Any = pa
_FORMULA_STARTS: Final = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\0",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)
_QUOTED: Final = frozenset('",\r\n')


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How a format writes cells.

    Attributes:
        spell: writes any text.
        quote: stands around texts in which nothing is special.
        special: what makes a text special, as a pattern.
        nothing: stands for what is not there.
    """

    spell: Callable[[str, Kind], str]
    quote: str
    special: str
    nothing: str


def json_rows(table: pa.Table) -> bytes:
    """Return rows as JSON objects with commas between them."""
    parts: list[Part] = []
    for number, field in enumerate(table.schema):
        parts.append(f"{',' if number else '{'}{json.dumps(field.name)}:")
        parts.append(_cells(table, field, _JSON))
    parts.append("},")
    return _joined(table, parts)[:-1]


def csv_text(table: pa.Table) -> bytes:
    """Return rows as CSV (RFC 4180) in UTF-8, with a header line and CR LF line ends.

    Text that a spreadsheet would run as a formula has an apostrophe in front.
    """
    parts: list[Part] = []
    for number, field in enumerate(table.schema):
        parts += ["," if number else "", _cells(table, field, _CSV)]
    parts.append("\r\n")
    header = ",".join(table.column_names) + "\r\n"
    return header.encode() + _joined(table, parts)


def parquet_file(table: pa.Table, facts: Mapping[str, str]) -> bytes:
    """Return rows as a Parquet file with facts about the whole in its metadata."""
    fields, columns = [], []
    for field in table.schema:
        values = column(table, field.name)
        described = {
            key: value for key, value in (field.metadata or {}).items() if key != b"kind" and value
        }
        if kind_of(field) is Kind.WORDS:
            values = mapped(values, lambda text: text.split(WORD_SEPARATOR) if text else [])
            values = values.cast(pa.list_(pa.string()))
        columns.append(values)
        fields.append(_arrow.field(field.name, values.type, metadata=described))
    schema = _arrow.schema(fields, metadata=dict(facts))
    return parquet_bytes(_arrow.Table.from_arrays(columns, schema=schema))


def _joined(table: pa.Table, parts: list[Part]) -> bytes:
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    if not table.num_rows:
        return b""
    if len(merged) == 1 and isinstance(merged[0], str):
        return merged[0].encode() * table.num_rows
    return bytes(content(join(*merged)))


def _cells(table: pa.Table, field: pa.Field[Any], spelling: _Spelling) -> Part:
    """Return a column as texts, or the one text all its rows have."""
    values = column(table, field.name)
    kind = kind_of(field)
    if values.null_count == len(values):
        return spelling.nothing
    if kind in {Kind.TEXT, Kind.WORDS}:
        cells = _words(values, kind, spelling)
    elif kind is Kind.BOOLEAN:
        cells = _kernels.if_else(values, "true", "false").cast(pa.large_string())
    elif kind is Kind.INSTANT:
        cells = _instant_cells(values, spelling)
    elif kind is Kind.LOCAL_INSTANT:
        cells = join(spelling.quote, values.cast(pa.large_string()), spelling.quote)
    else:
        cells = _number_cells(values)
    if isinstance(cells, str) or not cells.null_count:
        return cells
    filled: TextColumn = _kernels.fill_null(
        cells, _arrow.scalar(spelling.nothing, pa.large_string())
    )
    return filled


def _words(values: Any, kind: Kind, spelling: _Spelling) -> Part:  # noqa: ANN401 - Arrow texts
    encoded = values.dictionary_encode()
    known = encoded.dictionary
    special = kind is Kind.WORDS or len(known) == 1
    if special or _kernels.any(_kernels.match_substring_regex(known, spelling.special)).as_py():
        spelled = [spelling.spell(value, kind) for value in known.to_pylist()]
        if len(spelled) == 1 and not values.null_count:
            return spelled[0]
        distinct = texts(spelled)
    else:
        distinct = join(spelling.quote, known.cast(pa.large_string()), spelling.quote)
    cells: TextColumn = _kernels.take(distinct, encoded.indices)
    return cells


def _instant_cells(values: Any, spelling: _Spelling) -> TextColumn:  # noqa: ANN401 - Arrow instants
    whole = values.cast(pa.int64())
    written = join(spelling.quote, utc_text(whole.fill_null(0).to_numpy()), spelling.quote)
    if not values.null_count:
        return written
    absent = values.is_null()
    cells: TextColumn = _kernels.if_else(absent, _arrow.scalar(None, pa.large_string()), written)
    return cells


def _number_cells(values: Any) -> TextColumn:  # noqa: ANN401 - an Arrow array of numbers
    absent = values.is_null().to_numpy(zero_copy_only=False)
    plain = values.fill_null(0).to_numpy(zero_copy_only=False)
    # JSON has no NaN and no infinity.
    return numbers(plain, absent | ~np.isfinite(plain))


def _json_text(text: str, kind: Kind) -> str:
    if kind is Kind.WORDS:
        return json.dumps(text.split(WORD_SEPARATOR) if text else [], ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False)


def _csv_text(text: str, _kind: Kind) -> str:
    """Return a text as a cell.

    >>> print(_csv_text("=1, 2", Kind.TEXT))
    "'=1, 2"
    """
    guarded = f"'{text}" if text.startswith(_FORMULA_STARTS) else text
    if _QUOTED.isdisjoint(guarded):
        return guarded
    doubled = guarded.replace('"', '""')
    return f'"{doubled}"'


_JSON: Final = _Spelling(_json_text, '"', r'["\\\x00-\x1f]', "null")
_CSV: Final = _Spelling(
    _csv_text, "", rf'[",\r\n]|^[{"".join(map(re.escape, _FORMULA_STARTS))}]', ""
)
