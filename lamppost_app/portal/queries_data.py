# SPDX-License-Identifier: EUPL-1.2
"""Questions to the store behind the programming interface, page by page along a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sinks.store_reader import Row, StoreReader

_NAMES: Final = (
    "series.sensor AS station, series.quantity, series.qualifiers,"
    " coalesce(stations.area, '') AS area"
)
_JOINS: Final = "JOIN series USING (series) LEFT JOIN stations ON stations.sensor = series.sensor"
_CHOSEN: Final = (
    "($station = '' OR series.sensor = $station)"
    " AND ($quantity = '' OR series.quantity = $quantity)"
    " AND ($area = '' OR coalesce(stations.area, '') = $area)"
)


@dataclass(frozen=True, slots=True)
class DataFilter:
    """Which series; empty means all.

    Attributes:
        station: sensor identity.
        quantity: canonical name.
        area: part of the city.
    """

    station: str = ""
    quantity: str = ""
    area: str = ""

    @property
    def values(self) -> dict[str, object]:
        """The parameters of the common condition."""
        return {"station": self.station, "quantity": self.quantity, "area": self.area}


def aggregate_page(
    reader: StoreReader,
    chosen: DataFilter,
    *,
    length: int,
    between: tuple[int, int],
    after: tuple[int, int],
    limit: int,
) -> list[Row]:
    """Return windows that start in a half-open range, by start and series code."""
    return reader.rows(
        f"SELECT {_NAMES}, aggregates.* EXCLUDE (entry)"  # noqa: S608 - fixed text
        f" FROM aggregates {_JOINS} WHERE {_CHOSEN} AND length = $length"
        " AND start >= $first AND start < $end AND (start, series) > ($start, $series)"
        " ORDER BY start, series LIMIT $limit",
        {
            **chosen.values,
            "length": length,
            "first": max(between[0], after[0]),
            "end": between[1],
            "start": after[0],
            "series": after[1],
            "limit": limit,
        },
    )


def index_page(
    reader: StoreReader,
    chosen: DataFilter,
    *,
    between: tuple[int, int],
    after: tuple[int, int, int],
    limit: int,
) -> list[Row]:
    """Return index values whose averaging ends in a half-open range, by end, series and index."""
    return reader.rows(
        f"SELECT {_NAMES}, indices.* EXCLUDE (entry)"  # noqa: S608 - fixed text
        f' FROM indices {_JOINS} WHERE {_CHOSEN} AND "end" >= $first AND "end" < $last'
        ' AND ("end", series, "index") > ($end, $series, $index)'
        ' ORDER BY "end", series, "index" LIMIT $limit',
        {
            **chosen.values,
            "first": between[0],
            "last": between[1],
            "end": after[0],
            "series": after[1],
            "index": after[2],
            "limit": limit,
        },
    )


def ledger_page(
    reader: StoreReader,
    station: str,
    *,
    between: tuple[int, int],
    after: tuple[int, str, str],
    limit: int,
) -> list[Row]:
    """Return ledger rows of hours in a half-open range, by hour, door and sensor."""
    return reader.rows(
        "SELECT source, sensor AS station, hour, received, accepted, duplicate, quarantined,"
        " refused FROM ledger WHERE ($station = '' OR sensor = $station)"
        " AND hour >= $first AND hour < $last"
        " AND (hour, source, sensor) > ($hour, $source, $sensor)"
        " ORDER BY hour, source, sensor LIMIT $limit",
        {
            "station": station,
            "first": between[0],
            "last": between[1],
            "hour": after[0],
            "source": after[1],
            "sensor": after[2],
            "limit": limit,
        },
    )


def latest_windows(
    reader: StoreReader, length: int, chosen: DataFilter, kind: str, limit: int
) -> list[Row]:
    """Return the newest window of each series, by station and quantity."""
    return reader.rows(
        f"SELECT {_NAMES}, coalesce(nullif(stations.name, ''), series.sensor) AS name,"  # noqa: S608 - fixed text
        f" latest_aggregates.* FROM latest_aggregates {_JOINS}"
        f" WHERE {_CHOSEN} AND length = $length"
        " AND ($kind = '' OR coalesce(stations.kind, '') = $kind)"
        " ORDER BY name, quantity, qualifiers LIMIT $limit",
        {**chosen.values, "length": length, "kind": kind, "limit": limit},
    )


def windows_changed_after(reader: StoreReader, entry: int, limit: int) -> list[Row]:
    """Return the newest windows that came after an outbox entry."""
    return reader.rows(
        "SELECT series.sensor AS station, series.quantity, series.qualifiers, latest_aggregates.*"
        " FROM latest_aggregates JOIN series USING (series)"
        " WHERE latest_aggregates.entry > ? ORDER BY latest_aggregates.entry, series, length"
        " LIMIT ?",
        [entry, limit],
    )


def window_lengths(reader: StoreReader) -> list[int]:
    """Return the window lengths there are, the shortest first."""
    rows = reader.rows("SELECT DISTINCT length FROM latest_aggregates ORDER BY length")
    return [row["length"] for row in rows]
