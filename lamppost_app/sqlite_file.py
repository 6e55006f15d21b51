# SPDX-License-Identifier: EUPL-1.2
"""A database file of our own, synced at every commit; after a failed sync nothing is written."""

from __future__ import annotations

import contextlib
import errno
import functools
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from lamppost.errors import ConfigError, StorageFailed

from . import sqlite_errors
from .log_integrity import EndMark, position_crc
from .log_salvage import salvage

_LAYOUT_VERSION: Final = 1
_LOCK_WAIT_S: Final = 30.0
_CHECKPOINT_BYTES: Final = 4_000_000
# What a commit writes beside bodies: pages of the tables, of their indexes and of the positions.
_COMMIT_BYTES: Final = 32_768
# Reserved name among positions: entries below this number may have been forgotten.
HORIZON: Final = " forgotten below"

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
# Not part of the layout above: files made before them get them when they are opened.
_ADDITIONS: Final = (
    """CREATE INDEX IF NOT EXISTS entries_sparse ON entries (kind, seq) WHERE kind IN
    ('quarantine', 'quarantine_states', 'ledger')
""",
    # A second copy on another page: one bad byte cannot hit both.
    """CREATE TABLE IF NOT EXISTS checked_positions (
        consumer TEXT PRIMARY KEY, seq INTEGER NOT NULL, crc INTEGER NOT NULL
    )""",
)


