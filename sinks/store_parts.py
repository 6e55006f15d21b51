# SPDX-License-Identifier: EUPL-1.2
"""Writes in parts that DuckDB shows to readers at once.

What one transaction appends to a table is copied row by row into it when that is less than a row
group. More is moved over as it is, and DuckDB 2.0.0 marks the moved rows as not to be seen yet only
after they can be found: whoever reads the table in these milliseconds sees some of them, even in a
transaction that began before. Waiting with new transactions does not help those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import duckdb

from lamppost.frames import arrow_batch
from lamppost.log import Entry

from .store_layout import Table

ROW_GROUP: Final = 122_880
"""Rows of a row group of DuckDB."""

MOST_ROWS: Final = 100_000
"""Rows a transaction may append to one table; below :data:`ROW_GROUP`."""


def parts(
    entries: Sequence[Entry], cursor: int, arrow_kinds: frozenset[str]
) -> Iterator[tuple[Sequence[Entry], int]]:
    """Cut entries, where they are many rows, into the transactions to write them in.

    Yields:
        The entries of a transaction, and the cursor of the store after it.
    """
    first = rows = 0
    for place, entry in enumerate(entries):
        size = _rows_at_most(entry, arrow_kinds)
        if place > first and rows + size > MOST_ROWS:
            yield entries[first:place], min(entries[place - 1].seq, cursor)
            first, rows = place, 0
        rows += size
    yield entries[first:], cursor


def show_at_once(connection: duckdb.DuckDBPyConnection, table: Table, appended: int) -> None:
    """Make DuckDB copy the rows of this transaction row by row, where there are many of them.

    It does so when one of the appended rows is deleted again. That takes longer, so it is left for
    single entries of so many rows.
    """
    if appended <= MOST_ROWS:
        return
    key = table.key[0]
    connection.execute(f'INSERT INTO {table.name} ("{key}") VALUES (NULL)')  # noqa: S608 - names of our own
    connection.execute(f'DELETE FROM {table.name} WHERE "{key}" IS NULL')  # noqa: S608 - names of our own


def _rows_at_most(entry: Entry, arrow_kinds: frozenset[str]) -> int:
    if entry.kind in arrow_kinds:
        return arrow_batch(entry.body).num_rows
    return entry.body.count(b"{")
