# SPDX-License-Identifier: EUPL-1.2
"""Which table made an index value stands with it in every sink."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from lamppost.frames import arrow_batch
from lamppost.log import Entry
from lamppost.series import SeriesKey
from lamppost.times import HOUR_NS
from sinks.index_messages import StationHours, index_fields
from sinks.line_protocol import LineWriter
from sinks.open_data.sink import OpenDataSettings, OpenDataSink
from sinks.series_names import SeriesNames
from sinks.store import Store, StoreSettings
from tests.outbox_entries import (
    POLICY,
    START_NS,
    indices_entry,
    rules_entry,
    series_entry,
)

KEYS: Final = (SeriesKey("a", "pm2_5"), SeriesKey("a", "o3"))
NAMES: Final = [series_entry(1, KEYS), rules_entry(2)]
TABLES: Final = {"1": {"1": ["24h", "2012-12"], "3": ["8h", "2024-05, capped at 500"]}}


def told(seq: int = 3, **columns: Any) -> Entry:
    """Say two values of one hour, the first by a table of long ago."""
    both: dict[str, Any] = {"series": [0, 1], "value": [50.0, 87.0], "table": [1, 3]}
    return indices_entry(seq, tables=TABLES, **{**both, **columns})


def untold(seq: int = 3) -> Entry:
    """Say a value as it was said before tables were named."""
    entry = indices_entry(seq, series=[0])
    columns = arrow_batch(entry.body).drop_columns(["table"])
    from lamppost.frames import arrow_bytes

    return entry._replace(body=arrow_bytes(columns))


def names() -> SeriesNames:
    """Return what every sink has learnt."""
    known = SeriesNames()
    for entry in NAMES:
        known.learn(entry)
    return known


def test_the_store_keeps_averaging_and_version_of_every_row(tmp_path: Path) -> None:
    """A row of another table replaces the former, which goes into the history as it was."""
    store = Store(StoreSettings(path=tmp_path / "store.duckdb"))
    revised = {"1": {"1": ["24h", "2024-05"]}}
    again = indices_entry(4, tables=revised, series=[0], value=[56.0], table=[1], revision=[1])
    store.write([*NAMES, told(), again, untold(5)._replace(seq=5)], 5)

    def rows(table: str) -> list[tuple[Any, ...]]:
        found = store.reader.rows(
            f"SELECT value, averaging, table_version FROM {table} ORDER BY ALL"
        )
        return [tuple(row.values()) for row in found]

    try:
        assert rows("indices") == rows("latest_indices")
        assert rows("indices") == [
            (56.0, "24h", "2024-05"),
            (87.0, "8h", "2024-05, capped at 500"),
        ]
        history = rows("indices_history")
        assert history == [(50.0, "24h", "2012-12"), (51.0, None, None)]
    finally:
        store.close()


def test_open_data_name_it_for_series_and_stations(tmp_path: Path) -> None:
    """The station's is that of its worst pollutant; what was not told is empty."""
    sink = OpenDataSink(OpenDataSettings(dir=tmp_path))
    later = untold(4)._replace(seq=4)
    sink.write([*NAMES, told(end=[START_NS] * 2), later], 4)
    sink.close()

    def rows(table: str, day: str) -> list[tuple[Any, ...]]:
        path = tmp_path / f"{table}/year=2026/month=11/day={day}/{table}.parquet"
        columns = pq.read_table(path).select(["averaging", "table_version"]).to_pylist()
        return [tuple(row.values()) for row in columns]

    by_series = [("8h", "2024-05, capped at 500"), ("24h", "2012-12")]
    assert rows("indices", "20") == by_series
    assert rows("station_indices", "20") == by_series[:1]
    assert rows("indices", "21") == [("", "")]


def test_lines_hold_it_as_texts() -> None:
    """A field, not a tag: a value made anew by another table is the same point."""
    writer = LineWriter(names())

    first, second = writer.lines(told()).to_pylist()
    (silent,) = writer.lines(untold()).to_pylist()

    assert ',averaging="24h",table_version="2012-12" ' in first
    assert ',averaging="8h",table_version="2024-05, capped at 500" ' in second
    assert "averaging" not in silent


def test_messages_say_it_of_the_station_and_of_each_pollutant() -> None:
    """Left out where it was not told."""
    known = names()
    end = START_NS + 2 * HOUR_NS
    before = StationHours().after(arrow_batch(untold().body), known)
    hours = before.after(arrow_batch(told(end=[end] * 2).body), known)

    ((key, hour),) = hours.told(before)
    fields = index_fields(key, hour, known, POLICY)

    assert (fields["averaging"], fields["table_version"]) == ("8h", "2024-05, capped at 500")
    versions = [found["table_version"] for found in fields["pollutants"]]
    assert versions == ["2012-12", "2024-05, capped at 500"]
    ((key, hour),) = ((key, hour) for key, hour in before._hours.items())
    assert "table_version" not in index_fields(key, hour, known, POLICY)
