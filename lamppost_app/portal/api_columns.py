# SPDX-License-Identifier: EUPL-1.2
"""Published rows as Arrow columns: their schema comes from the models of the interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from lamppost.clock_skew import state_of
from lamppost.times import SECOND_NS

from .api_models import Kind

# Typed loosely: the Arrow stubs know neither fields of mixed types nor dictionary arrays.
_arrow: Any = pa
_kernels: Any = pc
_KINDS: Final[dict[object, Kind]] = {
    str: Kind.TEXT,
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    bool: Kind.BOOLEAN,
    list: Kind.WORDS,
}
_TYPES: Final[dict[Kind, Any]] = {
    Kind.TEXT: pa.string(),
    Kind.WORDS: pa.string(),
    Kind.INSTANT: pa.timestamp("ns", tz="UTC"),
    Kind.LOCAL_INSTANT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
}
_KIND: Final = b"kind"
WORD_SEPARATOR: Final = ";"


@cache
def schema_of(model: type[BaseModel]) -> pa.Schema:
    """Return the columns of a model, each with its kind and its description.

    A list of words is one text with semicolons, as in CSV.
    """
    hints = get_type_hints(model, include_extras=True)
    fields = []
    for name, info in model.model_fields.items():
        kind = _kind(hints[name])
        facts = {"kind": kind.value, "description": info.description or ""}
        extra = info.json_schema_extra
        if isinstance(extra, dict) and "x-unit" in extra:
            facts["unit"] = str(extra["x-unit"])
        fields.append(_arrow.field(name, _TYPES[kind], metadata=facts))
    schema: pa.Schema = _arrow.schema(fields)
    return schema


def kind_of(field: pa.Field[Any]) -> Kind:
    """Return the kind of a column."""
    return Kind((field.metadata or {})[_KIND].decode())


def _kind(annotation: object) -> Kind:
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Annotated:
        marked = [part for part in arguments[1:] if isinstance(part, Kind)]
        return marked[0] if marked else _kind(arguments[0])
    if origin in {Union, UnionType}:
        return next(_kind(part) for part in arguments if part is not type(None))
    return _KINDS[origin or annotation]


def from_rows(model: type[BaseModel], rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows as columns; instants are nanoseconds, lists of words are lists."""
    schema = schema_of(model)
    lists = [field.name for field in schema if kind_of(field) is Kind.WORDS]
    joined = [
        {**row, **{name: WORD_SEPARATOR.join(row[name]) for name in lists}} if lists else row
        for row in rows
    ]
    table: pa.Table = _arrow.Table.from_pylist(joined, schema=schema)
    return table


def from_columns(
    model: type[BaseModel], raw: pa.Table, given: Mapping[str, object] | None = None
) -> pa.Table:
    """Return what is published of columns of the store.

    Args:
        model: names what is published.
        raw: columns of the store; those it lacks are null.
        given: columns, or one value for all rows, in the place of those of the store.
    """
    schema = schema_of(model)
    columns = []
    for field in schema:
        value = (given or {}).get(field.name, raw if field.name in raw.column_names else None)
        if value is raw:
            value = column(raw, field.name)
        if not isinstance(value, pa.Array):
            value = _arrow.repeat(_arrow.scalar(value, field.type), raw.num_rows)
        columns.append(value if value.type == field.type else value.cast(field.type))
    table: pa.Table = _arrow.Table.from_arrays(columns, schema=schema)
    return table


def column(table: pa.Table, name: str) -> Any:  # noqa: ANN401 - an Arrow array of any type
    """Return a column in one piece."""
    found: Any = table.column(name)
    return found.chunk(0) if found.num_chunks == 1 else found.combine_chunks()


def whole_numbers(table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    """Return a column of whole numbers without gaps."""
    numbers: npt.NDArray[np.int64] = column(table, name).to_numpy().astype(np.int64)
    return numbers


def mapped(values: Any, change: Callable[[Any], object]) -> Any:  # noqa: ANN401 - Arrow arrays
    """Change each distinct value once and give every row its own."""
    encoded = values.dictionary_encode()
    changed = _arrow.array([change(value) for value in encoded.dictionary.to_pylist()])
    return _kernels.take(changed, encoded.indices)


def clock_columns(page: pa.Table) -> dict[str, Any]:
    """Return what is published of the clocks behind series; null where nothing is known."""
    names = ("skew", "spread", "clock_until")
    rows = list(zip(*(page.column(name).to_pylist() for name in names), strict=True))
    kinds = [None if row[0] is None else state_of(*row).kind for row in rows]
    seconds = [
        [None if row[place] is None else row[place] / SECOND_NS for row in rows] for place in (0, 1)
    ]
    return {
        "clock": pa.array(kinds, pa.string()),
        "clock_skew_s": pa.array(seconds[0], pa.float64()),
        "clock_spread_s": pa.array(seconds[1], pa.float64()),
    }


def instants(time_ns: npt.NDArray[np.int64]) -> Any:  # noqa: ANN401 - an Arrow array
    """Return nanoseconds as a column of instants."""
    return _arrow.array(time_ns).cast(_TYPES[Kind.INSTANT])
