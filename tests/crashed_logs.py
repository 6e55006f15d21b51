# SPDX-License-Identifier: EUPL-1.2
"""Logs for tests: with frames, with bytes that changed, and as a crash leaves them."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lamppost.log import FRAME, TICK, Entry, Record
from lamppost_app.sqlite_log import ENGINE, SqliteLog

NAME = "inbox.db"
WAL = f"{NAME}-wal"
SIZES = (200, 1500, 4000, 9000)


class Crashed(NamedTuple):
    """The files of a log that nobody closed, and what it holds."""

    files: dict[str, bytes]
    entries: list[Entry]
    position: int

    def __repr__(self) -> str:
        """Name it: the bytes would fill a screen."""
        return f"a log of {len(self.entries)} entries"

    @property
    def wal(self) -> bytes:
        """The write-ahead log."""
        return self.files[WAL]

    def left(self, folder: Path, wal: bytes | None = None) -> Path:
        """Put the files into a new folder, with another write-ahead log where one is given."""
        folder.mkdir()
        for name, content in self.files.items():
            (folder / name).write_bytes(wal if name == WAL and wal is not None else content)
        return folder / NAME


def crashed(
    folder: Path, chance: random.Random, entries: int, *, in_file: int = 0, frames: int = 0
) -> Crashed:
    """Write entries one by one, with a position every 25, and look at the files before closing.

    Args:
        folder: where; it must not exist.
        chance: for the sizes and bodies of frames, of which every third is a tick without any.
        entries: how many.
        in_file: how many of them a checkpoint has brought into the file.
        frames: pages after which SQLite makes a checkpoint by itself, 0 for never.
    """
    folder.mkdir()
    log = SqliteLog(folder / NAME)
    log._connection.execute(f"PRAGMA wal_autocheckpoint={frames}")
    for number in range(1, entries + 1):
        body = chance.randbytes(chance.choice(SIZES))
        log.append([Record("frame", number, body) if number % 3 else Record(TICK, number, b"")])
        if number % 25 == 0:
            log.set_position(ENGINE, number)
        if number == in_file:
            log.renew()
    held, position = log.read(0, entries + 1), log.position(ENGINE)
    files = files_of(folder)
    log.close()
    return Crashed(files, held, position)


def files_of(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder; shared memory does not outlive a crash."""
    found = [file for file in folder.iterdir() if not file.name.endswith("-shm")]
    return {file.name: file.read_bytes() for file in found}


def frames(*bodies: bytes, at: int = 0) -> list[Record]:
    """Return a frame for each body."""
    return [Record(FRAME, at, body) for body in bodies]


def changed_bit(path: Path, found: bytes, within: int) -> None:
    """Change one bit of a file, so many bytes behind the first place some bytes are found at."""
    content = path.read_bytes()
    path.write_bytes(flipped(content, {content.index(found) + within: 0x04}))


def flipped(content: bytes, changes: Mapping[int, int]) -> bytes:
    """Return bytes with some of them changed: by place, what to combine them with."""
    changed = bytearray(content)
    for place, flip in changes.items():
        changed[place] ^= flip
    return bytes(changed)


def rechained(wal: bytes, *, big_endian: bool) -> bytes:
    """Return a write-ahead log with words of one byte order, word by word as the format says."""
    page = int.from_bytes(wal[8:12])
    made = bytearray(wal)
    made[3] = made[3] & ~1 | big_endian
    before = _checksum(made[:24], (0, 0), big_endian=big_endian)
    made[24:32] = struct.pack(">II", *before)
    for at in range(32, len(made) - page - 23, page + 24):
        content = made[at : at + 8] + made[at + 24 : at + 24 + page]
        before = _checksum(content, before, big_endian=big_endian)
        made[at + 16 : at + 24] = struct.pack(">II", *before)
    return bytes(made)


def _checksum(content: bytes, before: tuple[Any, Any], *, big_endian: bool) -> tuple[int, int]:
    first, second = before
    for one, other in struct.iter_unpack(">II" if big_endian else "<II", content):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
