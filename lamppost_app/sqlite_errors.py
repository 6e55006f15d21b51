# SPDX-License-Identifier: EUPL-1.2
"""What an error of SQLite asks for: to wait, to stop, or to read around."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import Final

from lamppost.errors import StorageFailed

# The disk is full, or somebody else writes: this may pass by itself, and nothing was stored.
_PASSING: Final = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_BUSY: errno.EAGAIN,
    sqlite3.SQLITE_LOCKED: errno.EAGAIN,
}
# On a full disk neither the journal nor the shared memory file can be made or grow.
_FULL_BY_ANOTHER_NAME: Final = {
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMMAP,
}
_DAMAGE: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG}
_UNREADABLE: Final = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ}
_FSYNC: Final = {sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC}
_PRIMARY: Final = 0xFF


def code(error: BaseException) -> int:
    """Return SQLite's extended code, 0 where there is none."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0)


def passes(error: BaseException) -> int:
    """Return the errno of a condition that may pass by itself, 0 of any other."""
    found = code(error)
    if found in _FULL_BY_ANOTHER_NAME:
        return errno.ENOSPC
    return _PASSING.get(found & _PRIMARY, 0)


def is_damage(error: BaseException) -> bool:
    """Tell whether something on the disk cannot be read, though the rest may."""
    return code(error) & _PRIMARY in _DAMAGE or code(error) in _UNREADABLE


def is_plain(error: BaseException) -> bool:
    """Tell whether a statement did not fit the tables, and it always does."""
    return code(error) == sqlite3.SQLITE_ERROR


def is_io(error: BaseException) -> bool:
    """Tell whether the disk refused."""
    return code(error) & _PRIMARY == sqlite3.SQLITE_IOERR


def refusal(path: Path, error: sqlite3.Error) -> OSError:
    """Return what to raise when a write failed.

    Returns:
        StorageFailed when the file can no longer be trusted, a plain OSError otherwise.
    """
    number = passes(error)
    if number:
        return OSError(number, f"{path}: {error}")
    if is_damage(error):
        problem = f"{path}: {error}: the file is damaged and nothing can be added"
        return StorageFailed(f"{problem}; stop Lamppost and run lamppost repair")
    if is_io(error):
        verb = "sync" if code(error) in _FSYNC else "write"
        problem = f"{path}: the disk refused to {verb} ({error.sqlite_errorname})"
        return StorageFailed(
            f"{problem}: nothing was acknowledged; what it took lately may be gone, so the log has"
            " to be opened anew; look at the disk (dmesg, smartctl) if this comes again"
        )
    return OSError(f"{path}: {error}")
