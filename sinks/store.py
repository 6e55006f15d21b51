# SPDX-License-Identifier: EUPL-1.2
"""The embedded store: what the outbox says, as DuckDB tables the portal can ask."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import duckdb
from pydantic import Field

from lamppost.balance import Tally
from lamppost.component import Settings, register
from lamppost.errors import ConfigError, NotConnected, StorageFailed
from lamppost.log import OUTBOX_KINDS, Entry
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS

from .store_layout import (
    ADDED_COLUMNS_SINCE,
    ADDED_SINCE,
    ALERTS_VIEW,
    LAYOUT_VERSION,
    META_DEFINITION,
    TABLES,
)
from .store_reader import StoreReader
from .store_writes import apply_entries

_RETENTION_EVERY_NS: Final = HOUR_NS


class StoreSettings(Settings):
    """Where the store is and how long it keeps what.

    Attributes:
        path: the DuckDB file.
        readings_days: days readings are kept, by their time.
        minute_aggregates_days: days aggregates of up to a minute are kept; longer ones stay.
        quarantine_days: days quarantined messages are kept, by their receipt.
        memory_mb: memory DuckDB may use before it spills to disk.
        threads: threads one query may use.
    """

    path: Path
    readings_days: float = Field(default=7.0, gt=0)
    minute_aggregates_days: float = Field(default=30.0, gt=0)
    quarantine_days: float = Field(default=30.0, gt=0)
    memory_mb: int = Field(default=512, ge=64)
    threads: int = Field(default=2, ge=1)


@register("sink")
class Store:
    """Keeps a queryable copy of the outbox in one DuckDB file.

    Each write is one transaction that holds the rows and the cursor. A row replaces the one with
    its key only when its revision is higher, or equal and from a later entry; so writing anything
    again changes nothing.
    """

    name: ClassVar[str] = "store"
    wants: ClassVar[tuple[str, ...]] = OUTBOX_KINDS
    Settings: ClassVar[type[StoreSettings]] = StoreSettings

    def __init__(self, settings: StoreSettings) -> None:
        """Open or create the file.

        Raises:
            ConfigError: it is not a store, of another layout, or in use by another process.
        """
        self._settings = settings
        self._root = _open(settings)
        self._writing = threading.Lock()
        self._writer = self._root.cursor()
        self._cursor = _prepare(self._writer, settings.path)
        self._tidied_at: int | None = None
        self.reader = StoreReader(self._root)

    def cursor(self) -> int:
        """Return the position of the last entry stored, 0 at first."""
        return self._cursor

    def write(self, entries: Sequence[Entry], cursor: int) -> Tally:
        """Store entries and the cursor in one transaction.

        Returns:
            The accepted readings among them that the store holds now.

        Raises:
            NotConnected: the disk or the memory does not allow it now.
            StorageFailed: DuckDB has given up the file until it is opened anew.
        """
        with self._writing:
            self._writer.begin()
            try:
                tally = apply_entries(self._writer, entries)
                self._tidy(max((entry.at for entry in entries), default=0))
                self._writer.execute(
                    "UPDATE meta SET value = greatest(value, ?) WHERE key = 'cursor'", [cursor]
                )
                self._writer.commit()
            except (duckdb.FatalException, duckdb.InternalException) as error:
                raise StorageFailed(f"{self._settings.path}: {error}") from error
            except (
                duckdb.IOException,
                duckdb.OutOfMemoryException,
                duckdb.TransactionException,
            ) as error:
                self._roll_back()
                raise NotConnected(f"the store cannot write: {error}") from error
            except BaseException:
                self._roll_back()
                raise
            self._cursor = max(self._cursor, cursor)
            return tally

    def _roll_back(self) -> None:
        with contextlib.suppress(duckdb.TransactionException):  # a failed commit has ended it
            self._writer.rollback()

    def close(self) -> None:
        """Close the file; readers still at work get an error."""
        with self._writing:
            self.reader.close()
            self._writer.close()
            self._root.close()

    def _tidy(self, now: int) -> None:
        """Delete what is past its time, at most once an hour of the entries' own time."""
        if self._tidied_at is not None and now < self._tidied_at + _RETENTION_EVERY_NS:
            return
        self._tidied_at = now
        keep = self._settings
        limits = (
            ("readings WHERE time < ?", keep.readings_days),
            (f"aggregates WHERE length <= {MINUTE_NS} AND start < ?", keep.minute_aggregates_days),
            ("quarantine WHERE received_at < ?", keep.quarantine_days),
            ('quarantine_states WHERE "at" < ?', keep.quarantine_days),
        )
        for target, days in limits:
            self._writer.execute(f"DELETE FROM {target}", [now - round(days * DAY_NS)])  # noqa: S608 - from the list above


def _open(settings: StoreSettings) -> duckdb.DuckDBPyConnection:
    path = settings.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return duckdb.connect(
            str(path),
            config={
                "memory_limit": f"{settings.memory_mb}MB",
                "threads": settings.threads,
                "enable_external_access": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
    except (OSError, duckdb.Error) as error:
        first_line = str(error).splitlines()[0]
        hint = "move it away: it is built anew from what the outbox still holds"
        if "lock" in first_line:
            hint = "is another portal running on this data folder?"
        raise ConfigError(f"cannot open the store: {first_line}", where=str(path), hint=hint) from (
            error
        )


def _prepare(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    tables = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'"
    ).fetchall()
    if not tables:
        _create(connection)
    elif ("meta",) not in tables:
        hint = "name another file, or move this one away"
        raise ConfigError("this database is not a store of Lamppost", where=str(path), hint=hint)
    facts = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    if facts.get("layout") in ADDED_SINCE:
        facts["layout"] = _upgrade(connection, facts["layout"])
    if facts.get("layout") != LAYOUT_VERSION:
        hint = (
            f"this Lamppost reads layout {LAYOUT_VERSION}: run the version that wrote the file, or"
            " move it away to have a new one built from what the outbox still holds"
        )
        problem = f"the store has layout {facts.get('layout')}"
        raise ConfigError(problem, where=str(path), hint=hint)
    return int(facts["cursor"])


def _upgrade(connection: duckdb.DuckDBPyConnection, layout: int) -> int:
    """Add the tables and columns that layouts since have; what there is stays."""
    connection.begin()
    for older, tables in sorted(ADDED_SINCE.items()):
        for table in tables if older >= layout else ():
            connection.execute(table.definition)
    for older, columns in sorted(ADDED_COLUMNS_SINCE.items()):
        for name, added in columns.items() if older >= layout else ():
            for column, kind in added.items():
                connection.execute(f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {column} {kind}")
    connection.execute("UPDATE meta SET value = ? WHERE key = 'layout'", [LAYOUT_VERSION])
    connection.commit()
    return LAYOUT_VERSION


def _create(connection: duckdb.DuckDBPyConnection) -> None:
    connection.begin()
    for table in TABLES:
        connection.execute(table.definition)
    connection.execute(META_DEFINITION)
    connection.execute(ALERTS_VIEW)
    connection.execute("INSERT INTO meta VALUES ('layout', ?), ('cursor', 0)", [LAYOUT_VERSION])
    connection.commit()