class SqliteFile:
    """One SQLite file in WAL mode, synced at every commit, with the positions of consumers.

    Positions are kept twice, so that a damaged one is known and the other is taken.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            ConfigError: the file is not a log of this version, or cannot be opened.
            OSError: not now: the disk is full or failing.
        """
        self._path = path
        self._lock = threading.Lock()
        self._failed: StorageFailed | None = None
        self._grown = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._mark = EndMark(path.with_name(f"{path.name}-end"))
            left = self._mark.take() and salvage(path, self._mark.read())
            self._mark.share(_LOCK_WAIT_S)
            self._connection = sqlite3.connect(
                path, timeout=_LOCK_WAIT_S, isolation_level=None, check_same_thread=False
            )
            self._connection.text_factory = _text
            if left:
                self._begin_anew()
            self._prepare()
        except ConfigError:
            self._abandon()
            raise
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
            self._abandon()
            raise self._unopened(error) from error

    def _abandon(self) -> None:
        for part in ("_connection", "_mark"):
            if hasattr(self, part):
                getattr(self, part).close()

    def _begin_anew(self) -> None:
        """Empty the write-ahead log: what a crash left behind its end must not come back."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _unopened(self, error: Exception) -> Exception:
        """Return what to raise when the file could not be opened."""
        cause = error.__cause__ or error
        if getattr(cause, "errno", None) in {errno.ENOSPC, errno.EAGAIN}:
            return error
        if isinstance(cause, sqlite3.Error) and (
            sqlite_errors.passes(cause) or sqlite_errors.is_io(cause)
        ):
            return sqlite_errors.refusal(self._path, cause)
        # A damaged description of the tables shows in many ways.
        garbled = isinstance(cause, UnicodeDecodeError)
        wrong = garbled or sqlite_errors.is_damage(cause) or sqlite_errors.is_plain(cause)
        hint = "stop Lamppost and run lamppost repair" if wrong else ""
        return ConfigError(f"cannot open the log: {cause}", where=str(self._path), hint=hint)

    def _prepare(self) -> None:
        with self._transaction():
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._lay_out()
            elif version != _LAYOUT_VERSION:
                hint = f"this Lamppost reads layout {_LAYOUT_VERSION}"
                raise ConfigError(f"log layout {version}", where=str(self._path), hint=hint)
            for statement in _ADDITIONS:
                self._connection.execute(statement)
            self._check_layout()
            if not self._horizon():
                # In files from before holes meant damage there may be innocent ones.
                query = "SELECT coalesce(max(seq), 0) + 1 FROM entries"
                self._place(HORIZON, *self._connection.execute(query).fetchone())
            # Written even where it says so already: this proves that the file can be written.
            self._connection.execute(f"PRAGMA user_version={_LAYOUT_VERSION}")
        self._switch_to_wal()
        self._connection.execute("PRAGMA synchronous=FULL")
        # SQLite's own checkpoints keep it to themselves when the disk refuses to sync; what is
        # synced again after that may be gone.
        self._connection.execute("PRAGMA wal_autocheckpoint=0")

    def _check_layout(self) -> None:
        found = dict(self._connection.execute("SELECT name, sql FROM sqlite_master").fetchall())
        wrong = [name for name, sql in _layout().items() if found.get(name) != sql]
        if wrong:
            problem = f"cannot open the log: the description of {wrong[0]} is damaged"
            hint = "stop Lamppost and run lamppost repair"
            raise ConfigError(problem, where=str(self._path), hint=hint)

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

    def position(self, consumer: str) -> int:
        """Return the position a consumer committed, 0 at first."""
        with self._reading():
            return self._position(consumer)

    def positions(self) -> dict[str, int]:
        """Return every consumer's position."""
        with self._reading():
            found = {name: seq for name, seq, _ in self._scan("positions", "consumer, seq, 0")}
            copies = self._scan("checked_positions", "consumer, seq, crc")
        found |= {name: seq for name, seq, crc in copies if crc == position_crc(name, seq)}
        return {str(name): int(seq) for name, seq in found.items() if name != HORIZON}

    def set_position(self, consumer: str, position: int) -> None:
        """Commit a consumer's position."""
        with self._transaction():
            self._place(consumer, position)

    def salvage(self, table: str) -> list[Any]:
        """Return those rows of a table that can be read."""
        with self._reading():
            return self._scan(table, "*")

    def horizon(self) -> int:
        """Return the number below which entries may have been forgotten."""
        with self._reading():
            return self._horizon()

    @property
    def name(self) -> str:
        """Name of the file."""
        return self._path.name

    def structure(self) -> str:
        """Return the first thing SQLite finds wrong with the file's structure, empty if nothing."""
        try:
            ((verdict,), *_) = self._query("PRAGMA quick_check(1)")
        except OSError as error:
            return str(error)
        return "" if verdict == "ok" else str(verdict)

    @property
    def failed(self) -> StorageFailed | None:
        """Why nothing can be stored any more, None while it can."""
        return self._failed

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
            self._mark.close()

    def _horizon(self) -> int:
        return self._position(HORIZON)

    def _place(self, consumer: str, position: int) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO positions VALUES (?, ?)", (consumer, position)
        )
        self._connection.execute(
            "INSERT OR REPLACE INTO checked_positions VALUES (?, ?, ?)",
            (consumer, position, position_crc(consumer, position)),
        )

    def _position(self, consumer: str) -> int:
        where = "WHERE consumer = ?"
        for row in self._scan("checked_positions", "seq, crc", where, consumer):
            if row[1] == position_crc(consumer, row[0]):
                return int(row[0])
        for row in self._scan("positions", "seq", where, consumer):
            return int(row[0])
        return 0

    def _scan(self, table: str, columns: str, where: str = "", *values: object) -> list[Any]:
        """Return the rows of a table that can be read, from both ends where one is in the way."""
        rows: list[Any] = []
        for order in ("", " ORDER BY rowid DESC"):
            query = f"SELECT {columns} FROM {table} {where}{order}"  # noqa: S608 - fixed names
            part: list[Any] = []
            try:
                part.extend(self._connection.execute(query, values))
                return part
            except sqlite3.DatabaseError as error:
                if not sqlite_errors.is_damage(error):
                    raise
            rows += part
            # The cursor looks one row ahead: the last one before the damage was lost with it.
            with contextlib.suppress(sqlite3.DatabaseError):
                rows.extend(self._connection.execute(f"{query} LIMIT {len(part) + 1}", values))
        return rows

    def _query(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        with self._reading():
            return self._connection.execute(sql, tuple(values)).fetchall()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise OSError(f"{self._path}: {error}") from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            if self._failed is not None:
                raise StorageFailed(*self._failed.args)
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._connection.execute("COMMIT")
                self._checkpoint()
            except BaseException as error:
                with contextlib.suppress(sqlite3.Error):  # closed, or rolled back by SQLite itself
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    refusal = sqlite_errors.refusal(self._path, error)
                    self._failed = refusal if isinstance(refusal, StorageFailed) else None
                    raise refusal from error
                raise

    def _checkpoint(self) -> None:
        """Now and then bring the write-ahead log into the file, so that it begins anew."""
        self._grown += _COMMIT_BYTES
        if self._grown < _CHECKPOINT_BYTES:
            return
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            if not sqlite_errors.passes(error):
                raise
            return  # what was committed is safe where it is
        self._grown = 0


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


@functools.cache
def _layout() -> dict[str, str]:
    """Return how SQLite describes our tables, by name."""
    with contextlib.closing(sqlite3.connect(":memory:")) as empty:
        empty.executescript(_LAYOUT)
        for statement in _ADDITIONS:
            empty.execute(statement)
        rows = empty.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: sql for name, sql in rows if not name.startswith("sqlite_")}
