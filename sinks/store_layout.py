# SPDX-License-Identifier: EUPL-1.2
"""The tables of the embedded store: columns, keys, and which of two rows is the newer one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lamppost.batch import STATISTICS

LAYOUT_VERSION: Final = 7


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
        newer = f"({self._names('new', self.order)}) > ({self._names('old', self.order)})"
        values = ", ".join(f'"{name}" = new."{name}"' for name in self.columns)
        columns = ", ".join(f'"{name}"' for name in self.columns)
        return (
            f"MERGE INTO {self.name} AS old USING ({self._staged}) AS new"  # noqa: S608 - names of this module only
            f" ON {self._match('new')} WHEN MATCHED AND {newer} THEN UPDATE SET {values}"
            f" WHEN NOT MATCHED THEN INSERT ({columns})"
            f" VALUES ({self._names('new', tuple(self.columns))})"
        )

    def _match(self, side: str) -> str:
        match = " AND ".join(f'old."{name}" = {side}."{name}"' for name in self.key)
        if self.pruned_by is not None:
            match += f' AND old."{self.pruned_by}" BETWEEN ? AND ?'
        return match

    @property
    def _staged(self) -> str:
        return f"SELECT {', '.join(self._staged_columns)} FROM staged"  # noqa: S608 - names of this module only

    @property
    def _staged_columns(self) -> list[str]:
        # A number that is not there is NULL in the store, so that no query has to know about NaN.
        return [
            f'CASE WHEN isnan("{name}") THEN NULL ELSE "{name}" END AS "{name}"'
            if kind == "DOUBLE"
            else f'"{name}"'
            for name, kind in self.columns.items()
        ]

    @staticmethod
    def _names(side: str, columns: tuple[str, ...]) -> str:
        return ", ".join(f'{side}."{name}"' for name in columns)

    @property
    def met(self) -> str:
        """The query for rows whose key ``staged`` has in another revision, and which of both stays.

        Its last column says whether the row in the table is the newer one.
        """
        columns = self._names("old", tuple(self.columns))
        old, new = self._names("old", self.order), self._names("staged", self.order)
        return (
            f"SELECT {columns}, ({old}) > ({new}) AS stays FROM {self.name} AS old"  # noqa: S608 - names of this module only
            f" JOIN staged ON {self._match('staged')} WHERE ({old}) <> ({new})"
        )

    @property
    def clear(self) -> str:
        """The statement that takes out rows which ``staged`` replaces."""
        old, new = self._names("old", self.order), self._names("staged", self.order)
        return (
            f"DELETE FROM {self.name} AS old USING staged"  # noqa: S608 - names of this module only
            f" WHERE {self._match('staged')} AND ({old}) < ({new})"
        )

    @property
    def absent(self) -> str:
        """The query for the rows of ``staged`` that the table does not hold."""
        order = " AND ".join(f'old."{name}" = staged."{name}"' for name in self.order)
        return (
            f"SELECT {', '.join(self._staged_columns)} FROM staged"  # noqa: S608 - names of this module only
            f" ANTI JOIN {self.name} AS old ON {self._match('staged')} AND {order}"
        )

    def newest(self, key: tuple[str, ...], time: str, **more: str) -> Table:
        """Return the table that keeps only the newest row of a shorter key."""
        return Table(f"latest_{self.name}", self.columns | more, key, (time, *self.order))

    def superseded(self) -> Table:
        """Return the table that keeps every revision a newer one has replaced."""
        key = (*self.key, *self.order)
        return Table(f"{self.name}_history", self.columns, key, ("entry",), self.pruned_by)


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
        "uncertainty": "DOUBLE",
        "policy": "VARCHAR",
        "entry": "BIGINT",
    },
    key=("series", "time"),
    order=("revision", "entry"),
    pruned_by="time",
)

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
        **dict.fromkeys(STATISTICS, "DOUBLE"),
        "suspect": "BIGINT",
        "excluded": "BIGINT",
        "flag": "UTINYINT",
        "policy": "VARCHAR",
        "published": "BIGINT",
        "entry": "BIGINT",
    },
    key=("series", "start", "length", "calendar"),
    order=("revision", "entry"),
    pruned_by="start",
)

TAKEN_BACK: Final = '"count" = 0 AND excluded = 0 AND revision > 0'
IN_FORCE: Final = f"NOT ({TAKEN_BACK})"
"""What holds of aggregates that were not taken back, as days of a former time zone are."""

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
        "averaging": "VARCHAR",
        "table_version": "VARCHAR",
        "policy": "VARCHAR",
        "published": "BIGINT",
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

CLOCKS: Final = Table(
    "clocks",
    {
        "series": "INTEGER",
        "skew": "BIGINT",
        "spread": "BIGINT",
        "readings": "INTEGER",
        "until": "BIGINT",
        "entry": "BIGINT",
    },
    key=("series",),
    order=("entry",),
)

FITS: Final = Table(
    "fits",
    {
        "sensor": "VARCHAR",
        "quantity": "VARCHAR",
        "qualifiers": "VARCHAR",
        "reference": "VARCHAR",
        "method": "VARCHAR",
        "first_hour": "BIGINT",
        "end": "BIGINT",
        "start": "BIGINT",
        "until": "BIGINT",
        "n": "INTEGER",
        "slope": "DOUBLE",
        "offset": "DOUBLE",
        "r2": "DOUBLE",
        "rmse": "DOUBLE",
        "largest": "DOUBLE",
        "lag_h": "INTEGER",
        "outcome": "VARCHAR",
        "entry": "BIGINT",
    },
    key=("sensor", "quantity", "qualifiers", "reference", "start"),
    order=("entry",),
)

RULES: Final = Table(
    "rules",
    {"policy": "VARCHAR", "at": "BIGINT", "document": "VARCHAR", "entry": "BIGINT"},
    key=("policy",),
    order=("entry",),
)

LATEST_READINGS: Final = READINGS.newest(("series",), "time")
# Months and local days differ in length, so it is the resolution that has a newest window.
LATEST_AGGREGATES: Final = AGGREGATES.newest(("series", "resolution"), "start", resolution="BIGINT")
LATEST_INDICES: Final = INDICES.newest(("series", "index"), "end")
LATEST_ALERTS: Final = Table(
    "latest_alerts", ALERT_EVENTS.columns, ("alert_id",), ("entry", "position")
)

AGGREGATES_HISTORY: Final = AGGREGATES.superseded()
INDICES_HISTORY: Final = INDICES.superseded()

TABLES: Final = (
    SERIES,
    STATIONS,
    READINGS,
    LATEST_READINGS,
    AGGREGATES,
    AGGREGATES_HISTORY,
    LATEST_AGGREGATES,
    INDICES,
    INDICES_HISTORY,
    LATEST_INDICES,
    ALERT_EVENTS,
    LATEST_ALERTS,
    QUARANTINE,
    QUARANTINE_STATES,
    LEDGER,
    CLOCKS,
    FITS,
    RULES,
)

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


def revisions_view(table: Table) -> str:
    """Return the statement for the view of all revisions: what replaced which, and when."""
    key = ", ".join(f'"{name}"' for name in table.key)
    order = ", ".join(f'"{name}"' for name in table.order)
    return (
        f"CREATE VIEW {table.name}_revisions AS SELECT *,"  # noqa: S608 - names of this module only
        " lead(entry) OVER later AS replaced_by, lead(published) OVER later AS replaced_at"
        f" FROM (FROM {table.name} UNION ALL BY NAME FROM {table.superseded().name})"
        f" WINDOW later AS (PARTITION BY {key} ORDER BY {order})"
    )


VIEWS: Final = (ALERTS_VIEW, revisions_view(AGGREGATES), revisions_view(INDICES))
