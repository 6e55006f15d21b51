# SPDX-License-Identifier: EUPL-1.2
"""Questions to the store about stations and what they measure."""

from __future__ import annotations

from typing import Final

from lamppost.times import MINUTE_NS, SECOND_NS
from sinks.store_reader import Row, StoreReader

_SILENT_AFTER_PERIODS: Final = 5
_SILENT_AFTER_AT_LEAST_NS: Final = 15 * MINUTE_NS  # as in the default policy

_STATIONS: Final = f"""
WITH heard AS (
    SELECT sensor, max(received) AS received, count(DISTINCT quantity) AS quantities
    FROM series LEFT JOIN latest_readings USING (series) GROUP BY sensor
),
worst AS (
    SELECT sensor, min(list_position(['critical', 'warning', 'info'], severity)) AS rank,
        count(*) AS open_alerts
    FROM alerts WHERE state <> 'resolved' GROUP BY sensor
)
SELECT coalesce(stations.sensor, heard.sensor) AS sensor,
    coalesce(nullif(stations.name, ''), stations.sensor, heard.sensor) AS name,
    coalesce(stations.kind, '') AS kind, coalesce(stations.area, '') AS area,
    coalesce(stations.owner, '') AS owner, coalesce(stations.licence, '') AS licence,
    latitude, longitude, period_s, received, coalesce(quantities, 0) AS quantities,
    coalesce(open_alerts, 0) AS open_alerts,
    CASE
        WHEN received IS NULL THEN 'never'
        WHEN $now - received > greatest(
            {_SILENT_AFTER_PERIODS} * coalesce(period_s, 0) * {SECOND_NS},
            {_SILENT_AFTER_AT_LEAST_NS}) THEN 'silent'
        WHEN rank = 1 THEN 'critical' WHEN rank = 2 THEN 'warning' WHEN rank = 3 THEN 'info'
        ELSE 'ok'
    END AS state
FROM stations FULL JOIN heard ON heard.sensor = stations.sensor
LEFT JOIN worst ON worst.sensor = coalesce(stations.sensor, heard.sensor)
"""  # noqa: S608 - numbers of this module only


def stations(
    reader: StoreReader, now: int, *, search: str = "", area: str = "", kind: str = ""
) -> list[Row]:
    """Return the stations, registered or only heard, by name."""
    return reader.rows(
        f"SELECT * FROM ({_STATIONS}) WHERE ($area = '' OR area = $area)"  # noqa: S608 - fixed text
        " AND ($kind = '' OR kind = $kind)"
        " AND ($search = '' OR contains(lower(name), $search) OR contains(lower(sensor), $search))"
        " ORDER BY name, sensor",
        {"now": now, "area": area, "kind": kind, "search": search.strip().lower()},
    )


def station(reader: StoreReader, now: int, sensor: str) -> Row | None:
    """Return one station."""
    return reader.row(
        f"SELECT * FROM ({_STATIONS}) WHERE sensor = $sensor",  # noqa: S608 - fixed text
        {"now": now, "sensor": sensor},
    )


def unheard(sensor: str) -> Row:
    """Return what can be said of a station nobody registered and nothing was accepted from."""
    nothing = dict.fromkeys(("latitude", "longitude", "period_s", "received"))
    empty = dict.fromkeys(("kind", "area", "owner", "licence"), "")
    counts = {"quantities": 0, "open_alerts": 0}
    return {"sensor": sensor, "name": sensor, "state": "never", **nothing, **empty, **counts}


def areas_and_kinds(reader: StoreReader) -> tuple[list[str], list[str]]:
    """Return the areas and the kinds there are."""
    rows = reader.rows("SELECT DISTINCT area, kind FROM stations")
    areas = sorted({row["area"] for row in rows if row["area"]})
    kinds = sorted({row["kind"] for row in rows if row["kind"]})
    return areas, kinds


def latest_of_sensor(reader: StoreReader, sensor: str) -> list[Row]:
    """Return the newest reading of each series of a station."""
    return reader.rows(
        "SELECT series.quantity, series.qualifiers, latest_readings.*"
        " FROM latest_readings JOIN series USING (series)"
        " WHERE sensor = ? ORDER BY quantity, qualifiers",
        [sensor],
    )


