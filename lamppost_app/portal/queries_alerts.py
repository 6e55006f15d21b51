# SPDX-License-Identifier: EUPL-1.2
"""Questions to the store about alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lamppost.times import DAY_NS
from sinks.store_reader import Row, StoreReader

SEVERITIES: Final = ("critical", "warning", "info")
STATES: Final = ("open", "acknowledged", "resolved")

_SELECT: Final = """
SELECT alerts.*,
    coalesce(nullif(stations.name, ''), nullif(alerts.sensor, ''), 'Lamppost') AS station,
    coalesce(stations.area, '') AS area, coalesce(stations.kind, '') AS station_kind
FROM alerts LEFT JOIN stations USING (sensor)
"""
_URGENT_FIRST: Final = """
ORDER BY list_position(['critical', 'warning', 'info'], severity), changed_at DESC, alert_id
"""


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts; empty means all.

    Attributes:
        severity: one severity.
        area: part of the city.
        kind: kind of station.
        sensor: one station.
    """

    severity: str = ""
    area: str = ""
    kind: str = ""
    sensor: str = ""

    @property
    def condition(self) -> str:
        """The SQL condition that goes with :attr:`values`."""
        return (
            "($severity = '' OR severity = $severity)"
            " AND ($area = '' OR coalesce(stations.area, '') = $area)"
            " AND ($kind = '' OR coalesce(stations.kind, '') = $kind)"
            " AND ($sensor = '' OR alerts.sensor = $sensor)"
        )

    @property
    def values(self) -> dict[str, object]:
        """The parameters of :attr:`condition`."""
        return {
            "severity": self.severity,
            "area": self.area,
            "kind": self.kind,
            "sensor": self.sensor,
        }


def alerts_in_state(
    reader: StoreReader, state: str, chosen: AlertFilter, *, limit: int, offset: int = 0
) -> list[Row]:
    """Return alerts in a state, the most urgent first."""
    sql = f"{_SELECT} WHERE state = $state AND {chosen.condition}"
    return reader.rows(
        f"{sql} {_URGENT_FIRST} LIMIT $limit OFFSET $offset",
        {**chosen.values, "state": state, "limit": limit, "offset": offset},
    )


def resolved_since(reader: StoreReader, chosen: AlertFilter, now: int, *, limit: int) -> list[Row]:
    """Return the alerts resolved within a day, the newest first."""
    sql = f"{_SELECT} WHERE state = 'resolved' AND changed_at >= $since AND {chosen.condition}"
    return reader.rows(
        f"{sql} ORDER BY changed_at DESC, alert_id LIMIT $limit",
        {**chosen.values, "since": now - DAY_NS, "limit": limit},
    )


def alert_counts(reader: StoreReader, chosen: AlertFilter) -> dict[tuple[str, str], int]:
    """Return how many alerts there are by state and severity."""
    rows = reader.rows(
        "SELECT state, severity, count(*) AS count FROM alerts LEFT JOIN stations USING (sensor)"  # noqa: S608 - fixed text
        f" WHERE {chosen.condition} GROUP BY ALL",
        chosen.values,
    )
    return {(row["state"], row["severity"]): row["count"] for row in rows}


def open_sentence(reader: StoreReader, rule: str) -> str:
    """Return what the newest alert of a rule says that is not resolved, empty without one."""
    found = reader.row(
        "SELECT sentence FROM alerts WHERE rule = ? AND state <> 'resolved'"
        " ORDER BY since DESC LIMIT 1",
        [rule],
    )
    return found["sentence"] if found else ""


def alert_by_id(reader: StoreReader, alert_id: str) -> Row | None:
    """Return one alert."""
    return reader.row(f"{_SELECT} WHERE alert_id = ?", [alert_id])


def alert_history(reader: StoreReader, alert_id: str) -> list[Row]:
    """Return everything that happened to an alert, in order."""
    return reader.rows(
        "SELECT * FROM alert_events WHERE alert_id = ? ORDER BY entry, position", [alert_id]
    )


def alerts_changed_after(reader: StoreReader, entry: int, limit: int) -> list[Row]:
    """Return the alerts whose newest event came after an outbox entry."""
    sql = f"{_SELECT} WHERE alerts.entry > ? ORDER BY alerts.entry LIMIT ?"
    return reader.rows(sql, [entry, limit])


def alert_page(
    reader: StoreReader, state: str, chosen: AlertFilter, after: tuple[int, str], limit: int
) -> list[Row]:
    """Return alerts in order of their beginning and identity, from after a key on.

    Neither ever changes, so an alert that changes between two pages keeps its place.
    """
    return reader.rows(
        f"{_SELECT} WHERE ($state = '' OR state = $state) AND {chosen.condition}"
        " AND (since, alert_id) > ($since, $alert_id) ORDER BY since, alert_id LIMIT $limit",
        {
            **chosen.values,
            "state": state,
            "since": after[0],
            "alert_id": after[1],
            "limit": limit,
        },
    )
