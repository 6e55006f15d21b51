# SPDX-License-Identifier: EUPL-1.2
"""The tables of the embedded store: columns, keys, and which of two rows is the newer one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lamppost.batch import STATISTICS

LAYOUT_VERSION: Final = 3


@dataclass(frozen=True, slots=True)
class Table:
    """One table and the rule by which a row replaces another.

    Attributes:
        name: name of the table.
        columns: SQL type by column.
        key: what identifies a row.
        order: columns whose larger tuple is the newer row of a key.
        pruned_by: key column whose range in a batch limits how much of the table is looked at.
    """

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]
    order: tuple[str, ...]
    pruned_by: str | None = None

    @property
    def definition(self) -> str:
        """The statement that creates the table.

        There is no primary key on purpose: DuckDB keeps one as an index in memory, which makes
        writing three times slower and the file three times larger. The store has one writer, and
        every write goes through :attr:`merge`, which keeps keys unique.
        """
        columns = ", ".join(f'"{name}" {kind}' for name, kind in self.columns.items())
        return f"CREATE TABLE {self.name} ({columns})"

    @property
    def merge(self) -> str:
        """The statement that takes the rows of ``staged`` in, each key at most once in there."""
        match = " AND ".join(f'old."{name}" = new."{name}"' for name in self.key)
        if self.pruned_by is not None:
            match += f' AND old."{self.pruned_by}" BETWEEN ? AND ?'
        newer = f"({self._names('new', self.order)}) > ({self._names('old', self.order)})"
        values = ", ".join(f'"{name}" = new."{name}"' for name in self.columns)
        columns = ", ".join(f'"{name}"' for name in self.columns)
        return (
            f"MERGE INTO {self.name} AS old USING ({self._staged}) AS new ON {match}"  # noqa: S608 - names of this module only
            f" WHEN MATCHED AND {newer} THEN UPDATE SET {values}"
            f" WHEN NOT MATCHED THEN INSERT ({columns})"
            f" VALUES ({self._names('new', tuple(self.columns))})"
        )

    @property
    def _staged(self) -> str:
        # A number that is not there is NULL in the store, so that no query has to know about NaN.
        columns = [
            f'CASE WHEN isnan("{name}") THEN NULL ELSE "{name}" END AS "{name}"'
            if kind == "DOUBLE"
            else f'"{name}"'
            for name, kind in self.columns.items()
        ]
        return f"SELECT {', '.join(columns)} FROM staged"  # noqa: S608 - names of this module only

    @staticmethod
    def _names(side: str, columns: tuple[str, ...]) -> str:
        return ", ".join(f'{side}."{name}"' for name in columns)

    def newest(self, key: tuple[str, ...], time: str) -> Table:
        """Return the table that keeps only the newest row of a shorter key."""
        return Table(f"latest_{self.name}", self.columns, key, (time, *self.order))


SERIES: Final = Table(
    "series",
    {
        "series": "INTEGER",
        "sensor": "VARCHAR",
        "quantity": "VARCHAR",
        "qualifiers": "VARCHAR",
        "entry": "BIGINT",
    },
    key=("series",),
    order=("entry",),
)

STATIONS: Final = Table(
    "stations",
    {
        "sensor": "VARCHAR",
        "name": "VARCHAR",
        "kind": "VARCHAR",
        "latitude": "DOUBLE",
        "longitude": "DOUBLE",
        "period_s": "DOUBLE",
        "owner": "VARCHAR",
        "licence": "VARCHAR",
        "area": "VARCHAR",
        "entry": "BIGINT",
    },
    key=("sensor",),
    order=("entry",),
)

READINGS: Final = Table(
    "readings",
    {
        "series": "INTEGER",
        "time": "BIGINT",
        "received": "BIGINT",
        "value": "DOUBLE",
        "flag": "UTINYINT",
        "reasons": "UINTEGER",
        "score": "DOUBLE",
        "expected": "DOUBLE",
        "band_low": "DOUBLE",
        "band_high": "DOUBLE",
        "revision": "INTEGER",
        "policy": "VARCHAR",
        "entry": "BIGINT",
    },
    key=("series", "time"),
    order=("revision", "entry"),
    pruned_by="time",
)

_STATISTICS: Final = dict.fromkeys(STATISTICS, "DOUBLE")

AGGREGATES: Final = Table(
    "aggregates",
    {
        "series": "INTEGER",
        "start": "BIGINT",
        "length": "BIGINT",
        "calendar": "UTINYINT",
        "revision": "INTEGER",
        "count": "BIGINT",
        "expected": "DOUBLE",
        "coverage": "DOUBLE",
        "mean": "DOUBLE",
        "min": "DOUBLE",
        "max": "DOUBLE",
        "sd": "DOUBLE",
        "total": "DOUBLE",
        **_STATISTICS,
        "suspect": "BIGINT",
        "excluded": "BIGINT",
        "flag": "UTINYINT",
        "policy": "VARCHAR",
        "entry": "BIGINT",
    },
    key=("series", "start", "length", "calendar"),
    order=("revision", "entry"),
    pruned_by="start",
)

INDICES: Final = Table(
    "indices",
    {
        "series": "INTEGER",
        "index": "UTINYINT",
        "end": "BIGINT",
        "revision": "INTEGER",
        "concentration": "DOUBLE",
        "value": "DOUBLE",
        "category": "UTINYINT",
        "coverage": "DOUBLE",
        "beyond": "UTINYINT",
        "policy": "VARCHAR",
        "entry": "BIGINT",
    },
    key=("series", "index", "end"),
    order=("revision", "entry"),
    pruned_by="end",
)

ALERT_EVENTS: Final = Table(
    "alert_events",
    {
        "alert_id": "VARCHAR",
        "kind": "VARCHAR",
        "at": "BIGINT",
        "rule": "VARCHAR",
        "title": "VARCHAR",
        "severity": "VARCHAR",
        "policy": "VARCHAR",
        "sensor": "VARCHAR",
        "quantity": "VARCHAR",
        "qualifiers": "VARCHAR",
        "since": "BIGINT",
        "observed": "DOUBLE",
        "expected": "DOUBLE",
        "band_low": "DOUBLE",
        "band_high": "DOUBLE",
        "unit": "VARCHAR",
        "sentence": "VARCHAR",
        "clears_when": "VARCHAR",
        "by": "VARCHAR",
        "comment": "VARCHAR",
        "entry": "BIGINT",
        "position": "INTEGER",
    },
    key=("entry", "position"),
    order=("entry",),
)

QUARANTINE: Final = Table(
    "quarantine",
    {
        "received_at": "BIGINT",
        "source": "VARCHAR",
        "route": "VARCHAR",
        "headers": "VARCHAR",
        "payload": "BLOB",
        "sensor": "VARCHAR",
        "code": "VARCHAR",
        "detail": "VARCHAR",
        "entry": "BIGINT",
        "position": "INTEGER",
    },
    key=("entry", "position"),
    order=("entry",),
)

QUARANTINE_STATES: Final = Table(
    "quarantine_states",
    {
        "message": "BIGINT",
        "row": "INTEGER",
        "state": "VARCHAR",
        "at": "BIGINT",
        "by": "VARCHAR",
        "reason": "VARCHAR",
        "entry": "BIGINT",
    },
    key=("message", "row"),
    order=("entry",),
)

LEDGER: Final = Table(
    "ledger",
    {
        "source": "VARCHAR",
        "sensor": "VARCHAR",
        "hour": "BIGINT",
        "received": "BIGINT",
        "accepted": "BIGINT",
        "duplicate": "BIGINT",
        "quarantined": "BIGINT",
        "refused": "BIGINT",
        "entry": "BIGINT",
    },
    key=("source", "sensor", "hour"),
    order=("entry",),
)

RULES: Final = Table(
    "rules",
    {"policy": "VARCHAR", "at": "BIGINT", "document": "VARCHAR", "entry": "BIGINT"},
    key=("policy",),
    order=("entry",),
)

LATEST_READINGS: Final = READINGS.newest(("series",), "time")
LATEST_AGGREGATES: Final = AGGREGATES.newest(("series", "length", "calendar"), "start")
LATEST_INDICES: Final = INDICES.newest(("series", "index"), "end")
LATEST_ALERTS: Final = Table(
    "latest_alerts", ALERT_EVENTS.columns, ("alert_id",), ("entry", "position")
)

TABLES: Final = (
    SERIES,
    STATIONS,
    READINGS,
    LATEST_READINGS,
    AGGREGATES,
    LATEST_AGGREGATES,
    INDICES,
    LATEST_INDICES,
    ALERT_EVENTS,
    LATEST_ALERTS,
    QUARANTINE,
    QUARANTINE_STATES,
    LEDGER,
    RULES,
)

# What a store of an older layout is missing, by that layout.
ADDED_SINCE: Final = {1: (QUARANTINE_STATES,), 2: ()}
_NEW_STATISTICS: Final = {"calendar": "UTINYINT DEFAULT 0", **_STATISTICS}
ADDED_COLUMNS_SINCE: Final = {
    2: {table.name: _NEW_STATISTICS for table in (AGGREGATES, LATEST_AGGREGATES)}
}

META_DEFINITION: Final = "CREATE TABLE meta (key VARCHAR PRIMARY KEY, value BIGINT NOT NULL)"

ALERTS_VIEW: Final = """
CREATE VIEW alerts AS
SELECT newest.* EXCLUDE ("by", "comment", "at", kind),
    newest."at" AS changed_at,
    CASE newest.kind WHEN 'firing' THEN 'open' ELSE newest.kind END AS state,
    fired.fired_at, acked.acknowledged_at, acked.acknowledged_by, acked."comment"
FROM latest_alerts AS newest
LEFT JOIN (
    SELECT alert_id, max("at") AS fired_at, max(entry) AS entry
    FROM alert_events WHERE kind = 'firing' GROUP BY alert_id
) AS fired ON fired.alert_id = newest.alert_id
LEFT JOIN (
    SELECT alert_id, max(entry) AS entry, arg_max("at", (entry, position)) AS acknowledged_at,
        arg_max("by", (entry, position)) AS acknowledged_by,
        arg_max("comment", (entry, position)) AS "comment"
    FROM alert_events WHERE kind = 'acknowledged' GROUP BY alert_id
) AS acked ON acked.alert_id = newest.alert_id AND acked.entry >= coalesce(fired.entry, 0)
"""
