# SPDX-License-Identifier: EUPL-1.2
"""The ledger: per source, sensor and hour, what became of every item received.

An item is a reading, or a payload that could not be read. It is counted once where it comes in and
once where it ends up: received = accepted + duplicate + quarantined + refused, or an alert says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.balance import OUTCOMES, hour_of
from lamppost.times import HOUR_NS, SECOND_NS

from .ledger_rows import COLUMNS, LedgerRows, Names

_SHORTEST_WAIT_NS: Final = 10 * SECOND_NS
_LONGEST_WAIT_NS: Final = 120 * SECOND_NS
_ROWS_PER_S: Final = 50
"""How many rows held make the wait a second longer: every row of a live city changes in each, and
books written anew every ten seconds for thousands of sensors would outgrow their readings."""
_MOST_STRANGERS: Final = 10_000
_NO_ROW: Final = -1
_PLACES: Final = {name: place for place, name in enumerate(COLUMNS)}

IntArray = npt.NDArray[np.int64]

__all__ = ["COLUMNS", "OUTCOMES", "Ledger"]


class Ledger:
    """Counts items; rows of closed hours are let go once published.

    The hour is that of the inbox entry an item came in, which never goes back: so a row that was
    let go never has to be opened again.
    """

    def __init__(self) -> None:
        """Start with an empty book."""
        self._sources = Names()
        self._sensors = Names()
        self._rows = LedgerRows.empty(self._sources, self._sensors)
        self._changed = np.empty(0, np.bool_)
        self._places: dict[tuple[int, int], IntArray] = {}
        self._single: dict[tuple[str, str, int], Counter[int]] = {}
        self._published_at = 0
        self._wait_ns = _SHORTEST_WAIT_NS
        self._strangers_hour = 0
        self._strangers = 0

    def count(self, source: str, sensor: str, at: int, column: str, items: int) -> None:
        """Book items of a sensor, received at engine time ``at`` or, so received, ended up."""
        if items:
            key = (source, sensor, hour_of(at))
            self._single.setdefault(key, Counter())[_PLACES[column]] += items

    def sensor_numbers(self, names: Sequence[str]) -> IntArray:
        """Return the numbers by which :meth:`count_many` knows sensors."""
        return np.array([self._sensors.number(name) for name in names], np.int64)

    def count_many(
        self, source: str, sensors: IntArray, at: int, column: str, items: IntArray
    ) -> None:
        """Book items of many sensors at once.

        Args:
            source: the door they came in through.
            sensors: their numbers, each once.
            at: as in :meth:`count`.
            column: of the ledger.
            items: how many of each sensor.
        """
        sensors, items = sensors[items != 0], items[items != 0]
        if not len(sensors):
            return
        rows = self._places_of(self._sources.number(source), hour_of(at), sensors)
        self._rows.counts[rows, _PLACES[column]] += items
        self._changed[rows] = True

    def _book_single(self) -> None:
        """Put what was counted one by one into the columns, which grow best by many rows."""
        columns: dict[tuple[str, int, int], list[tuple[str, int]]] = {}
        for (source, sensor, hour), counts in self._single.items():
            for place, items in counts.items():
                columns.setdefault((source, hour, place), []).append((sensor, items))
        self._single.clear()
        for (source, hour, place), booked in columns.items():
            numbers = self.sensor_numbers([sensor for sensor, _ in booked])
            amounts = np.array([items for _, items in booked], np.int64)
            self.count_many(source, numbers, hour, COLUMNS[place], amounts)

    def _places_of(self, source: int, hour: int, sensors: IntArray) -> IntArray:
        """Return the rows of sensors, opening those there are none of yet."""
        places = self._places.get((source, hour), np.empty(0, np.int64))
        if len(places) < len(self._sensors):
            grown = np.full(2 * len(self._sensors), _NO_ROW)
            grown[: len(places)] = places
            self._places[source, hour] = places = grown
        fresh = sensors[places[sensors] == _NO_ROW]
        if len(fresh):
            places[fresh] = len(self._rows) + np.arange(len(fresh))
            self._rows = self._rows.opened(source, hour, fresh)
            self._changed = np.append(self._changed, np.zeros(len(fresh), np.bool_))
        return places[sensors]

    def stranger(self, source: str, sensor: str, at: int) -> str:
        """Return under which name to book a sensor nobody knows: its own, up to a bound per hour.

        Names are the devices' choice: one that invents them must not fill the books.
        """
        hour = hour_of(at)
        if hour != self._strangers_hour:
            self._strangers_hour, self._strangers = hour, 0
        if self._is_open(source, sensor, hour):
            return sensor
        if self._strangers >= _MOST_STRANGERS:
            return ""
        self._strangers += 1
        return sensor

    def _is_open(self, source: str, sensor: str, hour: int) -> bool:
        if (source, sensor, hour) in self._single:
            return True
        if source not in self._sources or sensor not in self._sensors:
            return False
        places = self._places.get((self._sources.number(source), hour), np.empty(0, np.int64))
        number = self._sensors.number(sensor)
        return number < len(places) and bool(places[number] != _NO_ROW)

    def due(self, now: int) -> bool:
        """Return whether the next rows are to be published.

        How long they wait was said when rows were published last. How many there are in between
        goes by when a snapshot booked what the tally held, and so by the clock on the wall.
        """
        return now - self._published_at >= self._wait_ns

    def publish(self, now: int) -> LedgerRows:
        """Return, when it is time, the rows that changed, and forget those long closed.

        It is every ten seconds, in a large city every two minutes.

        With a row come those of the same sensor and hour from other sources: whoever adds up what
        was accepted of a sensor finds all of it in one place.
        """
        if not self.due(now):
            return LedgerRows.empty(self._sources, self._sensors)
        self._book_single()
        self._published_at = now
        rows = self._rows.take(self._touched()).ordered()
        self._changed[:] = False
        self._forget(now - 2 * HOUR_NS)
        self._wait_ns = _wait_ns(len(self._rows))
        return rows

    def _touched(self) -> npt.NDArray[np.bool_]:
        """Return the rows of sensors and hours in which anything changed."""
        sensor, hour = self._rows.sensor, self._rows.hour
        touched = self._changed.copy()
        for which in np.unique(hour[self._changed]).tolist():
            in_hour = hour == which
            of_sensor = np.zeros(len(self._sensors), np.bool_)
            of_sensor[sensor[self._changed & in_hour]] = True
            touched |= in_hour & of_sensor[sensor]
        return touched

    def _forget(self, reach: int) -> None:
        kept = self._rows.hour >= reach
        if kept.all():
            return
        rows, changed = self._rows.take(kept), self._changed[kept]
        self._fill(rows, changed)

    def _fill(self, rows: LedgerRows, changed: npt.NDArray[np.bool_]) -> None:
        """Take rows over; names nobody needs any more are forgotten with the others."""
        sources, sensors = rows.source_names(), rows.sensor_names()
        self._sources, self._sensors = Names(), Names()
        self._places = {}
        self._rows = LedgerRows(
            self._sources,
            self._sensors,
            np.array([self._sources.number(name) for name in sources], np.int64),
            np.array([self._sensors.number(name) for name in sensors], np.int64),
            rows.hour,
            rows.counts,
        )
        self._changed = changed
        for source, hour in set(zip(self._rows.source.tolist(), rows.hour.tolist(), strict=True)):
            places = np.full(len(self._sensors), _NO_ROW)
            own = np.flatnonzero((self._rows.source == source) & (rows.hour == hour))
            places[self._rows.sensor[own]] = own
            self._places[source, hour] = places

    @property
    def generation(self) -> object:
        """What changes when sensors get other numbers."""
        return self._sensors

    def broken(self) -> list[dict[str, Any]]:
        """Return the rows that do not balance, the worst first."""
        self._book_single()
        counts = self._rows.counts
        off = np.abs(counts[:, 0] - counts[:, 1:].sum(axis=1))
        if not off.any():
            return []
        rows = list(self._rows.take(off > 0).ordered())
        return sorted(
            rows, key=lambda row: -abs(row["received"] - sum(row[name] for name in OUTCOMES))
        )

    def totals(self) -> dict[str, int]:
        """Return the sum of every row held."""
        self._book_single()
        return dict(zip(COLUMNS, self._rows.counts.sum(axis=0).tolist(), strict=True))

    def facts(self) -> dict[str, Any]:
        """Return the whole state as a JSON-able document."""
        self._book_single()
        changed = self._rows.take(self._changed).ordered()
        return {
            "rows": self._rows.ordered().as_lists(),
            "changed": [row[:3] for row in changed.as_lists()],
            "published_at": self._published_at,
            "wait_ns": self._wait_ns,
            "strangers": [self._strangers_hour, self._strangers],
        }

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Take over such a document."""
        self._single.clear()
        rows = LedgerRows.of_lists(facts["rows"])
        changed = {tuple(key) for key in facts["changed"]}
        is_changed = [tuple(row[:3]) in changed for row in facts["rows"]]
        self._fill(rows, np.array(is_changed, np.bool_))
        self._published_at = facts["published_at"]
        # Snapshots of earlier versions lack it.
        self._wait_ns = facts.get("wait_ns", _wait_ns(len(self._rows)))
        self._strangers_hour, self._strangers = facts.get("strangers", (0, 0))


def _wait_ns(rows: int) -> int:
    """Return how long so many rows wait to be published again."""
    return min(max(rows * SECOND_NS // _ROWS_PER_S, _SHORTEST_WAIT_NS), _LONGEST_WAIT_NS)
