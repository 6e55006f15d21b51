# SPDX-License-Identifier: EUPL-1.2
"""Questions to the store behind the programming interface, as columns along a key."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from lamppost.times import HOUR_NS
from sinks.store_layout import AGGREGATES, IN_FORCE
from sinks.store_reader import StoreReader

from .queries_data import CHOSEN, JOINS, NAMES, DataFilter

_COLUMNS: Final = ", ".join(
    f'aggregates."{name}"' for name in AGGREGATES.columns if name != "entry"
)
_REVISIONS: Final = "aggregates_revisions"
_EXISTS: Final = "SELECT count(*) FROM duckdb_views() WHERE view_name = ?"


def series_page(reader: StoreReader, chosen: DataFilter, after: int, limit: int) -> pa.Table:
    """Return series by their code, with the first and last instant there is something of.

    Their windows are told as :func:`lamppost.periods.resolutions` does.
    """
    return reader.table(
        f"""
        WITH page AS (
            SELECT series, {NAMES} FROM series
            LEFT JOIN stations ON stations.sensor = series.sensor
            WHERE {CHOSEN} AND series > $after ORDER BY series LIMIT $limit
        ),
        windows AS (
            SELECT series, list(DISTINCT CASE calendar WHEN 0 THEN length
                ELSE -calendar::BIGINT END) AS windows
            FROM latest_aggregates WHERE series IN (SELECT series FROM page) GROUP BY series
        ),
        starts AS (
            -- Of windows up to an hour: a longer one may begin long before.
            SELECT series, min(start) AS start FROM aggregates
            WHERE calendar = 0 AND length <= $hour AND series IN (SELECT series FROM page)
            GROUP BY series
        ),
        times AS (
            SELECT series, min(time) AS time FROM readings
            WHERE series IN (SELECT series FROM page) GROUP BY series
        )
        SELECT page.*, least(times.time, starts.start) AS first_at,
            latest_readings.time AS last_at, windows.windows, clocks.skew, clocks.spread,
            clocks.readings AS clock_readings, clocks.until AS clock_until
        FROM page LEFT JOIN windows USING (series) LEFT JOIN starts USING (series)
        LEFT JOIN times USING (series) LEFT JOIN latest_readings USING (series)
        LEFT JOIN clocks USING (series)
        ORDER BY series
        """,  # noqa: S608 - fixed text
        {**chosen.values, "after": after, "limit": limit, "hour": HOUR_NS},
    )


def latest_page(reader: StoreReader, chosen: DataFilter, after: int, limit: int) -> pa.Table:
    """Return the newest reading of each series, by series code."""
    return reader.table(
        f"SELECT {NAMES}, latest_readings.* EXCLUDE (entry)"  # noqa: S608 - fixed text
        f" FROM latest_readings {JOINS} WHERE {CHOSEN} AND series > $after"
        " ORDER BY series LIMIT $limit",
        {**chosen.values, "after": after, "limit": limit},
    )


def aggregate_page(
    reader: StoreReader,
    chosen: DataFilter,
    *,
    window: tuple[int, int],
    between: tuple[int, int],
    after: tuple[int, int],
    limit: int,
) -> pa.Table:
    """Return windows that start in a half-open period, by start and series code.

    Args:
        reader: of the store.
        chosen: which series.
        window: calendar and length; the length of a calendar's window differs from row to row.
        between: the period.
        after: start and series the page begins behind.
        limit: rows.
    """
    return reader.table(
        f"SELECT {NAMES}, {_COLUMNS}"  # noqa: S608 - fixed text
        f" FROM aggregates {JOINS} WHERE {CHOSEN}{_of_few(reader, chosen)}"
        f" AND calendar = $calendar AND ($calendar > 0 OR length = $length) AND {IN_FORCE}"
        " AND start >= $first AND start < $end AND (start, series) > ($start, $series)"
        " ORDER BY start, series LIMIT $limit",
        {
            **chosen.values,
            "calendar": window[0],
            "length": window[1],
            "first": max(between[0], after[0]),
            "end": between[1],
            "start": after[0],
            "series": after[1],
            "limit": limit,
        },
    )


def _of_few(reader: StoreReader, chosen: DataFilter) -> str:
    """Return a condition that names the series of a station: numbers lead to their rows."""
    if not chosen.station:
        return ""
    found = reader.rows("SELECT series FROM series WHERE sensor = ?", [chosen.station])
    codes = ", ".join(str(row["series"]) for row in found)
    return f" AND series IN ({codes or 'NULL'})"


def revisions(
    reader: StoreReader,
    series: tuple[str, str, str],
    *,
    window: tuple[int, int],
    start: int,
    after: tuple[int, int],
    limit: int,
) -> pa.Table:
    """Return the revisions of one window, the oldest first.

    Args:
        reader: of the store.
        series: station, quantity and qualifiers.
        window: calendar and length.
        start: of the window.
        after: revision and outbox entry the page begins behind.
        limit: rows.
    """
    kept = reader.number(_EXISTS, [_REVISIONS]) > 0
    published = ", rows.published AS published_at" if kept else ""
    of_few = _of_few(reader, DataFilter(series[0]))
    return reader.table(
        f"SELECT {NAMES}, rows.*{published}"  # noqa: S608 - fixed text
        f" FROM {_REVISIONS if kept else 'aggregates'} AS rows {JOINS}"
        " WHERE series.sensor = $station AND series.quantity = $quantity"
        f" AND series.qualifiers = $qualifiers{of_few}"
        " AND start = $start AND calendar = $calendar"
        " AND ($calendar > 0 OR length = $length)"
        " AND (revision, rows.entry) > ($revision, $entry) ORDER BY revision, rows.entry"
        " LIMIT $limit",
        {
            "station": series[0],
            "quantity": series[1],
            "qualifiers": series[2],
            "start": start,
            "calendar": window[0],
            "length": window[1],
            "revision": after[0],
            "entry": after[1],
            "limit": limit,
        },
    )
