# SPDX-License-Identifier: EUPL-1.2
"""Outbox entries made by hand, as sinks meet them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lamppost.batch import AggregateBatch, Columns, IndexBatch, JudgedBatch
from lamppost.clock_skew import ClockBatch
from lamppost.frames import arrow_batch, arrow_bytes
from lamppost.indices import TABLES_KEY
from lamppost.log import (
    AGGREGATES,
    ALERTS,
    CLOCKS,
    INDICES,
    READINGS,
    RULES,
    SERIES,
    STATIONS,
    Entry,
)
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS

START_NS = 1_795_219_200_000_000_000  # 2026-11-21T00:00:00Z
POLICY = "abcdef012345"
NAN = float("nan")


def series_entry(seq: int, keys: Sequence[SeriesKey], start: int = 0) -> Entry:
    """Announce series, numbered in their order; those before ``start`` are already known."""
    return Entry(seq, SERIES, START_NS, arrow_bytes(SeriesTable(keys).to_arrow(start)))


def stations_entry(seq: int, *stations: Mapping[str, Any]) -> Entry:
    """Announce stations."""
    return Entry(seq, STATIONS, START_NS, json.dumps(stations).encode())


def rules_entry(
    seq: int, publication: Mapping[str, str] | None = None, zone: str = "", method: str = ""
) -> Entry:
    """Announce the rules in force; those of long ago name neither a time zone nor a method."""
    rules = {
        "policy": POLICY,
        **({"method": method} if method else {}),
        "content": {
            "publication": dict(publication or {}),
            **({"time": {"zone": zone}} if zone else {}),
        },
        "reasons": [],
        "indices": {"1": "us_aqi"},
        "quantities": {},
    }
    return Entry(seq, RULES, START_NS, json.dumps(rules).encode())


def readings_entry(seq: int, **columns: Any) -> Entry:
    """Say readings; columns that are not given get an ordinary value."""
    ordinary = {
        "series": 0,
        "time": START_NS,
        "received": START_NS,
        "value": 1.5,
        "flag": 1,
        "reasons": 0,
        "score": NAN,
        "expected": NAN,
        "band_low": NAN,
        "band_high": NAN,
        "revision": 0,
    }
    return Entry(seq, READINGS, START_NS, _body(JudgedBatch, ordinary, columns))


def aggregates_entry(seq: int, **columns: Any) -> Entry:
    """Say aggregates."""
    ordinary = {
        "series": 0,
        "start": START_NS,
        "length": HOUR_NS,
        "calendar": 0,
        "revision": 0,
        "count": 60,
        "expected": 60.0,
        "coverage": 1.0,
        "mean": 12.25,
        "min": 10.0,
        "max": 14.5,
        "sd": 1.0,
        "total": 735.0,
        "suspect": 0,
        "excluded": 0,
        "flag": 1,
    }
    return Entry(seq, AGGREGATES, START_NS, _body(AggregateBatch, ordinary, columns))


def indices_entry(seq: int, *, tables: Mapping[str, Any] | None = None, **columns: Any) -> Entry:
    """Say index values; ``tables`` names those behind them by index and number."""
    ordinary = {
        "series": 0,
        "index": 1,
        "end": START_NS + HOUR_NS,
        "revision": 0,
        "concentration": 12.2,
        "value": 51.0,
        "category": 2,
        "coverage": 1.0,
        "beyond": 0,
    }
    body = _body(IndexBatch, ordinary, columns)
    if tables is not None:
        batch = arrow_batch(body)
        told = {**(batch.schema.metadata or {}), TABLES_KEY: json.dumps(tables)}
        body = arrow_bytes(batch.replace_schema_metadata(told))
    return Entry(seq, INDICES, START_NS, body)


def clocks_entry(seq: int, **columns: Any) -> Entry:
    """Say how far clocks are off."""
    ordinary = {"series": 0, "skew": 0, "spread": 0, "readings": 5, "until": START_NS}
    return Entry(seq, CLOCKS, START_NS, _body(ClockBatch, ordinary, columns))


def alerts_entry(seq: int, **fields: Any) -> Entry:
    """Say one alert event."""
    event = {
        "alert_id": "a1",
        "kind": "firing",
        "at": START_NS,
        "rule": "high_pm",
        "title": "High fine dust",
        "severity": "warning",
        "policy": POLICY,
        "sensor": "aq-017",
        "quantity": "pm2_5",
        "qualifiers": "",
        "since": START_NS,
        "observed": 80.0,
        "expected": 25.0,
        "band_low": None,
        "band_high": None,
        "unit": "ug/m3",
        "sentence": "Fine dust is high.",
        "clears_when": "It is below 25.",
        "by": "",
        "comment": "",
        **fields,
    }
    return Entry(seq, ALERTS, event["at"], json.dumps([event]).encode())


def _body(kind: type[Columns], ordinary: Mapping[str, Any], given: Mapping[str, Any]) -> bytes:
    rows = max((np.size(column) for column in given.values()), default=1)
    columns = {
        name: np.resize(np.asarray(column), rows) for name, column in {**ordinary, **given}.items()
    }
    batch = kind(**columns).to_arrow().replace_schema_metadata({"policy": POLICY})
    return arrow_bytes(batch)
