# SPDX-License-Identifier: EUPL-1.2
"""The documents of the export, generated from the data dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lamppost.policy import Publication

from .fields import TABLES, Field, Table

_LAYOUT: Final = """\
| file | content |
|---|---|
| `aggregates/window=<length>/year=YYYY/month=MM/day=DD/aggregates.csv`, `.parquet` | windows that start on that day (UTC) |
| `indices/year=YYYY/month=MM/day=DD/indices.csv`, `.parquet` | periods that end on that day (UTC; midnight belongs to the day before) |
| `compliance/year=YYYY/compliance.csv`, `.parquet` | the year held against limits and guidelines |
| `stations.csv` | the registered sensors |
| `datapackage.json`, `schemas/` | Data Package version 2: every file with size, SHA-256 and schema |
| `data-dictionary.json` | the tables below, for programs |
"""  # noqa: E501 - rows of a Markdown table cannot be wrapped

_CONVENTIONS: Final = """\
- Instants are RFC 3339 in UTC; windows are half-open: `window_end` belongs to the next window.
- An empty number is unknown, never zero. In CSV it is an empty cell, in Parquet a null.
- Rows are sorted by their key. A correction replaces the row and raises `revision`.
- CSV follows RFC 4180 (UTF-8, comma, CR LF). A text that begins with `=`, `+`, `-`, `@`, a tab or a
  carriage return has an apostrophe in front, so that no spreadsheet runs it; Parquet has it bare.
- The same data give the same bytes: compare files by their SHA-256.
- Numbers with `quality` other than `good` are published on purpose. Decide with `coverage`.
"""


def readme(publication: Publication, policy: str) -> str:
    """Return the README of the folder."""
    rules = f"Rules in force: policy `{policy}`.\n\n" if policy else ""
    tables = "\n".join(_table_section(table) for table in TABLES)
    return (
        f"# {publication.title}\n\n"
        f"Published by {publication.publisher} under "
        f"[{publication.licence}]({publication.licence_url}).\n"
        f"Each row names the version of the rules it was made under in `policy`.\n\n{rules}"
        f"## Files\n\n{_LAYOUT}\n## Conventions\n\n{_CONVENTIONS}\n## Data dictionary\n\n{tables}"
    )


def dictionary() -> dict[str, Any]:
    """Return the data dictionary for programs."""
    return {
        table.name: {
            "title": table.title,
            "description": table.description,
            "key": list(table.key),
            "fields": [column.table_schema() for column in table.fields],
        }
        for table in TABLES
    }


def _table_section(table: Table) -> str:
    rows = "\n".join(_row(column) for column in table.fields)
    return (
        f"### {table.title}\n\n{table.description} Key: {', '.join(table.key)}.\n\n"
        f"| column | type | unit | meaning | rules |\n|---|---|---|---|---|\n{rows}\n"
    )


def _row(column: Field) -> str:
    rules = _constraints(column.constraints)
    return f"| `{column.name}` | {column.type} | {column.unit} | {column.description} | {rules} |"


def _constraints(constraints: Mapping[str, Any]) -> str:
    return ", ".join(
        key if value is True else f"{key} {_listed(value)}" for key, value in constraints.items()
    )


def _listed(value: object) -> str:
    return " / ".join(map(str, value)) if isinstance(value, list) else str(value)
