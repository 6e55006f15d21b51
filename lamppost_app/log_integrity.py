# SPDX-License-Identifier: EUPL-1.2
"""What lets a log notice that the disk gave back something else than it was given."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from lamppost.log import DAMAGED, Entry

_HEADER: Final = struct.Struct("<qq")
_MARK: Final = struct.Struct("<QI")


class Damage(NamedTuple):
    """A range of entries that cannot be read, or whose bytes are not those that were stored.

    Attributes:
        log: name of the file.
        first, last: numbers of the entries, both included.
    """

    log: str
    first: int
    last: int

    @property
    def entries(self) -> int:
        """How many entries are gone."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        """Name the file and the range."""
        if self.first == self.last:
            return f"{self.log}: entry {self.first} is damaged"
        return f"{self.log}: entries {self.first} to {self.last} are damaged"


def entry_crc(seq: int, kind: str, at: int, body: bytes) -> int:
    """Return the checksum of an entry: number, instant and kind as well as the body."""
    return zlib.crc32(body, zlib.crc32(kind.encode(), zlib.crc32(_HEADER.pack(seq, at))))


def numbered_crc(number: int, content: bytes) -> int:
    """Return the checksum of something that belongs to a number."""
    return zlib.crc32(content, zlib.crc32(_HEADER.pack(number, 0)))


def is_whole(row: Sequence[Any]) -> bool:
    """Tell whether a row (seq, kind, at, crc, body) is what was stored.

    Entries of files from before the checksum took in number, kind and instant carry that of the
    body alone.
    """
    seq, kind, at, crc, body = row
    sound: bool = isinstance(kind, str) and isinstance(at, int) and isinstance(body, bytes)
    return sound and crc in (entry_crc(seq, kind, at, body), zlib.crc32(body))


def is_whole_snapshot(seq: int, crc: int, body: object) -> bool:
    """Tell whether a snapshot is what was stored, as :func:`is_whole` does of entries."""
    return isinstance(body, bytes) and crc in (numbered_crc(seq, body), zlib.crc32(body))


def position_crc(consumer: object, position: object) -> int:
    """Return the checksum of a consumer's position, one that fits nothing if it is no number."""
    return numbered_crc(position, str(consumer).encode()) if isinstance(position, int) else -1


def damaged(seq: int) -> Entry:
    """Return what stands in place of an entry; its instant is unknown, so it moves no clock."""
    return Entry(seq, DAMAGED, 0, b"")


def ranges(name: str, numbers: Sequence[int]) -> list[Damage]:
    """Return ascending numbers as ranges."""
    found: list[Damage] = []
    for number in numbers:
        if found and found[-1].last == number - 1:
            found[-1] = found[-1]._replace(last=number)
        else:
            found.append(Damage(name, number, number))
    return found


class EndMark:
    """Beside a log: the highest number whose commit is known to have returned.

    SQLite drops everything in its write-ahead log behind the first bad byte, and says nothing. The
    mark is written after each commit and not synced: it never runs ahead of the log, and where it
    is ahead nevertheless, the log has lost its end. Whoever has the log open holds a lock on it.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def take(self) -> bool:
        """Tell whether nobody else has the log open; nobody can open it until it is shared."""
        return self._locked(fcntl.LOCK_EX)

    def share(self, patience_s: float) -> None:
        """Have the log open together with others, until this is closed.

        Raises:
            OSError: somebody keeps it to himself for longer than that.
        """
        until = time.monotonic() + patience_s
        while not self._locked(fcntl.LOCK_SH):
            if time.monotonic() > until:
                raise OSError(errno.EAGAIN, "another process is putting the log right")
            time.sleep(0.01)

    def _locked(self, how: int) -> bool:
        try:
            fcntl.flock(self._file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def read(self) -> int:
        """Return the number, 0 where there is none that can be believed."""
        try:
            number, crc = _MARK.unpack(os.pread(self._file, _MARK.size, 0))
        except (OSError, struct.error):
            return 0
        return int(number) if crc == numbered_crc(number, b"") else 0

    def raise_to(self, number: int) -> None:
        """Note a number, unless a higher one is there; the log does not depend on success."""
        if number > self.read():
            with contextlib.suppress(OSError):
                os.pwrite(self._file, _MARK.pack(number, numbered_crc(number, b"")), 0)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        """Close the file of a log that nobody closed."""
        if hasattr(self, "_file"):
            self.close()
