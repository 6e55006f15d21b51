# SPDX-License-Identifier: EUPL-1.2
"""From outbox entries to rows of the store, newest row of each key first."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lamppost import log
from lamppost.balance import Tally, hour_of
from lamppost.batch import SENT, AggregateBatch
from lamppost.frames import arrow_batch
from lamppost.log import Entry
from lamppost.periods import resolutions

from . import store_layout as layout
from .index_tables import index_tables
from .store_layout import Table
from .store_order import MANY, note_unsorted
from .store_parts import show_at_once

_SQL_TO_ARROW: Final[dict[str, pa.DataType]] = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "DOUBLE": pa.float64(),
    "UTINYINT": pa.uint8(),
    "UINTEGER": pa.uint32(),
    "BLOB": pa.binary(),
}

# Where the rows of an entry kind go: first the full table, then the table of newest rows.
_TARGETS: Final[dict[str, tuple[Table, ...]]] = {
    log.SERIES: (layout.SERIES,),
    log.STATIONS: (layout.STATIONS,),
    log.RULES: (layout.RULES,),
    log.READINGS: (layout.READINGS, layout.LATEST_READINGS),
    log.AGGREGATES: (layout.AGGREGATES, layout.LATEST_AGGREGATES),
    log.INDICES: (layout.INDICES, layout.LATEST_INDICES),
    log.ALERTS: (layout.ALERT_EVENTS, layout.LATEST_ALERTS),
    log.QUARANTINE: (layout.QUARANTINE,),
    log.QUARANTINE_STATES: (layout.QUARANTINE_STATES,),
    log.LEDGER: (layout.LEDGER,),
    log.CLOCKS: (layout.CLOCKS,),
    log.FITS: (layout.FITS,),
    log.DETAILS: (layout.DETAILS,),
}

ARROW_KINDS: Final = frozenset(
    {log.SERIES, log.READINGS, log.AGGREGATES, log.INDICES, log.QUARANTINE, log.CLOCKS}
)
"""Kinds of entries whose body is an Arrow batch; the others are JSON."""


_FORGET_DROPPED: Final = """
UPDATE quarantine SET payload = ''::BLOB WHERE octet_length(payload) > 0 AND EXISTS (
    FROM quarantine_states AS decided WHERE decided.state = 'dropped'
    AND decided.message = quarantine.entry AND decided.row = quarantine.position)
"""
_COUNT_HELD: Final = f"""
SELECT hours.hour, staged.series, count(*) FROM staged JOIN hours ON hours.entry = staged.entry
JOIN readings AS held ON held.series = staged.series AND held.time = staged.time
    AND (held.revision, held.entry) >= (staged.revision, staged.entry)
WHERE staged.revision IN {SENT} AND held.time BETWEEN ? AND ? GROUP BY ALL
"""  # noqa: S608 - fixed numbers


_SUPERSEDED: Final = {
    layout.AGGREGATES.name: layout.AGGREGATES_HISTORY,
    layout.INDICES.name: layout.INDICES_HISTORY,
}


_TAKEN_BACK: Final = f"""
CREATE TEMP TABLE taken_back AS
SELECT DISTINCT series, resolution FROM staged WHERE {layout.TAKEN_BACK}
"""  # noqa: S608 - names of this module only
_IN_FORCE: Final = f"""
INSERT INTO {layout.LATEST_AGGREGATES.name} BY NAME
SELECT aggregates.*, resolution FROM aggregates JOIN taken_back USING (series)
WHERE resolution = CASE calendar WHEN 0 THEN length ELSE -calendar::BIGINT END
    AND {layout.IN_FORCE}
