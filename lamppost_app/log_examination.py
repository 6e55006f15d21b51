# SPDX-License-Identifier: EUPL-1.2
"""Looks a whole log through for damage, and brings what can be read into a new file."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from lamppost.errors import ConfigError
from lamppost.log import DAMAGED, Entry

from .cursors import Cursors
from .log_integrity import Damage, ranges
from .sqlite_log import SqliteLog

_ENTRIES: Final = 256
_PAGE_BYTES: Final = 4096
_PAGE_COUNT: Final = slice(28, 32)


class Examination(NamedTuple):
    """What was found in a log.

    Attributes:
        entries: how many there are.
        damages: the entries that cannot be read, as ranges.
        structure: what SQLite says about the file's structure, empty when it is right.
    """

    entries: int
    damages: list[Damage]
    structure: str


def examine(log: SqliteLog) -> Examination:
    """Read every entry of a log, and have SQLite check the structure of the file."""
    lost: list[int] = []
    entries = 0
    for entry in _every(log):
        entries += 1
        if entry.kind == DAMAGED:
            lost.append(entry.seq)
    missing = range(log.held() + 1, log.last() + 1)
    return Examination(entries, ranges(log.name, [*lost, *missing]), log.structure())


def repair(path: Path) -> tuple[Path, Examination]:
    """Bring what can be read of a log into a new file in its place.

    Numbers stay, so that readers find what they have not read yet; what cannot be read stays
    missing under its own number.

    Returns:
        Where the damaged file is now, and what was found in it.

    Raises:
        ConfigError: nothing in it can be read.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    fresh = path.with_name(f"{path.name}.repaired")
    kind = Cursors if path.name.startswith("cursors") else SqliteLog
    _remove_drafts(path)
    with contextlib.closing(_opened(path, kind)) as old, contextlib.closing(kind(fresh)) as new:
        found = examine(old)
        new.take_over(old, (entry for entry in _every(old) if entry.kind != DAMAGED))
    found = found._replace(damages=[one._replace(log=path.name) for one in found.damages])
    path.replace(aside)
    with contextlib.suppress(FileNotFoundError):
        # Part of the damaged file, which its name has to follow.
        path.with_name(f"{path.name}-wal").replace(aside.with_name(f"{aside.name}-wal"))
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    fresh.replace(path)
    _remove_drafts(path)
    return aside, found


def _remove_drafts(path: Path) -> None:
    """Remove what a repair works with; one that was broken off leaves it behind."""
    for part in ("repaired", "grafted", "pattern"):
        _remove(path.with_name(f"{path.name}.{part}"))


def _every(log: SqliteLog) -> Iterator[Entry]:
    after = 0
    while entries := log.read(after, _ENTRIES):
        yield from entries
        after = entries[-1].seq


def _opened(path: Path, kind: type[SqliteLog]) -> SqliteLog:
    """Open a log, with the first page of a new one where its own is damaged."""
    try:
        return kind(path)
    except ConfigError:
        copy = path.with_name(f"{path.name}.grafted")
        pattern = path.with_name(f"{path.name}.pattern")
        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
        kind(pattern).close()
        _graft(copy, pattern)
        _remove(pattern)
    return kind(copy)


def _graft(path: Path, pattern: Path) -> None:
    """Give a file the first page of another, which says where which table begins.

    All logs are laid out in the same order, so their tables begin on the same pages.
    """
    first = bytearray(pattern.read_bytes()[:_PAGE_BYTES])
    first[_PAGE_COUNT] = (path.stat().st_size // _PAGE_BYTES).to_bytes(4)
    with path.open("r+b") as file:
        file.write(first)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-end"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
