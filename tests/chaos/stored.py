# SPDX-License-Identifier: EUPL-1.2
"""What lies in the sinks, compared with what the outbox says and with what the inbox holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from lamppost.periods import resolution_name
from sinks import store_layout
from tests.chaos.evidence import Said
from tests.chaos.recount import Recount
from tests.services import VictoriaMetrics

_MS_NS = 1_000_000
_KEYS = {table.name: ", ".join(f'"{name}"' for name in table.key) for table in store_layout.TABLES}
_NEWEST = """
CREATE TEMP VIEW newest_{name} AS SELECT * FROM said_{name}
QUALIFY row_number() OVER (
    PARTITION BY {key} ORDER BY {order} entry DESC, position DESC) = 1
"""
_NUMBER = "CASE WHEN isnan({0}) THEN NULL ELSE {0} END"
_COMPARED = {
    "readings": f"series, time, revision, entry, flag, {_NUMBER.format('value')}",
    "aggregates": "series, start, length, calendar, revision, entry, count,"
    f" {_NUMBER.format('mean')}",
    "quarantine": "entry, position, payload, code",
}

Told = Iterator[tuple[str, str]]


def in_duckdb(path: Path, counted: Recount, said: Said) -> Told:
    """Yield what is wrong with the embedded store, up to the entry it has read."""
    with duckdb.connect(str(path), read_only=True) as store:
        (cursor,) = store.execute("SELECT value FROM meta WHERE key = 'cursor'").fetchone() or (0,)
        for table, key in _KEYS.items():
            doubled = f"SELECT count(*) - count(DISTINCT ({key})) FROM {table}"
            ((surplus,),) = store.execute(doubled).fetchall()
            if surplus:
                yield "I2", f"the store has {surplus} rows of {table} twice"
        for table, columns in _COMPARED.items():
            _stage(store, table, getattr(said, table), cursor)
            ours, theirs = f"SELECT {columns} FROM newest_{table}", f"SELECT {columns} FROM {table}"
            lost, surplus = (_surplus(store, *both) for both in ((ours, theirs), (theirs, ours)))
            if lost:
                yield "I1", f"the store lacks {lost} {table} the outbox says"
            if surplus:
                yield "I2", f"the store has {surplus} {table} the outbox does not say"
        if cursor >= said.last:
            yield from _raw_in_duckdb(store, counted, said)


def _stage(store: duckdb.DuckDBPyConnection, name: str, rows: pa.Table, cursor: int) -> None:
    store.register(f"all_{name}", rows)
    store.execute(f"CREATE TEMP VIEW said_{name} AS FROM all_{name} WHERE entry <= {cursor}")
    order = "" if name == "quarantine" else "revision DESC,"
    store.execute(_NEWEST.format(name=name, key=_KEYS[name], order=order))


def _surplus(store: duckdb.DuckDBPyConnection, ours: str, theirs: str) -> int:
    ((rows,),) = store.execute(f"SELECT count(*) FROM ({ours} EXCEPT {theirs})").fetchall()
    return int(rows)


def _raw_in_duckdb(store: duckdb.DuckDBPyConnection, counted: Recount, said: Said) -> Told:
    """Yield what the plain loop found in the inbox and the store does not hold."""
    codes = said.codes()
    triples = [
        (codes.get(key, -1), time, value)
        for key, values in counted.held.items()
        for time, value in values.items()
    ]
    series, times, numbers = zip(*triples, strict=True) if triples else ((), (), ())
    arrays = [pa.array(series, pa.int32()), pa.array(times, pa.int64())]
    arrays.append(pa.array(numbers, pa.float64()))
    store.register("raw", pa.table(arrays, names=["series", "time", "value"]))
    value = _NUMBER.format("value")
    lost = _surplus(
        store,
        f"SELECT series, time, {value} FROM raw",
        "SELECT series, time, value FROM readings",
    )
    if lost:
        yield "I1", f"the store lacks {lost} readings of the inbox"


def in_database(database: VictoriaMetrics, said: Said, position: int) -> Told:
    """Yield what is wrong with the time series database, up to the entry it was given.

    Only integers every point has are compared for presence. It keeps the larger of two values of an
    instant, so numbers are compared where there was never a second one.
    """
    wanted: dict[tuple[str, ...], dict[int, float]] = {}
    revised: set[tuple[tuple[str, ...], int]] = set()
    columns = ["series", "time", "value", "revision", "entry"]
    for row in said.readings.select(columns).to_pylist():
        if row["entry"] <= position:
            place, at = ("value", *said.key(row["series"])), row["time"] // _MS_NS
            wanted.setdefault(place, {})[at] = row["value"]
            revised.update([(place, at)] if row["revision"] else [])
    columns = ["series", "start", "length", "calendar", "count", "revision", "entry"]
    for row in said.aggregates.select(columns).to_pylist():
        if row["entry"] <= position:
            resolution = resolution_name(row["length"], row["calendar"])
            place = (resolution, *said.key(row["series"]))
            at = row["start"] // _MS_NS
            wanted.setdefault(place, {})[at] = row["count"]
            revised.update([(place, at)] if row["revision"] else [])
    yield from _compare(_points(database), wanted, revised)


def _points(database: VictoriaMetrics) -> dict[tuple[str, ...], list[tuple[int, float]]]:
    points: dict[tuple[str, ...], list[tuple[int, float]]] = {}
    for selector in ("readings_value", "aggregates_count"):
        for block in database.query(selector, raw=False):
            metric = dict(block["metric"])
            metric.pop("__name__")
            kind = metric.pop("window", "value")
            sensor, quantity = metric.pop("station"), metric.pop("quantity")
            metric.pop("db", None)
            qualifiers = ";".join(f"{name}={value}" for name, value in sorted(metric.items()))
            place = (kind, sensor, quantity, qualifiers)
            found = zip(block["timestamps"], block["values"], strict=True)
            points.setdefault(place, []).extend(found)
    return points


def _compare(
    points: dict[tuple[str, ...], list[tuple[int, float]]],
    wanted: dict[tuple[str, ...], dict[int, float]],
    revised: set[tuple[tuple[str, ...], int]],
) -> Told:
    lost = surplus = doubled = wrong = 0
    for place in wanted.keys() | points.keys():
        found, truth = dict(points.get(place, [])), wanted.get(place, {})
        numbers = {at: value for at, value in truth.items() if not math.isnan(value)}
        lost += len(numbers.keys() - found.keys())
        surplus += len(found.keys() - truth.keys())
        doubled += len(points.get(place, [])) - len(found)
        wrong += sum(
            found[at] != value
            for at, value in numbers.items()
            if at in found and (place, at) not in revised
        )
    if lost:
        yield "I1", f"the database lacks {lost} points"
    if surplus:
        yield "I2", f"the database has {surplus} points nobody said"
    if doubled:
        yield "I2", f"the database has {doubled} points twice"
    if wrong:
        yield "I4", f"the database has {wrong} points with another value"
