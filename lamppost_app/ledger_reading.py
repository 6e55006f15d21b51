# SPDX-License-Identifier: EUPL-1.2
"""The ledger as it stands, read from the outbox and the cursor file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lamppost import log
from lamppost.balance import OUTCOMES
from lamppost.times import DAY_NS, HOUR_NS, format_instant

from .cursors import Balance, Cursors
from .ledger import COLUMNS
from .sqlite_log import SqliteLog


@dataclass(frozen=True, slots=True)
class Books:
    """The ledger of some hours.

    Attributes:
        rows: what arrived, by hour, sensor and source.
        balances: what each sink holds, by hour, sensor and sink.
    """

    rows: list[dict[str, Any]]
    balances: list[Balance]

    @property
    def balanced(self) -> bool:
        """Whether everything received is accounted for, and everything accepted is stored."""
        return all(is_balanced(row) for row in self.rows) and not any(
            balance.missing for balance in self.balances
        )

    def document(self) -> dict[str, Any]:
        """Return all of it for programs."""
        return {
            "balanced": self.balanced,
            "total": total(self.rows),
            "rows": [
                {**row, "hour": format_instant(row["hour"]), "balanced": is_balanced(row)}
                for row in self.rows
            ],
            "sinks": [
                {
                    **balance._asdict(),
                    "hour": format_instant(balance.hour),
                    "balanced": not balance.missing if balance.compared else None,
                }
                for balance in self.balances
            ],
        }


def read_books(
    outbox: SqliteLog, cursors: Cursors, *, sensor: str = "", hour: int | None = None
) -> Books:
    """Return the books of one hour, or of the day up to the newest entry.

    Args:
        outbox: what the engine said.
        cursors: what the sinks counted.
        sensor: one sensor; all when empty.
        hour: start of the hour, ns UTC.
    """
    newest = max((at for _, at, _ in outbox.sizes(log.LEDGER)), default=0)
    since = newest // HOUR_NS * HOUR_NS + HOUR_NS - DAY_NS if hour is None else hour
    until = 2**62 if hour is None else hour + HOUR_NS
    rows: dict[tuple[int, str, str], dict[str, Any]] = {}
    for entry in outbox.scan(log.LEDGER):
        for row in json.loads(entry.body) if entry.at >= since else ():
            if since <= row["hour"] < until and sensor in {"", row["sensor"]}:
                rows[row["hour"], row["sensor"], row["source"]] = row
    balances = cursors.balances(sensor=sensor, since=since, until=until)
    return Books([rows[key] for key in sorted(rows)], balances)


def is_balanced(row: dict[str, Any]) -> bool:
    """Tell whether everything received is accounted for."""
    return bool(row["received"] == sum(row[name] for name in OUTCOMES))


def total(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Return the sums of rows."""
    listed = list(rows)
    return {name: sum(row[name] for row in listed) for name in COLUMNS}


def summed(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows that balance summed by hour and source; the others stay alone."""
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in rows:
        if is_balanced(row):
            groups.setdefault((row["hour"], row["source"]), []).append(row)
    together = [
        {"hour": hour, "source": source, "sensor": f"{len(group)} sensors", **total(group)}
        for (hour, source), group in groups.items()
    ]
    alone = [row for row in rows if not is_balanced(row)]
    return sorted([*together, *alone], key=lambda row: (row["hour"], row["source"]))


def summed_balances(balances: Sequence[Balance]) -> list[Balance]:
    """Return balances that balance summed by hour and sink; the others stay alone.

    A sum could hide that one sensor has what another lacks.
    """
    groups: dict[tuple[int, str, bool], list[Balance]] = {}
    alone = []
    for balance in balances:
        if balance.missing:
            alone.append(balance)
        else:
            key = (balance.hour, balance.sink, bool(balance.compared))
            groups.setdefault(key, []).append(balance)
    together = [
        Balance(
            sink,
            f"{len(group)} sensors",
            hour,
            sum(balance.accepted for balance in group),
            sum(balance.stored for balance in group),
            sum(balance.refused for balance in group),
            max(balance.compared for balance in group),
        )
        for (hour, sink, _), group in groups.items()
    ]
    return sorted([*together, *alone], key=lambda balance: (balance.hour, balance.sink))
