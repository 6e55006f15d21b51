# SPDX-License-Identifier: EUPL-1.2
"""The embedded store: what the outbox says, as DuckDB tables the portal can ask."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Final

import duckdb
from pydantic import AfterValidator, Field

from lamppost.balance import Tally
from lamppost.component import Settings, register
from lamppost.errors import NotConnected, StorageFailed
from lamppost.log import OUTBOX_KINDS, Entry
from lamppost.times import DAY_NS, HOUR_NS, SECOND_NS

from . import store_layout as layout
from .store_file import (
    DAMAGED_ADVICE,
    copy_parts,
    examine,
    first_line,
    is_damage,
    opened,
    prepare,
    sized,
)
from .store_order import lay_together
from .store_parts import parts
from .store_reader import StoreReader
from .store_retention import checked_days, window_limits
from .store_writes import ARROW_KINDS, apply_entries, forget_superseded

_RETENTION_EVERY_NS: Final = HOUR_NS
_SORTING_EVERY_NS: Final = 20 * SECOND_NS
_NEVER: Final = "1000 TB"
_WINDOWS: Final = (layout.AGGREGATES.name, layout.AGGREGATES_HISTORY.name)


class StoreSettings(Settings):
    """Where the store is and how long it keeps what.

    Attributes:
        path: the DuckDB file.
        readings_days: days readings are kept, by their time.
        aggregates_days: days windows are kept, by resolution; 0 for ever.
        history_days: days a superseded revision is kept after it was replaced; 0 for ever.
        quarantine_days: days quarantined messages are kept, by their receipt.
        memory_mb: memory DuckDB may use before it spills to disk.
        threads: threads one query may use.
    """

    path: Path
    readings_days: float = Field(default=7.0, gt=0)
    aggregates_days: Annotated[dict[str, float], AfterValidator(checked_days)] = Field(
        default_factory=dict, validate_default=True
    )
    history_days: float = Field(default=366.0, ge=0)
    quarantine_days: float = Field(default=30.0, gt=0)
    memory_mb: int = Field(default=512, ge=64)
    threads: int = Field(default=2, ge=1)


@register("sink")
class Store:
    """Keeps a queryable copy of the outbox in one DuckDB file.

    Each transaction holds rows and the cursor they belong to. A row replaces the one with
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
        self._root = opened(settings.path, memory_mb=settings.memory_mb, threads=settings.threads)
        self._writing = threading.Lock()
        self._writer = self._root.cursor()
        self._cursor = prepare(self._writer, settings.path)
        self._tidied_at: int | None = None
        self._sorted_at = 0
        self.reader = StoreReader(self._root)

    def cursor(self) -> int:
        """Return the position of the last entry stored, 0 at first."""
        return self._cursor

    def write(self, entries: Sequence[Entry], cursor: int) -> Tally:
        """Store entries and the cursor: in one transaction, or in several where it is much.

        Returns:
            The accepted readings among them that the store holds now.

        Raises:
            NotConnected: the disk or the memory does not allow it now.
            StorageFailed: DuckDB has given up the file until it is opened anew.
        """
        tally = Tally()
        with self._writing:
            for part, upto in parts(entries, cursor, ARROW_KINDS):
                written = self._write_part(part, upto)
                tally.stored.update(written.stored)
            self._lay_together(max((entry.at for entry in entries), default=0))
        return tally

    def _write_part(self, entries: Sequence[Entry], cursor: int) -> Tally:
        with self._transaction():
            tally = apply_entries(self._writer, entries)
            self._tidy(max((entry.at for entry in entries), default=0))
            self._writer.execute(
                "UPDATE meta SET value = greatest(value, ?) WHERE key = 'cursor'", [cursor]
            )
        self._cursor = max(self._cursor, cursor)
        return tally

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what is done inside, or nothing of it."""
        self._writer.begin()
        try:
            yield
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
        except BaseException as error:
            self._roll_back()
            if is_damage(error):
                problem = f"{self._settings.path} is damaged: {first_line(error)}"
                raise NotConnected(f"{problem}; {DAMAGED_ADVICE}") from error
            raise

    def _roll_back(self) -> None:
        with contextlib.suppress(duckdb.TransactionException):  # a failed commit has ended it
            self._writer.rollback()

    def copy(self, target: Path, tell: Callable[[int, int], object]) -> int:
        """Copy the file as of now to ``target``, and return the cursor in the copy.

        Between two checkpoints DuckDB writes only to its write-ahead log, and to blocks of the file
        that nothing refers to yet. So what is copied does not change, while writing goes on.

        Args:
            target: the file to write; what there is of a write-ahead log goes beside it.
            tell: is told now and then how many bytes of how many are done.

        Raises:
            OSError: the copy cannot be written.
        """
        with self._writing:
            self._writer.execute(f"SET checkpoint_threshold = '{_NEVER}'")
            with contextlib.suppress(duckdb.TransactionException):  # somebody reads: the log has it
                self._writer.execute("CHECKPOINT")
            parts = sized(self._settings.path)
            cursor = self._cursor
        try:
            copy_parts(parts, target, tell)
        finally:
            with self._writing:
                self._writer.execute("RESET checkpoint_threshold")
        return cursor

    def examine(self) -> list[str]:
        """Read everything, and return what is damaged, by table; writing goes on meanwhile."""
        with self._root.cursor() as connection:
            return examine(connection)

    def close(self) -> None:
        """Close the file; readers still at work get an error."""
        with self._writing:
            self.reader.close()
            self._writer.close()
            self._root.close()

    def _lay_together(self, now: int) -> None:
        """Write some windows of a past week anew now and then, so that no write takes long."""
        if now >= self._sorted_at + _SORTING_EVERY_NS:
            self._sorted_at = now
            with self._transaction():
                lay_together(self._writer, now)

    def _tidy(self, now: int) -> None:
        """Delete what is past its time, at most once an hour of the entries' own time."""
        if self._tidied_at is not None and now < self._tidied_at + _RETENTION_EVERY_NS:
            return
        self._tidied_at = now
        keep = self._settings
        limits: list[tuple[str, list[int]]] = [
            ("readings WHERE time < ?", [now - round(keep.readings_days * DAY_NS)]),
            ("details WHERE time < ?", [now - round(keep.readings_days * DAY_NS)]),
            ("quarantine WHERE received_at < ?", [now - round(keep.quarantine_days * DAY_NS)]),
            ('quarantine_states WHERE "at" < ?', [now - round(keep.quarantine_days * DAY_NS)]),
        ]
        for condition, values in window_limits(keep.aggregates_days, now):
            limits += [(f"{name} WHERE {condition}", values) for name in _WINDOWS]
        gone = 0
        for target, values in limits:
            found = self._writer.execute(f"DELETE FROM {target}", values).fetchone()  # noqa: S608 - from the lists above
            gone += found[0] if found else 0
        if keep.history_days:
            gone += forget_superseded(self._writer, now - round(keep.history_days * DAY_NS))
        if gone:
            self._writer.execute(
                "INSERT INTO meta SELECT 'forgotten', 0"
                " WHERE NOT EXISTS (FROM meta WHERE key = 'forgotten')"
            )
            self._writer.execute(
                "UPDATE meta SET value = value + ? WHERE key = 'forgotten'", [gone]
            )
