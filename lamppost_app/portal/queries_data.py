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

_RESOLUTION: Final = "calendar = greatest(-$length, 0) AND ($length < 0 OR length = $length)"


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
    """Return windows that start in a half-open range, by start and series code.

    Args:
        reader: of the store.
        chosen: which series.
        length: of the windows, ns; or minus their calendar (:func:`lamppost.periods.resolutions`).
        between: the range.
        after: start and series of the last window of the page before.
        limit: how many.
    """
    return reader.rows(
        f"SELECT {_NAMES}, aggregates.* EXCLUDE (entry)"  # noqa: S608 - fixed text
        f" FROM aggregates {_JOINS} WHERE {_CHOSEN} AND {_RESOLUTION}{_of_few(reader, chosen)}"
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


def _of_few(reader: StoreReader, chosen: DataFilter) -> str:
    """Return a condition that names the series where they are few: numbers lead to their rows."""
    if not chosen.station:
        return ""
    codes = [
        row["series"]
        for row in reader.rows(
            f"SELECT series FROM series LEFT JOIN stations USING (sensor) WHERE {_CHOSEN}",  # noqa: S608 - fixed text
            chosen.values,
        )
    ]
    return f" AND aggregates.series IN ({', '.join(map(str, codes)) or 'NULL'})"


def window_revisions(
    reader: StoreReader,
    station: str,
    quantity: str,
    *,
    length: int,
    start: int,
    at: int | None = None,
) -> list[Row]:
    """Return every revision of the windows that begin at an instant, by series, the oldest first.

    A row says when it was published, and when and by which outbox entry it was replaced: none of
    the newest. Windows stored by a version that did not keep it have no instant of publication.

    Args:
        reader: of the store.
        station: sensor identity.
        quantity: canonical name.
        length: of the windows, ns; or minus their calendar (:func:`lamppost.periods.resolutions`).
        start: first instant of the windows, ns UTC.
        at: only what was published at this instant and not yet replaced, ns UTC.
    """
    return reader.rows(
        f"SELECT {_NAMES}, revisions.*"  # noqa: S608 - fixed text
        f" FROM (FROM aggregates_revisions WHERE start = $start AND {_RESOLUTION}) AS revisions"
        f" {_JOINS} WHERE series.sensor = $station AND series.quantity = $quantity"
        " AND ($at IS NULL OR (published <= $at AND (replaced_at IS NULL OR replaced_at > $at)))"
        " ORDER BY series, revision, revisions.entry",
        {"station": station, "quantity": quantity, "length": length, "start": start, "at": at},
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
        f" WHERE {_CHOSEN} AND resolution = $length"
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
