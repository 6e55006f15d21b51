# SPDX-License-Identifier: EUPL-1.2
"""The inbox and outbox of one machine: SQLite in WAL mode, fsync at every commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from lamppost import events
from lamppost.errors import ConfigError
from lamppost.log import DAMAGED, Entry, Record

from . import sqlite_errors
from .log_integrity import (
    damaged,
    entry_crc,
    is_whole,
    is_whole_snapshot,
    numbered_crc,
    ranges,
)
from .sqlite_file import HORIZON, SqliteFile

ENGINE: Final = "engine"
"""The consumer under whose name the engine keeps its inbox position in the outbox."""

_PAGE: Final = 64
_TAIL: Final = 16
_ROW: Final = "seq, kind, at, crc, body"
_REMOVED: Final = "removed"

KEPT_KINDS: Final = (
    "series", "stations", "rules", "policy", "registration", "quarantine", "quarantine_states"
)  # fmt: skip
"""What trimming leaves: names and rules, which readers need, and quarantine, bounded by itself."""

_KEPT: Final = ", ".join(f"'{kind}'" for kind in KEPT_KINDS)


class SqliteLog(SqliteFile):
    """One log in one file; several processes may append and read.

    A commit returns when the write-ahead log is on the disk (``synchronous=FULL``). SQLite's table
    pages carry no checksum, so each entry carries one over number, kind, instant and body, and
    numbers have no holes: what cannot be read is missed, and comes back as damaged.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            ConfigError: the file is not a log of this version, or cannot be opened.
            OSError: not now: the disk is full or failing.
        """
        self._trusted_end = 0
        self._reported: set[int] = set()
        super().__init__(path)

    def append(self, records: Sequence[Record]) -> int:
        """Store records in one transaction and return the last number."""
        with self._transaction():
            # Numbers up to the mark were given, even where their entries are gone: a reader that
            # has passed them would not see others in their place.
            last = self._insert(records, after=max(self._end(), self._mark.read()))
        self._committed(last)
        return last

    def append_from(
        self, records: Sequence[Record], *, source: str, position: int, expected: int
    ) -> int:
        """Store records and how far their source has been read, all or none.

        Raises:
            ConfigError: another process has read on in the same source; nothing was stored.
        """
        with self._transaction():
            self._expect(source, expected)
            last = self._insert(records, after=max(self._end(), self._mark.read()))
            self._place(source, position)
        self._committed(last)
        return last

    def forget_position(self, consumer: str) -> None:
        """Forget a position that will not be asked for again."""
        with self._transaction():
            for table in ("positions", "checked_positions"):
                self._connection.execute(f"DELETE FROM {table} WHERE consumer = ?", (consumer,))  # noqa: S608 - fixed names

    def size_after(self, number: int) -> int:
        """Return the bytes of all entries above a number."""
        query = "SELECT coalesce(sum(length(body)), 0) FROM entries WHERE seq > ?"
        ((size,),) = self._query(query, (number,))
        return int(size)

    def reserve(self, number: int) -> None:
        """Give no number up to this one again: somebody has read that far."""
        self._mark.raise_to(number)

    def renew(self) -> None:
        """Bring everything from the write-ahead log into the file, and begin that log anew.

        After a failed sync it may hold, in memory only, what the disk never got; what would be
        added behind that could not be read after a power cut.
        """
        self._query("PRAGMA wal_checkpoint(TRUNCATE)")

    def commit_results(
        self,
        records: Sequence[Record],
        *,
        consumer: str,
        position: int,
        snapshot: bytes | None = None,
        expected: int | None = None,
    ) -> int:
        """Store results, the position they were computed from and a snapshot, all or none.

        Args:
            records: what to append; may be empty.
            consumer: who read the other log.
            position: the number it has read that log up to.
            snapshot: its whole state at that position.
            expected: the position it believes was committed last.

        Raises:
            ConfigError: another process has committed in the meantime; nothing was stored.
        """
        with self._transaction():
            if expected is not None:
                self._expect(consumer, expected)
            # Results are computed anew from the inbox, so lost ones get the numbers they had.
            last = self._insert(records, after=self._end())
            self._place(consumer, position)
            if snapshot is not None:
                # One older snapshot stays, in case the newest turns out to be damaged.
                self._connection.execute(
                    "DELETE FROM snapshots WHERE seq < (SELECT max(seq) FROM snapshots)"
                )
                self._connection.execute(
                    "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)",
                    (position, numbered_crc(position, snapshot), snapshot),
                )
                self._grown += len(snapshot)
        self._committed(last)
        return last

    def _committed(self, last: int) -> None:
        # What this process has written itself need not be read again to be believed.
        self._trusted_end = last
        self._mark.raise_to(last)

    def _expect(self, consumer: str, expected: int) -> None:
        found = self._position(consumer)
        if found != expected:
            problem = f"{consumer} is at {found}, not at {expected}: a second one writes here"
            raise ConfigError(problem, where=str(self._path))

    def latest_snapshot(self) -> tuple[int, bytes] | None:
        """Return the newest snapshot that is whole, with its position."""
        with self._reading():
            rows = self._scan("snapshots", "seq, crc, body")
        for seq, crc, body in sorted(rows, key=lambda row: -row[0]):
            if is_whole_snapshot(seq, crc, body):
                return int(seq), bytes(body)
            events.error("snapshot_damaged", file=self._path.name, position=seq)
        return None

    def oldest_snapshot(self) -> int:
        """Return the position of the oldest snapshot kept, 0 when there is none."""
        ((seq,),) = self._query("SELECT min(seq) FROM snapshots")
        return int(seq or 0)

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return up to ``limit`` entries above ``after``."""
        with self._reading():
            try:
                end = self._end()
                rows = self._connection.execute(
                    f"SELECT {_ROW} FROM entries WHERE seq > ? ORDER BY seq LIMIT ?",  # noqa: S608 - fixed names
                    (after, limit),
                ).fetchall()
            except sqlite3.DatabaseError as error:
                if not sqlite_errors.is_damage(error):
                    raise
                return self._read_around(after, limit)
            rows = [row for row in rows if row[0] <= end or is_whole(row)]
            if self._is_gapless(rows, after, end if len(rows) < limit else 0):
                return [Entry(seq, kind, at, body) for seq, kind, at, _, body in rows]
            return self._read_around(after, limit)

    def _is_gapless(self, rows: Sequence[Any], after: int, end: int) -> bool:
        """Tell whether rows are whole, in order, and complete up to an end."""
        previous, gap_up_to = after, 0
        for row in rows:
            if row[0] <= previous or not is_whole(row):
                return False
            if row[0] != previous + 1:
                gap_up_to = row[0]
            previous = row[0]
        if previous < end:
            gap_up_to = end + 1
        return not gap_up_to or gap_up_to <= self._horizon()

    def _read_around(self, after: int, limit: int) -> list[Entry]:
        """Read where something is damaged: without searching, from both ends.

        A search trusts the very numbers that may be damaged. A number below the horizon that is not
        there was forgotten; any other is damaged.
        """
        horizon = self._horizon()
        up_to = max(after, horizon - 1) + limit
        rows = self._scan("entries", _ROW, f"WHERE +seq > {after:d} AND +seq <= {up_to:d}")
        found = {row[0]: row for row in rows if is_whole(row)}
        up_to = min(up_to, max(self._readable_end(), *found, 0))
        lost = [seq for seq in range(max(after + 1, horizon), up_to + 1) if seq not in found]
        entries = [Entry(seq, kind, at, body) for seq, kind, at, _, body in found.values()]
        entries = sorted([*entries, *map(damaged, lost)])[:limit]
        self._report([entry.seq for entry in entries if entry.kind == DAMAGED])
        return entries

    def _readable_end(self) -> int:
        """Return where the entries end, or were known to when the end itself is damaged."""
        try:
            return self._end()
        except sqlite3.DatabaseError as error:
            if not sqlite_errors.is_damage(error):
                raise
            return self._mark.read()

    def _report(self, lost: Sequence[int]) -> None:
        """Say once which entries cannot be read."""
        fresh = [seq for seq in lost if seq not in self._reported]
        self._reported.update(fresh)
        for damage in ranges(self._path.name, fresh):
            events.error(
                "log_damaged", file=self._path, first=damage.first, last=damage.last,
                advice="all others are read; lamppost doctor says what to do",
            )  # fmt: skip

    def read_kinds(self, kinds: Sequence[str], up_to: int) -> list[Entry]:
        """Return the entries of some kinds up to and including a number."""
        marks = ",".join("?" * len(kinds))
        rows = self._query(
            "SELECT seq, kind, at, crc, body FROM entries"  # noqa: S608 - only question marks
            f" WHERE kind IN ({marks}) AND seq <= ? ORDER BY seq",
            (*kinds, up_to),
        )
        return [self._verified(row) for row in rows]

    def scan(self, kind: str, after: int = 0) -> Iterator[Entry]:
        """Yield the entries of a kind above a number, a few at a time."""
        while True:
            rows = self._query(
                "SELECT seq, kind, at, crc, body FROM entries WHERE kind = ? AND seq > ?"
                " ORDER BY seq LIMIT ?",
                (kind, after, _PAGE),
            )
            if not rows:
                return
            yield from map(self._verified, rows)
            after = rows[-1][0]

    def sizes(self, kind: str) -> list[tuple[int, int, int]]:
        """Return number, instant and size of every entry of a kind, the oldest first."""
        return self._query(
            "SELECT seq, at, length(body) FROM entries WHERE kind = ? ORDER BY seq", (kind,)
        )

    def last(self) -> int:
        """Return the highest number ever given, 0 when none was."""
        with self._reading():
            return max(self._readable_end(), self._mark.read())

    def held(self) -> int:
        """Return the highest number of an entry that is there or was forgotten."""
        with self._reading():
            return self._readable_end()

    def trimmed(self) -> bool:
        """Tell whether entries were ever forgotten from the beginning."""
        first = f"SELECT min(seq) FROM entries WHERE kind NOT IN ({_KEPT})"  # noqa: S608 - fixed names
        ((held, newest),) = self._query(
            "SELECT count(*), max(seq) FROM entries"  # noqa: S608 - fixed text
            f" WHERE seq <= coalesce(({first}), (SELECT max(seq) FROM entries))"
        )
        return bool(held != (newest or 0))

    def only_kept(self, up_to: int) -> bool:
        """Tell whether entries up to a number are all of the kinds that trimming leaves."""
        rows = self._query(
            f"SELECT 1 FROM entries WHERE seq <= ? AND kind NOT IN ({_KEPT}) LIMIT 1",  # noqa: S608 - fixed names
            (up_to,),
        )
        return not rows

    def trim(self, before: int) -> int:
        """Forget frames and results below a number; return how many went."""
        with self._transaction():
            self._place(HORIZON, max(self._horizon(), min(before, self._end() + 1)))
            return self._connection.execute(
                f"DELETE FROM entries WHERE seq < ? AND kind NOT IN ({_KEPT})",  # noqa: S608 - fixed names
                (before,),
            ).rowcount

    def remove(self, numbers: Sequence[int]) -> None:
        """Forget single entries; an empty one of no use stays, because a hole means damage."""
        emptied = [(_REMOVED, entry_crc(seq, _REMOVED, 0, b""), seq) for seq in numbers]
        with self._transaction():
            self._connection.executemany(
                "UPDATE entries SET kind = ?, at = 0, crc = ?, body = x'' WHERE seq = ?", emptied
            )

    def rewrite(self, number: int, body: bytes) -> None:
        """Give an entry another body: for bytes that somebody decided to forget."""
        with self._transaction():
            rows = self._connection.execute(
                "SELECT kind, at FROM entries WHERE seq = ?", (number,)
            ).fetchall()
            self._connection.executemany(
                "UPDATE entries SET crc = ?, body = ? WHERE seq = ?",
                [(entry_crc(number, kind, at, body), body, number) for kind, at in rows],
            )

    def take_over(self, other: SqliteLog, entries: Iterable[Entry]) -> None:
        """Take entries under their own numbers, and positions and snapshots of another log."""
        rows = (
            (seq, kind, at, entry_crc(seq, kind, at, body), body) for seq, kind, at, body in entries
        )
        with self._transaction():
            self._connection.executemany(
                f"INSERT INTO entries ({_ROW}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608 - fixed names
                rows,
            )
            self._place(HORIZON, other.horizon())
            for consumer, position in other.positions().items():
                self._place(consumer, position)
            self._connection.executemany(
                "INSERT OR IGNORE INTO snapshots VALUES (?, ?, ?)",
                [row for row in other.salvage("snapshots") if is_whole_snapshot(*row)],
            )

    def trim_older(self, at: int, before: int) -> int:
        """Forget entries below a number whose instant lies before ``at`` (ns UTC)."""
        rows = self._query("SELECT min(seq) FROM entries WHERE seq < ? AND at >= ?", (before, at))
        return self.trim(int(rows[0][0]) if rows and rows[0][0] is not None else before)

    def _insert(self, records: Sequence[Record], after: int) -> int:
        # A damaged row may claim one of these numbers; it gives way.
        self._connection.executemany(
            f"INSERT OR REPLACE INTO entries ({_ROW}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608 - fixed names
            [
                (seq, kind, at, entry_crc(seq, kind, at, body), body)
                for seq, (kind, at, body) in enumerate(records, after + 1)
            ],
        )
        self._trusted_end = 0
        self._grown += sum([len(body) for _, _, body in records])
        return after + len(records)

    def _end(self) -> int:
        """Return the highest number in use, going by entries that are whole.

        A damaged row behind them counts where its number follows, or the mark tells of one.
        """
        (newest,) = self._connection.execute("SELECT max(seq) FROM entries").fetchone()
        if newest is not None and newest == self._trusted_end:
            return self._trusted_end
        rows = self._connection.execute(
            f"SELECT {_ROW} FROM entries ORDER BY seq DESC LIMIT {_TAIL}"  # noqa: S608 - fixed names
        )
        unread: list[int] = []
        whole = 0
        for row in rows:
            if is_whole(row):
                whole = row[0]
                break
            unread.append(row[0])
        self._trusted_end = 0 if unread else whole
        following = sum(seq in unread for seq in range(whole + 1, whole + 1 + len(unread)))
        end = min(whole + len(unread), max(whole + following, self._mark.read()))
        return int(max(end, self._horizon() - 1))

    @staticmethod
    def _verified(row: Sequence[Any]) -> Entry:
        seq, kind, at, _, body = row
        return Entry(seq, kind, at, body) if is_whole(row) else damaged(seq)
