# SPDX-License-Identifier: EUPL-1.2
"""The ledger: per source, sensor and hour, what became of every item received.

An item is a reading, or a payload that could not be read. It is counted once where it comes in and
once where it ends up: received = accepted + duplicate + quarantined + refused, or an alert says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lamppost.balance import OUTCOMES, hour_of
from lamppost.times import HOUR_NS, SECOND_NS

COLUMNS: Final = ("received", *OUTCOMES)

_PUBLISH_NS: Final = 10 * SECOND_NS
_MOST_STRANGERS: Final = 10_000

Key = tuple[str, str, int]


class Ledger:
    """Counts items; rows of closed hours are let go once published.

    The hour is that of the inbox entry an item came in, which never goes back: so a row that was
    let go never has to be opened again.
    """

    def __init__(self) -> None:
        """Start with an empty book."""
        self._counts: dict[Key, dict[str, int]] = {}
        self._changed: set[Key] = set()
        self._published_at = 0
        self._strangers_hour = 0
        self._strangers = 0

    def count(self, source: str, sensor: str, at: int, column: str, items: int) -> None:
        """Book items of a sensor, received at engine time ``at`` or, so received, ended up."""
        if items == 0:
            return
        key = (source, sensor, hour_of(at))
        row = self._counts.setdefault(key, dict.fromkeys(COLUMNS, 0))
        row[column] += items
        self._changed.add(key)

    def stranger(self, source: str, sensor: str, at: int) -> str:
        """Return under which name to book a sensor nobody knows: its own, up to a bound per hour.

        Names are the devices' choice: one that invents them must not fill the books.
        """
        hour = hour_of(at)
        if hour != self._strangers_hour:
            self._strangers_hour, self._strangers = hour, 0
        if (source, sensor, hour) in self._counts:
            return sensor
        if self._strangers >= _MOST_STRANGERS:
            return ""
        self._strangers += 1
        return sensor

    def due(self, now: int) -> bool:
        """Return whether the next rows are to be published."""
        return now - self._published_at >= _PUBLISH_NS

    def publish(self, now: int) -> list[dict[str, Any]]:
        """Return, every ten seconds, the rows that changed, and forget those long closed.

        With a row come those of the same sensor and hour from other sources: whoever adds up what
        was accepted of a sensor finds all of it in one place.
        """
        if not self.due(now):
            return []
        self._published_at = now
        changed = {key[1:] for key in self._changed}
        rows = [self._row(key) for key in sorted(self._counts) if key[1:] in changed]
        self._changed.clear()
        reach = now - 2 * HOUR_NS
        self._counts = {key: row for key, row in self._counts.items() if key[2] >= reach}
        return rows

    def broken(self) -> list[dict[str, Any]]:
        """Return the rows that do not balance, the worst first."""
        off = {
            key: abs(row["received"] - sum(row[name] for name in OUTCOMES))
            for key, row in self._counts.items()
        }
        worst_first = sorted((-amount, key) for key, amount in off.items() if amount)
        return [self._row(key) for _, key in worst_first]

    def totals(self) -> dict[str, int]:
        """Return the sum of every row held."""
        return {name: sum(row[name] for row in self._counts.values()) for name in COLUMNS}

    def _row(self, key: Key) -> dict[str, Any]:
        source, sensor, hour = key
        return {"source": source, "sensor": sensor, "hour": hour, **self._counts[key]}

    def facts(self) -> dict[str, Any]:
        """Return the whole state as a JSON-able document."""
        rows = [[*key, *row.values()] for key, row in sorted(self._counts.items())]
        changed = [list(key) for key in sorted(self._changed)]
        return {
            "rows": rows,
            "changed": changed,
            "published_at": self._published_at,
            "strangers": [self._strangers_hour, self._strangers],
        }

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Take over such a document."""
        self._counts = {
            (row[0], row[1], row[2]): dict(zip(COLUMNS, row[3:], strict=True))
            for row in facts["rows"]
        }
        self._changed = {(key[0], key[1], key[2]) for key in facts["changed"]}
        self._published_at = facts["published_at"]
        self._strangers_hour, self._strangers = facts.get("strangers", (0, 0))
