# SPDX-License-Identifier: EUPL-1.2
"""Questions to the store about the pipeline itself."""

from __future__ import annotations

from lamppost.times import DAY_NS, HOUR_NS
from sinks.store_reader import Row, StoreReader


def last_received(reader: StoreReader) -> int | None:
    """Return the receipt of the newest reading."""
    found = reader.row("SELECT max(received) AS received FROM latest_readings")
    return found["received"] if found else None


def ledger_since(reader: StoreReader, since: int) -> Row:
    """Return the sums of the ledger from an hour on."""
    found = reader.row(
        "SELECT coalesce(sum(received), 0)::BIGINT AS received,"
        " coalesce(sum(accepted), 0)::BIGINT AS accepted,"
        " coalesce(sum(duplicate), 0)::BIGINT AS duplicate,"
        " coalesce(sum(quarantined), 0)::BIGINT AS quarantined,"
        " coalesce(sum(refused), 0)::BIGINT AS refused FROM ledger WHERE hour >= ?",
        [since],
    )
    return found or {}


def ledger_last_day(reader: StoreReader, now: int) -> Row:
    """Return the sums of the ledger over a day."""
    return ledger_since(reader, (now - DAY_NS) // HOUR_NS * HOUR_NS)


def ledger_by_source(reader: StoreReader) -> list[Row]:
    """Return the sums of the whole ledger by door."""
    return reader.rows(
        "SELECT source, sum(accepted)::BIGINT AS accepted, sum(duplicate)::BIGINT AS duplicate,"
        " sum(quarantined)::BIGINT AS quarantined, sum(refused)::BIGINT AS refused"
        " FROM ledger GROUP BY source ORDER BY source"
    )


def quarantined_by_code(reader: StoreReader) -> dict[str, int]:
    """Return how many messages are kept in quarantine, by reason code."""
    rows = reader.rows("SELECT code, count(*) AS count FROM quarantine GROUP BY code ORDER BY code")
    return {row["code"]: row["count"] for row in rows}


def table_sizes(reader: StoreReader) -> dict[str, int]:
    """Return how many rows the larger tables have."""
    names = ("series", "stations", "readings", "aggregates", "indices", "quarantine")
    parts = [f"SELECT '{name}' AS name, count(*) AS rows FROM {name}" for name in names]  # noqa: S608 - fixed names
    return {row["name"]: row["rows"] for row in reader.rows(" UNION ALL ".join(parts))}


def open_alerts_by_severity(reader: StoreReader) -> dict[str, int]:
    """Return how many alerts are neither acknowledged nor resolved."""
    rows = reader.rows(
        "SELECT severity, count(*) AS count FROM latest_alerts WHERE kind = 'firing' GROUP BY ALL"
    )
    return {row["severity"]: row["count"] for row in rows}
