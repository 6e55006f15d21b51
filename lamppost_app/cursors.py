# SPDX-License-Identifier: EUPL-1.2
"""Beside the outbox: how far each sink is, what it stored and refused, and what was forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from lamppost.balance import Tally
from lamppost.log import Entry
from lamppost.times import HOUR_NS

from .log_integrity import Damage
from .sqlite_log import SqliteLog

_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS stored (
        sink TEXT, sensor TEXT, hour INTEGER, accepted INTEGER NOT NULL DEFAULT 0,
        stored INTEGER NOT NULL DEFAULT 0, refused INTEGER NOT NULL DEFAULT 0,
        compared INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (sink, hour, sensor)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS books (
        sink TEXT PRIMARY KEY, since INTEGER NOT NULL, said TEXT NOT NULL DEFAULT ''
    )""",
    """CREATE TABLE IF NOT EXISTS forgotten (
        cause TEXT PRIMARY KEY, messages INTEGER NOT NULL, bytes INTEGER NOT NULL,
        at INTEGER NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS damaged (
        log TEXT, first INTEGER, last INTEGER NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (log, first)
    )""",
)
_OWN: Final = ("stored", "books", "forgotten", "damaged")


class Balance(NamedTuple):
    """One sink's account of one sensor in one hour.

    Attributes:
        sink, sensor, hour: whose account (hour in ns UTC).
        accepted: what the engine says it accepted, 0 where it has not said so yet.
        stored, refused: what the sink counted.
        compared: outbox entry the two were compared at; 0 where they never were, or where more was
            stored since.
    """

    sink: str
    sensor: str
    hour: int
    accepted: int
    stored: int
    refused: int
    compared: int

    @property
    def missing(self) -> int:
        """How many readings are missing, below 0 where there are too many."""
        return self.accepted - self.stored - self.refused if self.compared else 0

    @property
    def verdict(self) -> str:
        """The comparison in a word or two."""
        if not self.compared:
            return "not compared yet"
        return f"{self.missing} missing" if self.missing else "balanced"


class Forgotten(NamedTuple):
    """What went from quarantine for one cause.

    Attributes:
        cause: "age", "size" or "dropped".
        messages, bytes: how much.
        at: when last, ns UTC.
    """

    cause: str
    messages: int
    bytes: int
    at: int


