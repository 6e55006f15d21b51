# SPDX-License-Identifier: EUPL-1.2
"""Questions to the store about the windows that limits are compared with."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from lamppost.batch import FIXED
from lamppost.times import HOUR_NS
from sinks.store_reader import Row, StoreReader

_WINDOWS = f"calendar = {FIXED} AND length = $length AND start >= $first AND start < $end"


def measuring(reader: StoreReader, quantities: Sequence[str]) -> list[Row]:
    """Return the series of some quantities by code, with the names of their stations."""
    return reader.rows(
        "SELECT series, series.sensor AS station, quantity, qualifiers,"
        " coalesce(stations.area, '') AS area,"
        " coalesce(nullif(stations.name, ''), series.sensor) AS name"
        " FROM series LEFT JOIN stations ON stations.sensor = series.sensor"
        " WHERE quantity IN (SELECT unnest($quantities)) ORDER BY series",
        {"quantities": list(quantities)},
    )


def windows(
    reader: StoreReader, series: Sequence[int], length: int, between: tuple[int, int]
) -> pa.Table:
    """Return the newest revision of windows that begin in a half-open period."""
    return reader.table(
        f"SELECT series, start, mean, coverage, flag FROM aggregates WHERE {_WINDOWS}"  # noqa: S608 - fixed text
        " AND series IN (SELECT unnest($series))",
        {"length": length, "first": between[0], "end": between[1], "series": list(series)},
    )


def span(
    reader: StoreReader, series: Sequence[int], length: int, between: tuple[int, int]
) -> tuple[int, int] | None:
    """Return when the first and the last window of a period begin, None where there is none."""
    found = reader.row(
        f"SELECT min(start) AS first, max(start) AS last FROM aggregates WHERE {_WINDOWS}"  # noqa: S608 - fixed text
        " AND series IN (SELECT unnest($series))",
        {"length": length, "first": between[0], "end": between[1], "series": list(series)},
    )
    return None if found is None or found["first"] is None else (found["first"], found["last"])


def changed(reader: StoreReader, length: int, after: int) -> pa.Table:
    """Return which windows of a length are new or revised since an outbox entry."""
    return reader.table(
        "SELECT series, start FROM aggregates"  # noqa: S608 - fixed text
        f" WHERE calendar = {FIXED} AND length = $length AND entry > $after",
        {"length": length, "after": after},
    )


def measured_between(reader: StoreReader) -> tuple[int, int] | None:
    """Return when the first and the last hour of any series begins, ns UTC."""
    found = reader.row(
        "SELECT min(start) AS first, max(start) AS last FROM aggregates"
        " WHERE calendar = $calendar AND length = $length",
        {"calendar": FIXED, "length": HOUR_NS},
    )
    if found is None or found["first"] is None:
        return None
    return found["first"], found["last"]
