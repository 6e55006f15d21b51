# SPDX-License-Identifier: EUPL-1.2
"""The file of the embedded store: opened, laid out, brought up to date, looked through."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import duckdb

from lamppost.errors import ConfigError

from .store_layout import LAYOUT_VERSION, META_DEFINITION, TABLES, VIEWS
from .store_migrations import MIGRATIONS
from .store_order import UNSORTED_DEFINITION

DAMAGED_ADVICE: Final = (
    "stop Lamppost and run lamppost repair: it moves the file away, and the portal builds a new one"
    " from what the outbox still holds; docs/store.md says how to keep what is older"
)
_CHUNK: Final = 8_388_608
_IN_USE: Final = "is another portal running on this data folder?"
_DAMAGED: Final = ("corrupt", "not a valid duckdb", "checksum", "deserialize", "wal file")


def opened(
    path: Path, *, memory_mb: int = 512, threads: int = 2, read_only: bool = False
) -> duckdb.DuckDBPyConnection:
    """Open or create a DuckDB file that reads and writes nothing but itself.

    Raises:
        ConfigError: it cannot be opened: damaged, in use, or no permission.
    """
    config: dict[str, Any] = {
        "memory_limit": f"{memory_mb}MB",
        "threads": threads,
        "enable_external_access": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return duckdb.connect(str(path), read_only=read_only, config=config)
    except (OSError, duckdb.Error) as error:
        line = first_line(error)
        hint = DAMAGED_ADVICE if is_damage(error) else _IN_USE if "lock on file" in line else ""
        raise ConfigError(f"cannot open the store: {line}", where=str(path), hint=hint) from error


def is_damage(error: BaseException) -> bool:
    """Tell whether DuckDB says that a file is damaged."""
    said = str(error).lower()
    return isinstance(error, duckdb.Error) and any(word in said for word in _DAMAGED)


def first_line(error: BaseException) -> str:
    """Return what DuckDB says, without the place in its own code."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def prepare(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Lay a new file out, bring an older one up to date, and return the cursor in it.

    Raises:
        ConfigError: it is no store, or of a layout this version does not know.
    """
    tables = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'"
    ).fetchall()
    if not tables:
        _create(connection)
    elif ("meta",) not in tables:
        hint = "name another file, or move this one away"
        raise ConfigError("this database is not a store of Lamppost", where=str(path), hint=hint)
    facts = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    layout = int(facts.get("layout", 0))
    if layout in MIGRATIONS:
        _upgrade(connection, layout)
    elif layout != LAYOUT_VERSION:
        hint = (
            f"this Lamppost reads layouts up to {LAYOUT_VERSION}: run the version that wrote the"
            " file, or move it away to have a new one built from what the outbox still holds"
        )
        raise ConfigError(f"the store has layout {layout}", where=str(path), hint=hint)
    return int(facts["cursor"])


def _upgrade(connection: duckdb.DuckDBPyConnection, layout: int) -> None:
    """Take every step from an older layout to ours, all in one transaction."""
    connection.begin()
    for step in range(layout, LAYOUT_VERSION):
        for statement in MIGRATIONS[step]:
            connection.execute(statement)
    connection.execute("UPDATE meta SET value = ? WHERE key = 'layout'", [LAYOUT_VERSION])
    connection.commit()


def _create(connection: duckdb.DuckDBPyConnection) -> None:
    connection.begin()
    for table in TABLES:
        connection.execute(table.definition)
    connection.execute(META_DEFINITION)
    connection.execute(UNSORTED_DEFINITION)
    for view in VIEWS:
        connection.execute(view)
    connection.execute("INSERT INTO meta VALUES ('layout', ?), ('cursor', 0)", [LAYOUT_VERSION])
    connection.commit()


def examine(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Read every value of every table, and return what is damaged, by table."""
    names = connection.execute(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = 'main' AND table_type = 'BASE TABLE' ORDER BY table_name"
    ).fetchall()
    damages: list[str] = []
    for (name,) in names:
        try:
            connection.execute(f'SELECT bit_xor(hash(every)) FROM "{name}" AS every').fetchall()  # noqa: S608 - names the file itself gave
        except duckdb.Error as error:
            if not is_damage(error):
                raise
            damages.append(f"table {name}: {first_line(error)}")
    return damages


def sized(path: Path) -> dict[Path, int]:
    """Return the sizes of a store's file and of its write-ahead log, as far as they are there."""
    parts = (path, wal_of(path))
    return {part: part.stat().st_size for part in parts if part.is_file()}


def wal_of(path: Path) -> Path:
    """Return where DuckDB keeps what is not in the file yet."""
    return path.with_name(f"{path.name}.wal")


def copy_parts(parts: Mapping[Path, int], target: Path, tell: Callable[[int, int], object]) -> None:
    """Copy the beginnings of a store's file and write-ahead log, up to their sizes, to the disk.

    Raises:
        OSError: the copy cannot be written.
    """
    done, total = 0, sum(parts.values())
    for part, size in parts.items():
        copied = target if part.suffix != ".wal" else wal_of(target)
        with part.open("rb") as source, copied.open("wb") as copy:
            while (left := size - source.tell()) > 0:
                copy.write(source.read(min(left, _CHUNK)))
                tell(done + source.tell(), total)
            copy.flush()
            os.fsync(copy.fileno())
        done += size


def settle(path: Path) -> tuple[int, list[str]]:
    """Bring the write-ahead log of a copy into its file; return its cursor and what is damaged.

    Raises:
        ConfigError: it cannot be opened.
    """
    with opened(path) as connection:
        connection.execute("CHECKPOINT")
        found = connection.execute("SELECT value FROM meta WHERE key = 'cursor'").fetchone()
        return (int(found[0]) if found else 0), examine(connection)
