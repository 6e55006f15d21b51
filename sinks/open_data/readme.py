# SPDX-License-Identifier: EUPL-1.2
"""The documents of the export, generated from the data dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lamppost.policy import Publication

from .fields import TABLES
from .schema import LAYOUT, Field, Table

_BAR: Final = "\\|"

_FILES: Final = """\
| file | content |
|---|---|
| `aggregates/window=<resolution>/year=YYYY/month=MM/day=DD/aggregates.csv`, `.parquet` | `15min`, `1h`, `8h`: windows that start on that day (UTC) |
| `aggregates/window=<resolution>/year=YYYY/month=MM/aggregates.csv`, `.parquet` | `24h`, `day`: windows that start in that month, of UTC and of the city |
| `aggregates/window=<resolution>/year=YYYY/aggregates.csv`, `.parquet` | `month`, `year`: windows that start in that year of the city |
| `indices/year=YYYY/month=MM/day=DD/indices.csv`, `.parquet` | periods that end on that day (UTC; midnight belongs to the day before) |
| `compliance/year=YYYY/compliance.csv`, `.parquet` | the year held against limits and guidelines |
| `station_indices/year=YYYY/month=MM/day=DD/station_indices.csv`, `.parquet` | the same for whole stations: the worst pollutant of each hour |
| `stations.csv` | the registered sensors |
| `datapackage.json`, `schemas/` | Data Package version 2: every file with size, SHA-256 and schema |
| `csv-metadata.json`, `schemas/*.csvw.json` | the same of the CSV files as CSV on the Web (W3C) |
| `data-dictionary.json` | the tables below, for programs |
"""  # noqa: E501 - rows of a Markdown table cannot be wrapped

_CONVENTIONS: Final = """\
- Instants are RFC 3339 in UTC; windows are half-open: `window_end` belongs to the next window.
  Columns that end in `_local` say the same instant in the city's time zone, {zone}.
- A `day`, `month` or `year` is one of the city's calendar: it begins with its date there, and a day
  in which clocks change has 23 or 25 hours. `24h` is a day of UTC.
- An empty number is unknown or does not apply, never zero. In CSV it is an empty cell, in Parquet a
  null.
- Rows are sorted by their key. A correction replaces the row and raises `revision`.
- CSV follows RFC 4180 (UTF-8, comma, CR LF). A text that begins with `=`, `+`, `-`, `@`, a tab or a
  carriage return, or with apostrophes before one of them, has an apostrophe more in front, so that
  no spreadsheet runs it; Parquet has it bare.
- The same data give the same bytes: compare files by their SHA-256.
- Numbers with `quality` other than `good` are published on purpose. Decide with `coverage`.
"""

_LAYOUTS: Final = """\
This folder has layout {layout}: `datapackage.json` says so in `layout`, each Parquet file in its metadata.
A layout only ever adds columns, behind those there are. None is renamed or moved, or changes its type or
meaning; what needs that becomes a table of another name. So read columns by their names, or the first
ones by their places, and what you have written goes on working.

A file whose rows have not changed since an earlier layout keeps its bytes, and with them the columns it
had: the `schema` of a file in `datapackage.json` is always that of its own columns, such as
`schemas/aggregates-1.json` for those of layout 1. To read files of several layouts together, let what is
missing be null: `union_by_name = true` in DuckDB, `unify_schemas` in Arrow.

| layout | brought |
|---|---|
| 1 | three tables |
| 2 | in aggregates: resolution, local times, first and last reading, quantiles, means by time and volume, harmonic mean, resultant, rate, version of the method; files of the windows `8h`, `24h`, `day`, `month` and `year`; the table of stations' indices |
| 3 | in indices, of series and of stations: averaging period and version of the table that made the value; in aggregates: the EEA's codes of validity and verification |
"""  # noqa: E501 - as above


def readme(publication: Publication, policy: str, zone: str) -> str:
    """Return the README of the folder."""
    rules = f"Rules in force: policy `{policy}`.\n\n" if policy else ""
    tables = "\n".join(_table_section(table) for table in TABLES)
    return (
        f"# {publication.title}\n\n"
        f"Published by {publication.publisher} under "
        f"[{publication.licence}]({publication.licence_url}).\n"
        f"Each row names the version of the rules it was made under in `policy`.\n\n{rules}"
        f"## Files\n\n{_FILES}\n## Conventions\n\n{_CONVENTIONS.format(zone=zone)}\n"
        f"## Layout\n\n{_LAYOUTS.format(layout=LAYOUT)}\n## Data dictionary\n\n{tables}"
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
        "| column | type | unit | since layout | meaning | rules |\n|---|---|---|---|---|---|\n"
        f"{rows}\n"
    )


def _row(column: Field) -> str:
    rules = _constraints(column.constraints)
    cells = (f"`{column.name}`", column.schema_type, column.unit, str(column.since),
             column.description, rules)  # fmt: skip
    return f"| {' | '.join(cell.replace('|', _BAR) for cell in cells)} |"


def _constraints(constraints: Mapping[str, Any]) -> str:
    return ", ".join(
        key if value is True else f"{key} {_listed(value)}" for key, value in constraints.items()
    )


def _listed(value: object) -> str:
    return " / ".join(map(str, value)) if isinstance(value, list) else str(value)
