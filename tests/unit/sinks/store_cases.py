# SPDX-License-Identifier: EUPL-1.2
"""Outbox entries for tests of the store: readings and windows in any amount and revision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from lamppost import log
from lamppost.log import Entry
from lamppost.times import HOUR_NS, SECOND_NS
from tests.unit.portal.seeded_city import POLICY, aggregates, columns_body, judged

NOW = 1_763_762_400_000_000_000
HOUR = NOW - HOUR_NS


def windows(
    start: int = HOUR, length: int = HOUR_NS, *, revision: int = 0, level: float = 12.0,
    series: int = 0, calendar: int = 0,
) -> pa.RecordBatch:  # fmt: skip
    """Return one window of a series, as published, with its calendar."""
    batch = aggregates(series, np.array([start]), length, level)
    return replace(batch, revision=np.array([revision]), calendar=np.array([calendar])).to_arrow()


def hourly(seq: int, *, at: int = NOW, **changes: float) -> Entry:
    """Return an entry with one window."""
    batch = windows(**changes)  # type: ignore[arg-type] # whole numbers where they must be
    return Entry(seq, log.AGGREGATES, at, columns_body(batch, POLICY))


def without(batch: pa.RecordBatch, *names: str) -> pa.RecordBatch:
    """Return rows without columns, as a version that did not know them wrote them."""
    return batch.drop_columns([name for name in names if name in batch.schema.names])


def many_readings(
    seq: int, count: int, series: int = 0, value: float | None = None, at: int = NOW
) -> Entry:
    """Return an entry with a reading a second up to an instant, of values that hardly compress."""
    times = at - SECOND_NS * np.arange(count, 0, -1)
    random = np.random.default_rng(seq)
    values = random.normal(12, 1, count) if value is None else np.full(count, value)
    return Entry(seq, log.READINGS, at, columns_body(judged(series, times, values).to_arrow()))
