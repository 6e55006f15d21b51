# SPDX-License-Identifier: EUPL-1.2
"""Questions to the store about series, windows and the ledger, and the words they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sinks.store_reader import Row, StoreReader

NAMES: Final = (
    "series.sensor AS station, series.quantity, series.qualifiers,"
    " coalesce(stations.area, '') AS area"
)
JOINS: Final = "JOIN series USING (series) LEFT JOIN stations ON stations.sensor = series.sensor"
CHOSEN: Final = (
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
        f"SELECT {NAMES}, coalesce(nullif(stations.name, ''), series.sensor) AS name,"  # noqa: S608 - fixed text
        f" latest_aggregates.* FROM latest_aggregates {JOINS}"
        f" WHERE {CHOSEN} AND resolution = $length"
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
    """Return the fixed window lengths there are, the shortest first."""
    rows = reader.rows(
        "SELECT DISTINCT length FROM latest_aggregates WHERE calendar = 0 ORDER BY length"
    )
    return [row["length"] for row in rows]
