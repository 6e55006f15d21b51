# SPDX-License-Identifier: EUPL-1.2
"""Tries out what a log would hold with its write-ahead log put right in one way or another.

The database gets a second name for that, with a write-ahead log of its own, and is only read.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from . import sqlite_errors
from .log_integrity import is_whole, is_whole_snapshot, position_crc
from .write_ahead_log import Findings, Option, Patch, WriteAheadLog

_NAME: Final = ".trial"
_STEPS: Final = 20_000
_ROW_BYTES: Final = 32


class Cost(NamedTuple):
    """What was found wrong; the smallest is best.

    Attributes:
        entries: how many entries, positions and snapshots are damaged.
        structure: whether SQLite found the structure of the file damaged.
    """

    entries: int
    structure: bool

    def __str__(self) -> str:
        """Say it to people."""
        if self == UNKNOWN:
            return "not known before the log is read"
        if self.structure:
            return "the structure of the file is damaged"
        return f"{self.entries} damaged" if self.entries else "nothing"


NOTHING: Final = Cost(0, False)
UNKNOWN: Final = Cost(2**62, True)


class Trial:
    """A log under a second name; only while nobody has it open."""

    def __init__(self, path: Path, log: WriteAheadLog, found: Findings, last: int) -> None:
        """Take the log, what was found in its write-ahead log, and its last number."""
        self._path = path
        self._trial = beside(path, _NAME)
        self._wal = beside(self._trial, "-wal")
        self._log = log
        self._found = found
        self._last = last
        self._written: Sequence[Option] = ()

    def cost(self, options: Sequence[Option], until: float) -> Cost:
        """Return what a log would cost with the header and each frame put right in some way."""
        try:
            if not self._trial.exists():
                link_or_copy(self._path, self._trial)
            self._write(options)
            with contextlib.closing(_read_only(self._trial)) as database:
                database.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
                return self._looked_at(database)
        except (OSError, sqlite3.Error):
            return UNKNOWN
        finally:
            beside(self._trial, "-shm").unlink(missing_ok=True)

    def _write(self, options: Sequence[Option]) -> None:
        """Write the log; where a frame got other bytes before, only those are exchanged.

        With each option that changes it, a frame has one checksum.
        """
        if list(map(bool, options)) != list(map(bool, self._written)):
            self._wal.write_bytes(repaired(self._log, self._found, options).data)
        else:
            with self._wal.open("r+b") as file:
                for former, option in zip(self._written, options, strict=True):
                    if former != option:
                        self._exchange(file.fileno(), former, option)
        self._written = options

    def _exchange(self, file: int, former: Option, option: Option) -> None:
        for offset, new in former:
            os.pwrite(file, self._log.content[offset : offset + len(new)].tobytes(), offset)
        for offset, new in option:
            os.pwrite(file, new, offset)

    def _looked_at(self, database: sqlite3.Connection) -> Cost:
        lost = self._lost(database)
        if lost:
            return Cost(lost, False)
        try:
            ((verdict,), *_) = database.execute("PRAGMA integrity_check(1)").fetchall()
        except sqlite3.OperationalError as error:
            if sqlite_errors.code(error) != sqlite3.SQLITE_INTERRUPT:
                raise
            return NOTHING  # a large file; all that is new in it was read
        return Cost(0, verdict != "ok")

    def _lost(self, database: sqlite3.Connection) -> int:
        """Count what is damaged of all that is so new that the write-ahead log may hold it."""
        newest = lost = 0
        left = self._log.content.size
        for row in database.execute("SELECT seq, kind, at, crc, body FROM entries ORDER BY 1 DESC"):
            newest = max(newest, row[0])
            lost += not is_whole(row)
            left -= _ROW_BYTES + (len(row[4]) if isinstance(row[4], bytes) else 0)
            if left < 0:
                break
        lost += max(0, self._last - newest)
        places = database.execute("SELECT consumer, seq, crc FROM checked_positions").fetchall()
        lost += sum(crc != position_crc(name, seq) for name, seq, crc in places)
        plain = set(database.execute("SELECT consumer, seq FROM positions"))
        lost += len(plain ^ {(name, seq) for name, seq, _ in places})
        states = database.execute("SELECT seq, crc, body FROM snapshots").fetchall()
        lost += sum(not is_whole_snapshot(*state) for state in states)
        return int(lost)


def repaired(
    log: WriteAheadLog, found: Findings, options: Sequence[Option]
) -> npt.NDArray[np.uint8]:
    """Return a copy of a write-ahead log with other bytes, and checksums that fit them."""
    content = log.content.copy()
    _apply(content, [patch for option in options for patch in option])
    first = min((fix.frame for fix in found.fixes), default=found.end)
    _apply(content, list(WriteAheadLog(content).chained(first, found.end)))
    return content


def _apply(content: npt.NDArray[np.uint8], patches: Sequence[Patch]) -> None:
    for offset, new in patches:
        content[offset : offset + len(new)] = np.frombuffer(new, np.uint8)


def _read_only(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(f"file:{urllib.parse.quote(str(path))}?mode=ro", uri=True)
    database.text_factory = lambda raw: raw.decode(errors="replace")
    return database


def clear(path: Path) -> None:
    """Remove what a trial works with; one that was broken off leaves it behind."""
    for ending in (_NAME, f"{_NAME}-wal", f"{_NAME}-shm"):
        beside(path, ending).unlink(missing_ok=True)


def link_or_copy(path: Path, other: Path) -> None:
    """Give a file a second name, or copy it on a file system without links."""
    try:
        other.hardlink_to(path)
    except OSError:
        try:
            shutil.copy2(path, other)
        except OSError:
            other.unlink(missing_ok=True)
            raise


def beside(path: Path, ending: str) -> Path:
    """Return the file that belongs to another by its name."""
    return path.with_name(path.name + ending)
