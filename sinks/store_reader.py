# SPDX-License-Identifier: EUPL-1.2
"""Reading the store from any thread of the process while the one writer goes on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import duckdb
import pyarrow as pa

Row = dict[str, Any]
Parameters = Sequence[object] | Mapping[str, object]
_INTERRUPT_EVERY_S: Final = 0.05


class QueryTimedOut(Exception):
    """A question took longer than it may."""


class StoreReader:
    """Answers queries; every thread gets a connection of its own.

    Each query sees the last committed write, whole.
    """

    def __init__(self, root: duckdb.DuckDBPyConnection) -> None:
        """Read from the database of an open connection."""
        self._root = root
        self._lock = threading.Lock()
        self._local = threading.local()
        self._open: list[duckdb.DuckDBPyConnection] = []

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Return the rows of a query as dictionaries."""
        result = self._connection().execute(sql, parameters)
        names = [str(column[0]) for column in result.description or ()]
        return [dict(zip(names, values, strict=True)) for values in result.fetchall()]

    def row(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """Return the first row of a query, or None."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def number(self, sql: str, parameters: Parameters = ()) -> int:
        """Return the one number a query gives; 0 where it gives NULL."""
        # All of it: a result that is not read to its end keeps the connection busy.
        found = self._connection().execute(sql, parameters).fetchall()
        return int(found[0][0]) if found and found[0][0] is not None else 0

    def table(self, sql: str, parameters: Parameters = ()) -> pa.Table:
        """Return the rows of a query as columns."""
        given = parameters if isinstance(parameters, Mapping) else list(parameters)
        found: pa.Table = self._connection().sql(sql, params=given or None).to_arrow_table()
        return found

    def state(self) -> str:
        """Return what tells one state of the store from another, in a word.

        It is made of the last entry stored and of how many rows retention has deleted: an entry
        that is stored again after a restart brings nothing new, but may find rows past their time.
        """
        found = self.rows(
            "SELECT value FROM meta WHERE key IN ('cursor', 'forgotten') ORDER BY key"
        )
        return ".".join(str(row["value"]) for row in found)

    @contextlib.contextmanager
    def snapshot(self, timeout_s: float) -> Iterator[int]:
        """Let this thread's questions see one state of the store, however often it is written.

        Yields:
            The position of that state: the last entry stored.

        Raises:
            QueryTimedOut: they took longer than they may.
        """
        connection, done = self._connection(), threading.Event()
        watch = threading.Thread(
            target=_interrupt, args=(connection, timeout_s, done), name="query-limit", daemon=True
        )
        connection.execute("BEGIN TRANSACTION READ ONLY")
        watch.start()
        try:
            yield self.number("SELECT value FROM meta WHERE key = 'cursor'")
        except duckdb.InterruptException as error:
            raise QueryTimedOut(f"the question took longer than {timeout_s:g} s") from error
        finally:
            done.set()
            # Joined, so that a late interruption does not meet the next question.
            watch.join()
            with contextlib.suppress(duckdb.Error):  # closed, or ended by what went wrong
                connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()

    def _connection(self) -> duckdb.DuckDBPyConnection:
        connection: duckdb.DuckDBPyConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            with self._lock:
                connection = self._root.cursor()
                self._open.append(connection)
            self._local.connection = connection
        return connection


def _interrupt(
    connection: duckdb.DuckDBPyConnection, timeout_s: float, done: threading.Event
) -> None:
    """Interrupt whatever a connection does from some time on, until it is done."""
    if not done.wait(timeout_s):
        connection.interrupt()
        # Again and again: one that comes between two queries is forgotten.
        while not done.wait(_INTERRUPT_EVERY_S):
            connection.interrupt()
