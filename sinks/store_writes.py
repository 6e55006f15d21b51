# SPDX-License-Identifier: EUPL-1.2
"""From outbox entries to rows of the store, newest row of each key first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lamppost import log
from lamppost.balance import Tally, hour_of
from lamppost.batch import AMENDED
from lamppost.frames import arrow_batch
from lamppost.log import Entry

from . import store_layout as layout
from .store_layout import Table

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
}

_ARROW_KINDS: Final = {log.SERIES, log.READINGS, log.AGGREGATES, log.INDICES, log.QUARANTINE}


_FORGET_DROPPED: Final = """
UPDATE quarantine SET payload = ''::BLOB WHERE octet_length(payload) > 0 AND EXISTS (
    FROM quarantine_states AS decided WHERE decided.state = 'dropped'
    AND decided.message = quarantine.entry AND decided.row = quarantine.position)
"""
_COUNT_HELD: Final = f"""
SELECT hours.hour, staged.series, count(*) FROM staged JOIN hours ON hours.entry = staged.entry
JOIN readings AS held ON held.series = staged.series AND held.time = staged.time
    AND (held.revision, held.entry) >= (staged.revision, staged.entry)
WHERE staged.revision <> {AMENDED} AND held.time BETWEEN ? AND ? GROUP BY ALL
"""  # noqa: S608 - a fixed number


def apply_entries(connection: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> Tally:
    """Write entries into the tables, inside the caller's transaction.

    Returns:
        The accepted readings of these entries the table holds now, as themselves or replaced.
    """
    tally = Tally()
    for kind, targets in _TARGETS.items():
        given = [entry for entry in entries if entry.kind == kind]
        everything = rows = _rows_of(given, targets[0])
        if everything is None or rows is None:
            continue
        for table in targets:
            rows = newest_of_each_key(rows, table)
            _merge(connection, table, rows)
        if kind == log.READINGS:
            _count_held(connection, given, everything, tally)
        if kind == log.QUARANTINE_STATES:
            connection.execute(_FORGET_DROPPED)
    return tally


def _count_held(
    connection: duckdb.DuckDBPyConnection, entries: Sequence[Entry], rows: pa.Table, tally: Tally
) -> None:
    limits = pc.min_max(rows.column("time"))
    hours = {"entry": [entry.seq for entry in entries], "hour": [hour_of(e.at) for e in entries]}
    connection.register("staged", rows)
    connection.register("hours", pa.table(hours))
    try:
        bounds = [limits["min"].as_py(), limits["max"].as_py()]
        for hour, series, count in connection.execute(_COUNT_HELD, bounds).fetchall():
            tally.stored[hour, series] += count
    finally:
        connection.unregister("staged")
        connection.unregister("hours")


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
    bounds: list[int] = []
    if table.pruned_by is not None:
        limits = pc.min_max(rows.column(table.pruned_by))
        bounds = [limits["min"].as_py(), limits["max"].as_py()]
    connection.register("staged", rows)
    try:
        connection.execute(table.merge, bounds)
    finally:
        connection.unregister("staged")


def _rows_of(entries: Sequence[Entry], table: Table) -> pa.Table | None:
    if not entries:
        return None
    read = _arrow_rows if entries[0].kind in _ARROW_KINDS else _json_rows
    rows = pa.concat_tables([read(entry, table) for entry in entries])
    return rows if rows.num_rows else None


def _arrow_rows(entry: Entry, table: Table) -> pa.Table:
    batch = arrow_batch(entry.body)
    metadata = batch.schema.metadata or {}
    constants = {"entry": entry.seq, "policy": metadata.get(b"policy", b"").decode()}
    columns: list[pa.Array[Any]] = []
    present = set(batch.schema.names)
    for name, kind in table.columns.items():
        if name == "position":
            columns.append(pa.array(np.arange(batch.num_rows, dtype=np.int32)))
        elif name in constants:
            repeated = [constants[name]] * batch.num_rows
            columns.append(pa.array(repeated, _SQL_TO_ARROW[kind]))
        elif name in present:
            columns.append(batch.column(name))
        else:  # left out: a statistic no row has, or the calendar of an entry from before it
            columns.append(_left_out(batch.num_rows, kind))
    return pa.table(columns, schema=_schema(table))


def _left_out(rows: int, kind: str) -> pa.Array[Any]:
    if kind == "DOUBLE":
        return pa.nulls(rows, pa.float64())
    return pa.array(np.zeros(rows, _SQL_TO_ARROW[kind].to_pandas_dtype()))


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