def clocks_of_sensor(reader: StoreReader, sensor: str) -> list[Row]:
    """Return what is known of the clock behind each series of a station."""
    return reader.rows(
        "SELECT series.quantity, series.qualifiers, clocks.* FROM clocks JOIN series USING (series)"
        " WHERE sensor = ? ORDER BY quantity, qualifiers",
        [sensor],
    )


def latest_of_quantity(reader: StoreReader, quantity: str) -> dict[str, Row]:
    """Return the newest reading of a quantity by station, the first series where it has many."""
    rows = reader.rows(
        "SELECT sensor, value, time, flag FROM latest_readings JOIN series USING (series)"
        " WHERE quantity = ? ORDER BY series DESC",
        [quantity],
    )
    return {row["sensor"]: row for row in rows}


def quantities(reader: StoreReader) -> list[str]:
    """Return the quantities there are readings of, the most measured first."""
    rows = reader.rows(
        "SELECT quantity FROM latest_readings JOIN series USING (series)"
        " GROUP BY quantity ORDER BY count(*) DESC, quantity"
    )
    return [row["quantity"] for row in rows]


def readings_between(reader: StoreReader, series: int, start: int, end: int) -> list[Row]:
    """Return the readings of a series in a half-open range, in order of time."""
    return reader.rows(
        "SELECT time, value, flag, reasons, score, expected, band_low, band_high, revision"
        " FROM readings WHERE series = ? AND time >= ? AND time < ? ORDER BY time",
        [series, start, end],
    )


def alike_series(reader: StoreReader, sensor: str, quantity: str, qualifiers: str) -> list[int]:
    """Return the code of a series; those of all lanes and channels where there is no such one."""
    exact = series_of(reader, sensor, quantity, qualifiers)
    if exact is not None or qualifiers:
        return [] if exact is None else [exact]
    rows = reader.rows(
        "SELECT series FROM series WHERE sensor = ? AND quantity = ? ORDER BY qualifiers",
        [sensor, quantity],
    )
    return [row["series"] for row in rows]


def newest_readings(
    reader: StoreReader, series: list[int], start: int, end: int, *, limit: int
) -> tuple[list[Row], int]:
    """Return the newest readings of some series in a half-open range, and how many there are."""
    if not series:
        return [], 0
    rows = reader.rows(
        "SELECT readings.*, series.quantity, series.qualifiers, count(*) OVER () AS total"
        " FROM readings JOIN series USING (series)"
        " WHERE list_contains(?, series) AND time >= ? AND time < ?"
        " ORDER BY time DESC, qualifiers LIMIT ?",
        [series, start, end, limit],
    )
    return rows, rows[0]["total"] if rows else 0


def windows_between(
    reader: StoreReader, series: int, length: int, start: int, end: int
) -> list[Row]:
    """Return the aggregates of a series that start in a range, in the shape of readings."""
    return reader.rows(
        "SELECT start + length // 2 AS time, mean AS value, flag, 0 AS reasons, NULL AS score,"
        " NULL AS expected, min AS band_low, max AS band_high, revision FROM aggregates"
        " WHERE series = ? AND calendar = 0 AND length = ? AND start >= ? AND start < ?"
        " ORDER BY start",
        [series, length, start, end],
    )


def series_of(reader: StoreReader, sensor: str, quantity: str, qualifiers: str) -> int | None:
    """Return the code of a series."""
    found = reader.row(
        "SELECT series FROM series WHERE sensor = ? AND quantity = ? AND qualifiers = ?",
        [sensor, quantity, qualifiers],
    )
    return found["series"] if found else None


def states(reader: StoreReader, now: int) -> dict[str, int]:
    """Return how many stations are in each state."""
    rows = reader.rows(
        f"SELECT state, count(*) AS count FROM ({_STATIONS}) GROUP BY state",  # noqa: S608 - fixed text
        {"now": now},
    )
    return {row["state"]: row["count"] for row in rows}
