# SPDX-License-Identifier: EUPL-1.2
"""What a trial leaves behind for the checker, and what the outbox says in columns."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lamppost import log
from lamppost.batch import AggregateBatch, JudgedBatch
from lamppost.frames import arrow_batch
from lamppost.log import Entry
from lamppost.quarantine import QUARANTINE_SCHEMA
from lamppost.series import SeriesKey, SeriesTable
from lamppost_app.sqlite_log import ENGINE, SqliteLog
from tests.services import VictoriaMetrics

_PAGE = 512


@dataclass
class Evidence:
    """What is known from outside, and where the system keeps its own.

    Attributes:
        data: the data folder; nothing may be writing there any more.
        acknowledged: payloads the other side saw Lamppost acknowledge.
        sent: payloads in the order they were first handed to Lamppost; empty where not known.
        database: the VictoriaMetrics readings went to, running, with one point per instant.
        peak_rss: peak memory by role, bytes; ``rss_bound`` is the most it may be.
        recoveries_s: times it took to work again; ``recovery_bound_s`` is the longest allowed.
    """

    data: Path
    acknowledged: Collection[bytes] = ()
    sent: Sequence[bytes] = ()
    database: VictoriaMetrics | None = None
    peak_rss: Mapping[str, int] = field(default_factory=dict)
    rss_bound: int = 0
    recoveries_s: Sequence[float] = ()
    recovery_bound_s: float = 0.0


class Said:
    """The outbox in columns: what the engine said, up to its end."""

    def __init__(self, path: Path) -> None:
        """Read all of it."""
        self.names = SeriesTable()
        self.ledger: dict[tuple[str, str, int], dict[str, Any]] = {}
        self.last = self.last_ledger = 0
        tables: dict[str, list[pa.Table]] = {}
        with opened(path) as outbox:
            self.position = outbox.position(ENGINE)
            for entry in every_entry(outbox):
                self.last = entry.seq
                self._take(entry, tables)
        self.readings = _joined(tables, log.READINGS, JudgedBatch.schema())
        self.aggregates = _joined(tables, log.AGGREGATES, AggregateBatch.schema())
        self.quarantine = _joined(tables, log.QUARANTINE, QUARANTINE_SCHEMA)

    def _take(self, entry: Entry, tables: dict[str, list[pa.Table]]) -> None:
        if entry.kind == log.SERIES:
            self.names.extend_from_arrow(arrow_batch(entry.body))
        elif entry.kind in {log.READINGS, log.AGGREGATES, log.QUARANTINE}:
            batch = arrow_batch(entry.body)
            tables.setdefault(entry.kind, []).append(_placed(batch, entry))
        elif entry.kind == log.LEDGER:
            self.last_ledger = entry.seq
            for row in json.loads(entry.body):
                self.ledger[row["source"], row["sensor"], row["hour"]] = row

    def key(self, code: int) -> SeriesKey:
        """Return the name of a series; one that was never announced is called so."""
        known = code < len(self.names)
        return self.names[code] if known else SeriesKey(f"unannounced series {code}", "")

    def codes(self) -> dict[SeriesKey, int]:
        """Return the code of every series."""
        return {key: code for code, key in enumerate(self.names)}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[SqliteLog]:
    """Open a log for a while."""
    opened_log = SqliteLog(path)
    try:
        yield opened_log
    finally:
        opened_log.close()


def every_entry(source: SqliteLog, last: int = 2**62) -> Iterator[Entry]:
    """Yield the entries of a log in order, up to a number."""
    after = 0
    while entries := source.read(after, _PAGE):
        for entry in entries:
            if entry.seq > last:
                return
            yield entry
        after = entries[-1].seq


def _placed(batch: pa.RecordBatch, entry: Entry) -> pa.Table:
    table = pa.Table.from_batches([batch]).replace_schema_metadata(None)
    rows = table.num_rows
    table = table.append_column("entry", pa.array(np.full(rows, entry.seq)))
    table = table.append_column("position", pa.array(np.arange(rows)))
    return table.append_column("at", pa.array(np.full(rows, entry.at)))


def _joined(tables: dict[str, list[pa.Table]], kind: str, schema: pa.Schema) -> pa.Table:
    if kind in tables:
        # Columns that say nothing of a whole batch are left out of it.
        return pa.concat_tables(tables[kind], promote_options="default")
    places = [pa.field(name, pa.int64()) for name in ("entry", "position", "at")]
    return pa.schema([*schema, *places]).empty_table()
