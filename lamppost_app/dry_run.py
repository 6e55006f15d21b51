# SPDX-License-Identifier: EUPL-1.2
"""Runs the engine on a recording, without logs or servers, and writes what it says to files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lamppost import log
from lamppost.batch import AggregateBatch, JudgedBatch
from lamppost.component import reason_names
from lamppost.errors import ConfigError
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Record
from lamppost.periods import resolution_name
from lamppost.policy import Policy
from lamppost.series import SeriesTable
from lamppost.times import DAY_NS, MINUTE_NS
from sensor_sim.dialects import Report, encode, null_for_nan
from sensor_sim.messages import topic_of
from sensor_sim.recordings import Readings, Recording

from .engine import Engine

_TICKS: Final = 2000
_UTC: Final = pa.timestamp("ns", tz="UTC")


def inbox_of(recording: Recording, sensor: str, policy: Policy) -> Iterator[Entry]:
    """Yield the inbox a recording would have made, had its device been heard live.

    Every reading is received at its own time; ticks advance the clock in between, and far enough
    at the end for every window to close.

    Raises:
        ConfigError: the recording has no rows.
    """
    readings = recording.readings()
    if not len(readings):
        raise ConfigError("the recording has no rows", where=str(recording.path))
    heard_at = np.maximum.accumulate(readings.time_ns)
    for number, record in enumerate(_records(readings, heard_at, sensor, policy), 1):
        yield Entry(number, *record)


class DryRun:
    """The engine and everything it has said, newest revisions only."""

    def __init__(self) -> None:
        """Start with nothing said."""
        self._engine = Engine()
        self._readings: list[JudgedBatch] = []
        self._aggregates: list[AggregateBatch] = []
        self._alerts: list[dict[str, Any]] = []
        self._ledger: dict[tuple[str, str, int], dict[str, Any]] = {}
        self.quarantined: list[dict[str, Any]] = []

    def take(self, entry: Entry) -> None:
        """Apply one entry."""
        for record in self._engine.apply(entry):
            self._hear(record)

    def write(self, folder: Path) -> None:
        """Write readings, aggregates, alerts and ledger."""
        folder.mkdir(parents=True, exist_ok=True)
        series = self._engine.series
        pq.write_table(readings_table(self._readings, series), folder / "readings.parquet")
        pq.write_table(aggregates_table(self._aggregates, series), folder / "aggregates.parquet")
        lines = [json.dumps(alert, ensure_ascii=False, sort_keys=True) for alert in self._alerts]
        text = "".join(f"{line}\n" for line in lines)
        (folder / "alerts.ndjson").write_text(text, encoding="utf-8")
        ledger = json.dumps(self.ledger(), indent=2, sort_keys=True)
        (folder / "ledger.json").write_text(f"{ledger}\n", encoding="utf-8")

    def ledger(self) -> dict[str, Any]:
        """Return the rows of the ledger and their sums."""
        rows = [self._ledger[key] for key in sorted(self._ledger)]
        names = ("received", "accepted", "duplicate", "quarantined", "refused")
        return {"total": {name: sum(row[name] for row in rows) for name in names}, "rows": rows}

    def summary(self) -> str:
        """Return one line for people."""
        total = self.ledger()["total"]
        firing = sum(alert["kind"] == "firing" for alert in self._alerts)
        counts = ", ".join(f"{count} {name}" for name, count in total.items())
        return f"{counts}; {firing} alerts fired"

    def _hear(self, record: Record) -> None:
        match record.kind:
            case log.READINGS:
                self._readings.append(JudgedBatch.from_arrow(arrow_batch(record.body)))
            case log.AGGREGATES:
                self._aggregates.append(AggregateBatch.from_arrow(arrow_batch(record.body)))
            case log.ALERTS:
                self._alerts += json.loads(record.body)
            case log.QUARANTINE:
                self.quarantined += arrow_batch(record.body).to_pylist()
            case log.LEDGER:
                for row in json.loads(record.body):
                    self._ledger[row["source"], row["sensor"], row["hour"]] = row


def readings_table(batches: list[JudgedBatch], series: SeriesTable) -> pa.Table:
    """Return judged readings with names, the newest verdict on each instant."""
    batch = JudgedBatch.concat(batches)
    batch = batch.take(newest(batch.series, batch.time))
    texts = {mask: reason_names(mask) for mask in np.unique(batch.reasons).tolist()}
    return pa.table(
        {
            **_names(batch.series, series),
            "time": pa.array(batch.time, _UTC),
            "value": batch.value,
            "flag": batch.flag,
            "reasons": pa.array(
                [texts[mask] for mask in batch.reasons.tolist()], pa.list_(pa.string())
            ),
            **{
                name: getattr(batch, name)
                for name in ("score", "expected", "band_low", "band_high")
            },
        }
    )


def aggregates_table(batches: list[AggregateBatch], series: SeriesTable) -> pa.Table:
    """Return aggregates with names, the newest revision of each window."""
    batch = AggregateBatch.concat(batches)
    batch = batch.take(newest(batch.series, batch.calendar, batch.length, batch.start))
    spans = list(zip(batch.length.tolist(), batch.calendar.tolist(), strict=True))
    names = {span: resolution_name(*span) for span in set(spans)}
    placed = {"series", "start", "length", "calendar"}
    rest = [name for name in AggregateBatch.dtypes() if name not in placed]
    return pa.table(
        {
            **_names(batch.series, series),
            "window": [names[span] for span in spans],
            "start": pa.array(batch.start, _UTC),
            "end": pa.array(batch.start + batch.length, _UTC),
            **{name: getattr(batch, name) for name in rest},
        }
    )


def newest(*keys: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the positions of the last row of each key, sorted by key; rows come oldest first."""
    order = np.lexsort(keys[::-1])
    last = np.ones(len(order), np.bool_)
    last[:-1] = False
    for key in keys:
        last[:-1] |= key[order][1:] != key[order][:-1]
    return order[last]


def _names(codes: np.ndarray[Any, Any], series: SeriesTable) -> dict[str, pa.Array[Any]]:
    keys = list(series)
    fields = ("sensor_id", "quantity", "qualifiers")
    names = [pa.array([key[place] for key in keys], pa.string()) for place in range(len(fields))]
    at = pa.array(codes)
    return {field: name.take(at) for field, name in zip(fields, names, strict=True)}


def _records(
    readings: Readings, heard_at: np.ndarray[Any, Any], sensor: str, policy: Policy
) -> Iterator[Record]:
    first, last = int(heard_at[0]), int(heard_at[-1])
    yield Record(log.POLICY, first, policy.canonical().encode())
    step = max((last - first) // _TICKS, MINUTE_NS)
    edges = np.flatnonzero(np.diff(heard_at // step)) + 1
    for begin, end in zip([0, *edges.tolist()], [*edges.tolist(), len(heard_at)], strict=True):
        yield _frame(readings, slice(begin, end), heard_at, sensor)
        yield Record(log.TICK, int(heard_at[end - 1]), b"")
    yield Record(log.TICK, last + DAY_NS, b"")


def _frame(readings: Readings, rows: slice, heard_at: np.ndarray[Any, Any], sensor: str) -> Record:
    deliveries = Deliveries()
    for row in range(rows.start, rows.stop):
        values = {
            quantity: null_for_nan(column[row : row + 1])
            for quantity, column in readings.columns.items()
        }
        report = Report(sensor, readings.time_ns[row : row + 1], values, dict(readings.units))
        deliveries.add(topic_of(sensor), encode(report), int(heard_at[row]), source="file")
    return Record(log.FRAME, deliveries.received_at[-1], deliveries.to_bytes())
