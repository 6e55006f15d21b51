# SPDX-License-Identifier: EUPL-1.2
"""The ledger: per source, sensor and hour, what became of every item received.

An item is a reading, or a payload that could not be read. Received = accepted + duplicate +
quarantined + refused, always.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lamppost.times import HOUR_NS, SECOND_NS

OUTCOMES: Final = ("accepted", "duplicate", "quarantined", "refused")

_PUBLISH_NS: Final = 10 * SECOND_NS

Key = tuple[str, str, int]


class Ledger:
    """Counts items by outcome; rows of closed hours are let go once published."""

    def __init__(self) -> None:
        """Start with an empty book."""
        self._counts: dict[Key, dict[str, int]] = {}
        self._changed: set[Key] = set()
        self._published_at = 0

    def count(self, source: str, sensor: str, at: int, outcome: str, items: int) -> None:
        """Book items of a sensor received at an instant (ns UTC)."""
        if items == 0:
            return
        key = (source, sensor, at // HOUR_NS * HOUR_NS)
        row = self._counts.setdefault(key, dict.fromkeys(OUTCOMES, 0))
        row[outcome] += items
        self._changed.add(key)

    def due(self, now: int) -> bool:
        """Return whether the next rows are to be published."""
        return now - self._published_at >= _PUBLISH_NS

    def publish(self, now: int) -> list[dict[str, object]]:
        """Return, every ten seconds, the rows that changed, and forget those long closed."""
        if not self.due(now):
            return []
        self._published_at = now
        rows = [self._row(key) for key in sorted(self._changed)]
        self._changed.clear()
        reach = now - 2 * HOUR_NS
        self._counts = {key: row for key, row in self._counts.items() if key[2] >= reach}
        return rows

    def totals(self) -> dict[str, int]:
        """Return the sum of every row held."""
        sums = {name: sum(row[name] for row in self._counts.values()) for name in OUTCOMES}
        return {"received": sum(sums.values()), **sums}

    def _row(self, key: Key) -> dict[str, object]:
        source, sensor, hour = key
        counts = self._counts[key]
        received = sum(counts.values())
        return {"source": source, "sensor": sensor, "hour": hour, "received": received, **counts}

    def facts(self) -> dict[str, Any]:
        """Return the whole state as a JSON-able document."""
        rows = [[*key, *row.values()] for key, row in sorted(self._counts.items())]
        changed = [list(key) for key in sorted(self._changed)]
        return {"rows": rows, "changed": changed, "published_at": self._published_at}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Take over such a document."""
        self._counts = {
            (row[0], row[1], row[2]): dict(zip(OUTCOMES, row[3:], strict=True))
            for row in facts["rows"]
        }
        self._changed = {(key[0], key[1], key[2]) for key in facts["changed"]}
        self._published_at = facts["published_at"]
