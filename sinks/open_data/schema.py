# SPDX-License-Identifier: EUPL-1.2
"""What a published table is made of, and the layout its columns came with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pyarrow as pa

FieldType = Literal["string", "integer", "number", "datetime", "local datetime", "boolean"]

LAYOUT: Final = 3
"""Number of the layout; it rises when columns are added, and nothing else ever happens to them."""

# Typed loosely: the Arrow stubs refuse lists of fields of different types.
_arrow: Any = pa
_ARROW_TYPES: Final[dict[str, Any]] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "datetime": pa.timestamp("us", tz="UTC"),
    # An instant of Arrow has no offset of its own.
    "local datetime": pa.string(),
    "boolean": pa.bool_(),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One published column.

    Attributes:
        name: header of the column.
        type: Table Schema type; a local datetime is one with an offset.
        description: what it means, in plain language.
        unit: unit of its numbers; "see unit" where a column of the row names it.
        constraints: Table Schema constraints.
        since: layout that brought it.
    """

    name: str
    type: FieldType
    description: str
    unit: str = ""
    constraints: Mapping[str, Any] = field(default_factory=dict)
    since: int = 1

    @property
    def schema_type(self) -> str:
        """Its type in the words of Table Schema."""
        return "datetime" if self.type == "local datetime" else self.type

    @property
    def empty_is_a_value(self) -> bool:
        """Whether an empty text says something (no qualifiers) and does not stand for a gap."""
        return self.type == "string"

    def table_schema(self) -> dict[str, Any]:
        """Return the column as a Table Schema field."""
        described: dict[str, Any] = {
            "name": self.name,
            "type": self.schema_type,
            "description": self.description,
        }
        if self.unit:
            described["unit"] = self.unit
        if self.constraints:
            described["constraints"] = dict(self.constraints)
        if self.empty_is_a_value:
            described["missingValues"] = []
        if self.since > 1:
            described["since"] = self.since
        return described


@dataclass(frozen=True, slots=True)
class Table:
    """One published table.

    Attributes:
        name: what its files are called.
        title: what people call it.
        description: what a row is.
        fields: its columns, in order; those of a later layout stand behind those of earlier ones.
        key: columns that identify a row; rows are sorted by them.
    """

    name: str
    title: str
    description: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]

    def of(self, layout: int) -> tuple[Field, ...]:
        """Return the columns of a layout."""
        return tuple(column for column in self.fields if column.since <= layout)

    def layout_of(self, names: Sequence[str]) -> int | None:
        """Return the newest layout with these columns in this order; None for a stranger's file."""
        for layout in range(LAYOUT, 0, -1):
            if [column.name for column in self.of(layout)] == list(names):
                return layout
        return None

    def arrow_schema(self) -> pa.Schema:
        """Return the schema of the Parquet files, with the dictionary in the field metadata."""
        schema: pa.Schema = _arrow.schema(
            [
                _arrow.field(
                    column.name,
                    _ARROW_TYPES[column.type],
                    metadata={"description": column.description, "unit": column.unit},
                )
                for column in self.fields
            ],
            metadata={"layout": str(LAYOUT)},
        )
        return schema

    def table_schema(self, layout: int = LAYOUT) -> dict[str, Any]:
        """Return the Table Schema of the files of a layout (Data Package version 2)."""
        columns = self.of(layout)
        names = {column.name for column in columns}
        return {
            "$schema": "https://datapackage.org/profiles/2.0/tableschema.json",
            "fields": [column.table_schema() for column in columns],
            "primaryKey": [name for name in self.key if name in names],
            "missingValues": [""],
        }