class Cursors(SqliteLog):
    """The cursor file: positions, what sinks refused (as entries), and their books."""

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            ConfigError: the file is not a log of this version, or cannot be opened.
        """
        super().__init__(path)
        with self._transaction():
            for table in _TABLES:
                self._connection.execute(table)

    def advance(
        self, sink: str, position: int, tally: Mapping[tuple[str, int], Sequence[int]]
    ) -> None:
        """Commit how far a sink is together with what it stored and refused on the way.

        Args:
            sink: its name.
            position: the outbox entry it has read up to.
            tally: readings stored and refused by sensor and hour.
        """
        rows = [(sink, sensor, hour, *counts) for (sensor, hour), counts in tally.items()]
        with self._transaction():
            self._place(sink, position)
            self._connection.executemany(
                "INSERT INTO stored (sink, sensor, hour, stored, refused) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET stored = stored + excluded.stored,"
                " refused = refused + excluded.refused",
                rows,
            )

    def since(self, sink: str) -> int | None:
        """Return the hour from which a sink's books are complete, None before any were opened."""
        rows = self._query("SELECT since FROM books WHERE sink = ?", (sink,))
        return int(rows[0][0]) if rows else None

    def open_books(self, sink: str, since: int) -> None:
        """Begin a sink's books anew; hours before ``since`` will not be compared."""
        with self._transaction():
            self._connection.execute("DELETE FROM stored WHERE sink = ?", (sink,))
            self._connection.execute(
                "INSERT INTO books (sink, since) VALUES (?, ?)"
                " ON CONFLICT DO UPDATE SET since = excluded.since",
                (sink, since),
            )

    def clear_books(self, sink: str) -> None:
        """Forget a sink's accounts."""
        with self._transaction():
            self._connection.execute("DELETE FROM stored WHERE sink = ?", (sink,))

    def close_books(self, sink: str) -> None:
        """Forget that a sink ever had books."""
        with self._transaction():
            self._connection.execute("DELETE FROM books WHERE sink = ?", (sink,))

    def said(self, sink: str) -> str:
        """Return the last verdict on a sink's books that was told."""
        rows = self._query("SELECT said FROM books WHERE sink = ?", (sink,))
        return str(rows[0][0]) if rows else ""

    def note_said(self, sink: str, verdict: str) -> None:
        """Remember the verdict that was told."""
        with self._transaction():
            self._connection.execute("UPDATE books SET said = ? WHERE sink = ?", (verdict, sink))

    def compare(self, sink: str, accepted: Mapping[tuple[str, int], int], position: int) -> None:
        """Enter what the engine accepted, as of an outbox entry the sink has just passed."""
        rows = [(sink, sensor, hour, count, position) for (sensor, hour), count in accepted.items()]
        with self._transaction():
            self._connection.executemany(
                "INSERT INTO stored (sink, sensor, hour, accepted, compared)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " accepted = excluded.accepted, compared = excluded.compared",
                rows,
            )

    def unbalanced(self, sink: str) -> list[Balance]:
        """Return the accounts of a sink that do not balance, the worst first."""
        rows = self._query(
            "SELECT * FROM stored WHERE sink = ? AND compared > 0"
            " AND accepted <> stored + refused"
            " ORDER BY abs(accepted - stored - refused) DESC, hour DESC, sensor",
            (sink,),
        )
        return [Balance(*row) for row in rows]

    def balances(self, *, sensor: str = "", since: int = 0, until: int = 2**62) -> list[Balance]:
        """Return the accounts of all sinks, by hour, sensor and sink.

        The engine says only every ten seconds or more what it accepted. Where all was balanced
        then, what a sink holds beyond that came since, and waits to be compared.
        """
        rows = self._query(
            "SELECT stored.*, stored + refused > accepted AND coalesce(said, '') = ''"
            " AND coalesce(seq, 0) > compared FROM stored LEFT JOIN books USING (sink)"
            " LEFT JOIN positions ON consumer = sink"
            " WHERE hour >= ? AND hour < ? AND (? = '' OR sensor = ?)"
            " ORDER BY hour, sensor, sink",
            (since, until, sensor, sensor),
        )
        return [
            Balance(*row)._replace(compared=0) if waits else Balance(*row) for *row, waits in rows
        ]

    def note_damage(self, damages: Iterable[Damage], at: int) -> None:
        """Remember which entries of a log could not be read."""
        with self._transaction():
            self._connection.executemany(
                "INSERT INTO damaged VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " last = max(last, excluded.last)",
                [(*damage, at) for damage in damages],
            )

    def damages(self) -> list[Damage]:
        """Return which entries could not be read, as long as accounts are kept."""
        found: list[Damage] = []
        for row in self._query("SELECT log, first, last FROM damaged ORDER BY log, first"):
            one = Damage(*row)
            if found and found[-1].log == one.log and one.first <= found[-1].last + 1:
                found[-1] = found[-1]._replace(last=max(one.last, found[-1].last))
            else:
                found.append(one)
        return found

    def take_over(self, other: SqliteLog, entries: Iterable[Entry]) -> None:
        """Take the accounts over as well."""
        super().take_over(other, entries)
        for table in _OWN:
            rows = other.salvage(table)
            with self._transaction():
                for row in rows:
                    marks = ", ".join("?" * len(row))
                    self._connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608 - fixed names

    def forget_books(self, before: int) -> None:
        """Forget accounts of hours before an instant, unless their sink is still at work there."""
        with self._transaction():
            self._connection.execute("DELETE FROM damaged WHERE at < ?", (before,))
            self._connection.execute(
                "DELETE FROM stored WHERE hour < ? AND hour < ? + (SELECT max(hour)"
                " FROM stored AS newer WHERE newer.sink = stored.sink)",
                (before, -2 * HOUR_NS),
            )

    def note_forgotten(self, items: Iterable[Forgotten]) -> None:
        """Add to the count of what went from quarantine."""
        with self._transaction():
            self._connection.executemany(
                "INSERT INTO forgotten VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " messages = messages + excluded.messages, bytes = bytes + excluded.bytes,"
                " at = excluded.at",
                items,
            )

    def forgotten(self) -> list[Forgotten]:
        """Return what went from quarantine so far."""
        rows = self._query("SELECT cause, messages, bytes, at FROM forgotten ORDER BY cause")
        return [Forgotten(*row) for row in rows]


def by_sensor(tally: Tally, sensors: Sequence[str]) -> dict[tuple[str, int], tuple[int, int]]:
    """Return readings stored and refused by sensor and hour, from counts by series code."""
    found: dict[tuple[str, int], tuple[int, int]] = {}
    for hour, series in tally.stored.keys() | tally.refused.keys():
        key = sensors[series], hour
        stored, refused = found.get(key, (0, 0))
        place = hour, series
        found[key] = (stored + tally.stored[place], refused + tally.refused[place])
    return found
