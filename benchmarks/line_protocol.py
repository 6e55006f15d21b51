# SPDX-License-Identifier: EUPL-1.2
"""What it costs to spell readings and aggregates as line protocol."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from lamppost.batch import AggregateBatch, JudgedBatch
from lamppost.frames import arrow_batch, arrow_bytes
from lamppost.log import AGGREGATES, READINGS, SERIES, Entry
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import MINUTE_NS, SECOND_NS
from sensor_sim.load import FIRST_AT_NS, load_sensor
from sinks.line_protocol import AGGREGATE_FIELDS, READING_FIELDS, LineWriter, tags
from sinks.series_names import SeriesNames
from sinks.text_columns import concatenated, content
from sinks.withdrawals import Withdrawals

from .rows import Peer, Row
from .timing import Plan, in_turns

GROUP: Final = "line protocol"
_BUDGET_US: Final = 0.7
_AGGREGATE_BUDGET_US: Final = 5.0
_SERIES: Final = 1_000
_READINGS: Final = 25_000
_KEYS: Final = [SeriesKey(load_sensor(number), "pm2_5") for number in range(_SERIES)]
_HOW: Final = (
    f"{_READINGS:,} rows of {_SERIES:,} series from an outbox entry to the bytes of a request, with"
    " what a revision withdraws; CPU of one process; the loop does the same with an f-string"
    " for each row."
)


def measure(plan: Plan) -> list[Row]:
    """Measure readings without and with what a detector says about them, and full aggregates."""
    bare = _entry(evidence=False)
    return [
        _row(plan, "value, flag and reasons", bare, ("value", "flag", "reasons"), _BUDGET_US),
        _row(plan, "all seven fields", _entry(evidence=True), READING_FIELDS, None),
        _row(
            plan,
            f"aggregates, all {len(AGGREGATE_FIELDS)} fields",
            _aggregates(),
            AGGREGATE_FIELDS,
            _AGGREGATE_BUDGET_US,
        ),
    ]


def _row(
    plan: Plan, words: str, entry: Entry, fields: tuple[str, ...], budget: float | None
) -> Row:
    names = SeriesNames()
    names.learn(Entry(1, SERIES, FIRST_AT_NS, arrow_bytes(SeriesTable(_KEYS).to_arrow())))
    writer, withdrawals = LineWriter(names), Withdrawals(names)
    rounds = in_turns(
        {
            "columns": lambda: (
                content(concatenated([writer.lines(entry)])),
                withdrawals.of(entry),
            ),
            "loop": lambda: _plain_loop(entry, fields),
        },
        plan.pick(15, 5),
    )
    columns, loop = (rounds[name].scaled(1e6 / _READINGS) for name in ("columns", "loop"))
    return Row(
        group=GROUP,
        what=f"line protocol, {words}",
        measured=columns.median,
        low=columns.low,
        high=columns.high,
        unit="µs CPU/reading",
        better="less",
        how=_HOW,
        budget=budget,
        peer=Peer("a plain Python loop", loop.median, columns.over(loop), 1.0),
    )


def _plain_loop(entry: Entry, fields: tuple[str, ...]) -> bytes:
    kind = JudgedBatch if entry.kind == READINGS else AggregateBatch
    batch = kind.from_arrow(arrow_batch(entry.body))
    head, time_name = ("readings", "time") if entry.kind == READINGS else ("aggregates", "start")
    window = "" if entry.kind == READINGS else ",window=1min"
    known = [tags(key) for key in _KEYS]
    columns = [getattr(batch, name).tolist() for name in fields]
    lines = []
    rows = zip(batch.series.tolist(), getattr(batch, time_name).tolist(), *columns, strict=True)
    for series, time, *values in rows:
        said = ",".join(f"{name}={value}" for name, value in zip(fields, values, strict=True))
        lines.append(f"{head}{known[series]}{window} {said} {time}\n")
    return "".join(lines).encode()


def _aggregates() -> Entry:
    random = np.random.default_rng(7)
    rows = np.arange(_READINGS)
    # Any: columns of several types.
    columns: dict[str, Any] = {
        name: random.normal(20.0, 3.0, _READINGS) if dtype == "float64" else np.ones(_READINGS, int)
        for name, dtype in AggregateBatch.dtypes().items()
    }
    columns |= {
        "series": rows % _SERIES,
        "start": FIRST_AT_NS + rows // _SERIES * MINUTE_NS,
        "length": np.full(_READINGS, MINUTE_NS),
        "calendar": np.zeros(_READINGS),
        "revision": np.zeros(_READINGS),
    }
    batch = AggregateBatch(**columns)
    return Entry(2, AGGREGATES, FIRST_AT_NS, arrow_bytes(batch.to_arrow()))


def _entry(*, evidence: bool) -> Entry:
    random = np.random.default_rng(7)
    rows = np.arange(_READINGS)
    value = random.normal(20.0, 3.0, _READINGS).round(2)
    absent = np.full(_READINGS, np.nan)
    batch = JudgedBatch(
        series=(rows % _SERIES).astype(np.int32),
        time=FIRST_AT_NS + rows // _SERIES * 60 * SECOND_NS,
        received=FIRST_AT_NS + rows // _SERIES * 60 * SECOND_NS,
        value=value,
        flag=np.ones(_READINGS, np.uint8),
        reasons=np.zeros(_READINGS, np.uint32),
        score=(value - 20.0) / 3.0 if evidence else absent,
        expected=value * 0.98 if evidence else absent,
        band_low=value * 0.5 if evidence else absent,
        band_high=value * 1.5 if evidence else absent,
        revision=np.zeros(_READINGS, np.int32),
    )
    return Entry(2, READINGS, FIRST_AT_NS, arrow_bytes(batch.to_arrow()))
