# SPDX-License-Identifier: EUPL-1.2
"""The inbox and outbox of one machine: SQLite in WAL mode, fsync at every commit."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from lamppost.errors import ConfigError
from lamppost.log import DAMAGED, Entry, Record

ENGINE: Final = "engine"
"""The consumer under whose name the engine keeps its inbox position in the outbox."""

# Failures that may pass by themselves: the disk is full or failing, another process is writing.
_PASSING: Final = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
}
_LAYOUT_VERSION: Final = 1
_LOCK_WAIT_S: Final = 30.0
_PAGE: Final = 64

_LAYOUT: Final = """
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS entries_kind ON entries (kind, seq) WHERE kind IN
    ('series', 'stations', 'rules', 'policy', 'registration');
CREATE TABLE IF NOT EXISTS positions (consumer TEXT PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS snapshots (
    seq INTEGER PRIMARY KEY, crc INTEGER NOT NULL, body BLOB NOT NULL
);
"""
KEPT_KINDS: Final = (
    "series", "stations", "rules", "policy", "registration", "quarantine", "quarantine_states"
)  # fmt: skip
"""What trimming leaves: names and rules, which readers need, and quarantine, bounded by itself."""

_KEPT: Final = ", ".join(f"'{kind}'" for kind in KEPT_KINDS)

# Not part of the layout above: files made before it get it when they are opened.
_SPARSE_INDEX: Final = """
CREATE INDEX IF NOT EXISTS entries_sparse ON entries (kind, seq) WHERE kind IN
    ('quarantine', 'quarantine_states', 'ledger')
"""


class SqliteLog:
    """One log in one file; several processes may append and read.

    A commit returns when the write-ahead log is on the disk (``synchronous=FULL``). Each body
    carries its own CRC-32, because SQLite's table pages carry none.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            ConfigError: the file is not a log of this version, or cannot be opened.
            OSError: not now: the disk is full or failing.
        """
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=_LOCK_WAIT_S, isolation_level=None, check_same_thread=False
            )
            self._prepare()
        except ConfigError:
            self._connection.close()
            raise
        except (OSError, sqlite3.Error) as error:
            if hasattr(self, "_connection"):
                self._connection.close()
            cause = error.__cause__ or error
            if getattr(cause, "sqlite_errorcode", 0) & 0xFF in _PASSING:
                raise OSError(f"{path}: {cause}") from error
            problem = f"cannot open the log: {cause}"
            raise ConfigError(problem, where=str(path)) from error

    def _prepare(self) -> None:
        with self._transaction():
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._lay_out()
            elif version != _LAYOUT_VERSION:
                hint = f"this Lamppost reads layout {_LAYOUT_VERSION}"
                raise ConfigError(f"log layout {version}", where=str(self._path), hint=hint)
            self._connection.execute(_SPARSE_INDEX)
            # Written even where it says so already: this proves that the file can be written.
            self._connection.execute(f"PRAGMA user_version={_LAYOUT_VERSION}")
        self._switch_to_wal()
        self._connection.execute("PRAGMA synchronous=FULL")

    def _lay_out(self) -> None:
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables:
            raise ConfigError("a database of another program, not a log", where=str(self._path))
        for statement in _LAYOUT.split(";"):
            self._connection.execute(statement)

    def _switch_to_wal(self) -> None:
        """Change the journal; SQLite itself does not wait for others here, whatever its timeout."""
        until = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def append(self, records: Sequence[Record]) -> int:
        """Store records in one transaction and return the last number."""
        with self._transaction():
            return self._insert(records)

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
            last = self._insert(records)
            self._connection.execute(
                "INSERT OR REPLACE INTO positions VALUES (?, ?)", (consumer, position)
            )
            if snapshot is not None:
                # One older snapshot stays, in case the newest turns out to be damaged.
                self._connection.execute(
                    "DELETE FROM snapshots WHERE seq < (SELECT max(seq) FROM snapshots)"
                )
                self._connection.execute(
                    "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)",
                    (position, zlib.crc32(snapshot), snapshot),
                )
            return last

    def _expect(self, consumer: str, expected: int) -> None:
        row = self._connection.execute(
            "SELECT seq FROM positions WHERE consumer = ?", (consumer,)
        ).fetchone()
        found = 0 if row is None else row[0]
        if found != expected:
            problem = f"{consumer} is at {found}, not at {expected}: a second one writes here"
            raise ConfigError(problem, where=str(self._path))

    def position(self, consumer: str) -> int:
        """Return the position a consumer committed, 0 at first."""
        rows = self._query("SELECT seq FROM positions WHERE consumer = ?", (consumer,))
        return int(rows[0][0]) if rows else 0

    def positions(self) -> dict[str, int]:
        """Return every consumer's position."""
        return {str(name): int(seq) for name, seq in self._query("SELECT * FROM positions")}

    def set_position(self, consumer: str, position: int) -> None:
        """Commit a consumer's position."""
        with self._transaction():
            self._connection.execute(
                "INSERT OR REPLACE INTO positions VALUES (?, ?)", (consumer, position)
            )

    def latest_snapshot(self) -> tuple[int, bytes] | None:
        """Return the newest snapshot that is whole, with its position."""
        for seq, crc, body in self._query("SELECT seq, crc, body FROM snapshots ORDER BY seq DESC"):
            if zlib.crc32(body) == crc:
                return int(seq), bytes(body)
        return None

    def oldest_snapshot(self) -> int:
        """Return the position of the oldest snapshot kept, 0 when there is none."""
        ((seq,),) = self._query("SELECT min(seq) FROM snapshots")
        return int(seq or 0)

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return up to ``limit`` entries above ``after``."""
        rows = self._query(
            "SELECT seq, kind, at, crc, body FROM entries WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, limit),
        )
        return [self._verified(row) for row in rows]

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
        rows = self._query("SELECT seq FROM sqlite_sequence WHERE name = 'entries'")
        return int(rows[0][0]) if rows else 0

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
            return self._connection.execute(
                f"DELETE FROM entries WHERE seq < ? AND kind NOT IN ({_KEPT})",  # noqa: S608 - fixed names
                (before,),
            ).rowcount

    def remove(self, numbers: Sequence[int]) -> None:
        """Forget single entries."""
        with self._transaction():
            self._connection.executemany(
                "DELETE FROM entries WHERE seq = ?", [(number,) for number in numbers]
            )

    def rewrite(self, number: int, body: bytes) -> None:
        """Give an entry another body: for bytes that somebody decided to forget."""
        with self._transaction():
            self._connection.execute(
                "UPDATE entries SET crc = ?, body = ? WHERE seq = ?",
                (zlib.crc32(body), body, number),
            )

    def trim_older(self, at: int, before: int) -> int:
        """Forget entries below a number whose instant lies before ``at`` (ns UTC)."""
        rows = self._query("SELECT min(seq) FROM entries WHERE seq < ? AND at >= ?", (before, at))
        return self.trim(int(rows[0][0]) if rows and rows[0][0] is not None else before)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _insert(self, records: Sequence[Record]) -> int:
        self._connection.executemany(
            "INSERT INTO entries (kind, at, crc, body) VALUES (?, ?, ?, ?)",
            [(kind, at, zlib.crc32(body), body) for kind, at, body in records],
        )
        row = self._connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'entries'"
        ).fetchone()
        return int(row[0]) if row else 0

    def _query(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        with self._lock:
            try:
                return self._connection.execute(sql, tuple(values)).fetchall()
            except sqlite3.Error as error:
                raise OSError(f"{self._path}: {error}") from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._connection.execute("COMMIT")
            except BaseException as error:
                with contextlib.suppress(sqlite3.Error):  # closed, or rolled back by SQLite itself
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise OSError(f"{self._path}: {error}") from error
                raise

    @staticmethod
    def _verified(row: Sequence[Any]) -> Entry:
        seq, kind, at, crc, body = row
        if zlib.crc32(body) != crc:
            return Entry(seq, DAMAGED, at, b"")
        return Entry(seq, kind, at, body)
