# SPDX-License-Identifier: EUPL-1.2
"""The CSV files as CSV on the Web (W3C): which there are, and what their columns hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from lamppost.policy import Publication

from .schema import Field, FieldType, Table

METADATA: Final = "csv-metadata.json"
_CONTEXT: Final = ("http://www.w3.org/ns/csvw", {"@language": "en"})
_BASES: Final[Mapping[FieldType, str]] = {
    "string": "string",
    "integer": "integer",
    "number": "double",
    "datetime": "dateTimeStamp",
    "local datetime": "dateTimeStamp",
    "boolean": "boolean",
}


def schema_path(path: str) -> str:
    """Return where the schema for the web is, from where the Table Schema is.

    >>> schema_path("schemas/aggregates-1.json")
    'schemas/aggregates-1.csvw.json'
    """
    return f"{path.removesuffix('.json')}.csvw.json"


def web_schema(table: Table, layout: int) -> dict[str, Any]:
    """Return the schema of the CSV files of a layout."""
    columns = table.of(layout)
    names = {column.name for column in columns}
    return {
        "@context": list(_CONTEXT),
        "columns": [_column(column) for column in columns],
        "primaryKey": [name for name in table.key if name in names],
    }


def web_tables(publication: Publication, resources: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the list of all CSV files, each with its schema."""
    return {
        "@context": list(_CONTEXT),
        "dc:title": publication.title,
        "dc:publisher": publication.publisher,
        "dc:license": {"@id": publication.licence_url},
        "dialect": {"header": True, "encoding": "utf-8", "lineTerminators": ["\r\n"]},
        "tables": [
            {"url": found["path"], "tableSchema": schema_path(found["schema"])}
            for found in resources
            if found["format"] == "csv"
        ],
    }


def _column(column: Field) -> dict[str, Any]:
    datatype: dict[str, Any] = {"base": _BASES[column.type]}
    for name in ("minimum", "maximum"):
        if name in column.constraints:
            datatype[name] = column.constraints[name]
    words = column.constraints.get("enum")
    form = "|".join(words) if words else column.constraints.get("pattern")
    if form:
        datatype["format"] = form
    described = {
        "name": column.name,
        "titles": column.name,
        "datatype": datatype,
        "required": bool(column.constraints.get("required", False)),
        "dc:description": column.description,
    }
    # No qualifiers are an answer; a null could be no part of a key.
    return {**described, "null": []} if column.empty_is_a_value else described