QUALIFY row_number() OVER (PARTITION BY series, resolution ORDER BY start DESC) = 1
"""  # noqa: S608 - names of this module only


def apply_entries(connection: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> Tally:
    """Write entries into the tables, inside the caller's transaction.

    Returns:
        The accepted readings of these entries the table holds now, as themselves or replaced.
    """
    tally = Tally()
    for kind, targets in _TARGETS.items():
        given = [entry for entry in entries if entry.kind == kind]
        # The table of newest rows has all columns of the full one, and may have more.
        everything = rows = _rows_of(given, targets[-1])
        if everything is None or rows is None:
            continue
        for table in targets:
            history = _SUPERSEDED.get(table.name)
            if history is not None:
                _merge_revisions(connection, table, history, rows)
                continue
            newest = newest_of_each_key(rows, table)
            _merge(connection, table, newest)
            if table is layout.LATEST_AGGREGATES:
                _pass_over_taken_back(connection, rows)
        if kind == log.READINGS:
            _count_held(connection, given, everything, tally)
        if kind == log.QUARANTINE_STATES:
            connection.execute(_FORGET_DROPPED)
    return tally


def _merge_revisions(
    connection: duckdb.DuckDBPyConnection, table: Table, history: Table, rows: pa.Table
) -> None:
    """Take rows in, and keep those of them and of the table that give way to newer revisions."""
    revisions = newest_of_each_key(rows, history)
    newest = newest_of_each_key(revisions, table)
    met = _ask(connection, table, table.met, newest)
    stays = met.column("stays")
    if len(met) >= MANY:
        # One by one, DuckDB changes 25,000 rows of 30 columns ten times slower.
        with _named(connection, staged=newest):
            connection.execute(table.clear, _bounds(table, newest))
    _merge(connection, table, newest)
    if table is layout.AGGREGATES:
        with _named(connection, staged=newest):
            note_unsorted(connection, newest)
    superseded = met.filter(pc.invert(stays)).drop_columns(["stays"])
    if len(newest) < len(revisions) or pc.any(stays).as_py():
        late = _ask(connection, table, table.absent, revisions)
        superseded = pa.concat_tables([superseded, late])
    if len(superseded):
        # Told again together with its successor, a revision is both in the table and in the rows.
        _merge(connection, history, newest_of_each_key(superseded, history))


def _pass_over_taken_back(connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> None:
    """Let the newest window that counts be the latest where newer ones were taken back."""
    nothing = rows.column("count").to_numpy() == 0
    if not nothing.any():
        return
    with _named(connection, staged=rows):
        connection.execute(_TAKEN_BACK)
    connection.execute(
        f"DELETE FROM {layout.LATEST_AGGREGATES.name} AS old USING taken_back"  # noqa: S608 - names of this module only
        " WHERE old.series = taken_back.series AND old.resolution = taken_back.resolution"
    )
    connection.execute(_IN_FORCE)
    connection.execute("DROP TABLE taken_back")


def forget_superseded(connection: duckdb.DuckDBPyConnection, before: int) -> int:
    """Forget revisions that were replaced before an instant, and return how many."""
    gone = 0
    for name, history in _SUPERSEDED.items():
        old = f"FROM {history.name} WHERE published IS NULL OR published < ?"
        if not connection.execute(f"SELECT 1 {old} LIMIT 1", [before]).fetchall():
            continue
        same = " AND ".join(f'old."{part}" = gone."{part}"' for part in history.key)
        found = connection.execute(
            f"DELETE FROM {history.name} AS old USING {name}_revisions AS gone"  # noqa: S608 - our own names
            f" WHERE {same} AND gone.replaced_at < ?",
            [before],
        ).fetchone()
        gone += found[0] if found else 0
    return gone


def _count_held(
    connection: duckdb.DuckDBPyConnection, entries: Sequence[Entry], rows: pa.Table, tally: Tally
) -> None:
    limits = pc.min_max(rows.column("time"))
    hours = {"entry": [entry.seq for entry in entries], "hour": [hour_of(e.at) for e in entries]}
    bounds = [limits["min"].as_py(), limits["max"].as_py()]
    with _named(connection, staged=rows, hours=pa.table(hours)):
        counts = connection.execute(_COUNT_HELD, bounds).fetchall()
    for hour, series, count in counts:
        tally.stored[hour, series] += count


def newest_of_each_key(rows: pa.Table, table: Table) -> pa.Table:
    """Return one row per key of ``table``: the newest, and of equals the last."""
    ranks = [
        np.asarray(_comparable(rows.column(name)))
        for name in (*reversed(table.order), *reversed(table.key))
    ]
    order = np.lexsort(ranks)
    keys = [rank[order] for rank in ranks[len(table.order) :]]
    last = np.ones(len(order), np.bool_)
    last[:-1] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return rows if last.all() else rows.take(np.sort(order[last]))


def _comparable(column: pa.ChunkedArray[Any]) -> Any:  # noqa: ANN401 - a numpy array of integers
    if pa.types.is_integer(column.type):
        return column.to_numpy()
    return pc.rank(column, sort_keys="ascending", tiebreaker="dense").to_numpy()


def _merge(connection: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> None:
    with _named(connection, staged=rows):
        connection.execute(table.merge, _bounds(table, rows))
    show_at_once(connection, table, len(rows))


def _ask(
    connection: duckdb.DuckDBPyConnection, table: Table, query: str, rows: pa.Table
) -> pa.Table:
    with _named(connection, staged=rows):
        found: pa.Table = connection.sql(query, params=_bounds(table, rows)).to_arrow_table()
        return found


def _bounds(table: Table, rows: pa.Table) -> list[int]:
    if table.pruned_by is None:
        return []
    limits = pc.min_max(rows.column(table.pruned_by))
    return [limits["min"].as_py(), limits["max"].as_py()]


@contextlib.contextmanager
def _named(connection: duckdb.DuckDBPyConnection, **tables: pa.Table) -> Iterator[None]:
    """Let queries use tables by name; after an error, rolling back takes the names away."""
    for name, rows in tables.items():
        connection.register(name, rows)
    yield
    for name in tables:
        connection.unregister(name)


def _rows_of(entries: Sequence[Entry], table: Table) -> pa.Table | None:
    if not entries:
        return None
    read = _arrow_rows if entries[0].kind in ARROW_KINDS else _json_rows
    rows = pa.concat_tables([read(entry, table) for entry in entries])
    return rows if rows.num_rows else None


def _arrow_rows(entry: Entry, table: Table) -> pa.Table:
    batch = arrow_batch(entry.body)
    metadata = batch.schema.metadata or {}
    constants: dict[str, str | int] = {
        "entry": entry.seq, "policy": metadata.get(b"policy", b"").decode(), "published": entry.at
    }  # fmt: skip
    made = _made(entry.kind, batch, table)
    columns: list[pa.Array[Any]] = []
    for name, kind in table.columns.items():
        if name in made:
            columns.append(made[name])
        elif name in constants:
            columns.append(_repeated(constants[name], kind, len(batch)))
        elif name in batch.schema.names:
            columns.append(batch.column(name))
        else:
            # Aggregates did not have this column yet, or no row says anything in it.
            columns.append(_repeated(None if kind == "DOUBLE" else 0, kind, len(batch)))
    return pa.table(columns, schema=_schema(table))


def _made(kind: str, batch: pa.RecordBatch, table: Table) -> dict[str, pa.Array[Any]]:
    """Return the columns of a table that the entry has in another form."""
    made: dict[str, pa.Array[Any]] = {}
    if "position" in table.columns:
        made["position"] = pa.array(np.arange(batch.num_rows, dtype=np.int32))
    if "resolution" in table.columns:
        made["resolution"] = _resolutions(batch)
    if kind == log.INDICES:
        made |= index_tables(batch).or_null()
    return made


def _repeated(value: str | int | None, kind: str, size: int) -> pa.Array[Any]:
    scalar: Any = pa.scalar(value, _SQL_TO_ARROW[kind])
    column: pa.Array[Any] = pa.repeat(scalar, size)
    return column


def _resolutions(batch: pa.RecordBatch) -> pa.Array[Any]:
    windows = AggregateBatch.from_arrow(batch)
    return pa.array(resolutions(windows.length, windows.calendar))


def _json_rows(entry: Entry, table: Table) -> pa.Table:
    content = json.loads(entry.body)
    if entry.kind == log.RULES:
        text = entry.body.decode()
        content = [{"policy": content["policy"], "at": entry.at, "document": text}]
    rows = [
        {**row, "entry": entry.seq, "position": position} for position, row in enumerate(content)
    ]
    return pa.Table.from_pylist(rows, schema=_schema(table))


def _schema(table: Table) -> pa.Schema:
    return pa.schema([(name, _SQL_TO_ARROW[kind]) for name, kind in table.columns.items()])
