# SPDX-License-Identifier: EUPL-1.2
"""The shelf as a folder: each set of rows one immutable .npy file, named by its content."""

from __future__ import annotations

import mmap
import os
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import numpy as np

from lamppost import events
from lamppost.errors import StorageFailed
from lamppost.shelf import RowArray, content_name
from lamppost.state import Snapshot

from .log_integrity import is_whole_snapshot
from .snapshots import unpack
from .sqlite_log import SqliteLog

_SUFFIX: Final = ".npy"
_UNFINISHED: Final = ".part"
_GIVEN_UP: Final = ".lost"
_DAMAGED: Final = ".damaged"
# Pages of a map count as the process's memory as long as it is open.
_MOST_OPEN: Final = 8
_ADVICE: Final = (
    "without it late readings of its time cannot be told from new ones, nor correct what was"
    " published; bring the file back from a back-up, or stop Lamppost and run lamppost repair to go"
    " on without it: readings up to its end will be too old then"
)


class RunFiles:
    """Files of rows. What was put is on the disk, name and all, before anything can name it."""

    def __init__(self, folder: Path) -> None:
        """Use a folder, which is made when the first file is."""
        self._folder = folder
        self._open: OrderedDict[str, RowArray] = OrderedDict()
        self._verified: set[str] = set()
        self._layouts: dict[str, tuple[np.dtype[Any], int, int]] = {}

    def put(self, rows: RowArray) -> str:
        """Store rows durably and return their name.

        Raises:
            OSError: the disk is full or refuses; nothing was stored.
        """
        name = content_name(rows)
        path = self._path(name)
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(path, rows)
        self._verified.add(name)
        return name

    def _write(self, path: Path, rows: RowArray) -> None:
        unfinished = path.with_suffix(_UNFINISHED)
        try:
            with unfinished.open("wb") as file:
                np.save(file, rows, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
            _sync_folder(self._folder)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            events.warning("run_file_not_written", file=path, problem=error)
            raise

    def open(self, name: str) -> RowArray:
        """Return rows as a read-only map of their file; the first time, their content is checked.

        Raises:
            StorageFailed: the file is missing or damaged.
        """
        rows = self._open.get(name)
        if rows is None:
            rows = self._open[name] = self._mapped(name)
            while len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(name)
        return rows

    def _mapped(self, name: str) -> RowArray:
        path = self._path(name)
        try:
            if name not in self._verified and content_name(np.load(path)) != name:
                raise _lost(path, "its content has changed")
            rows = self._map(name, path)
        except (OSError, ValueError, EOFError) as error:
            raise error if isinstance(error, StorageFailed) else _lost(path, error) from error
        self._verified.add(name)
        return rows

    def _map(self, name: str, path: Path) -> RowArray:
        """Map a file; the header is read once, which takes ten times as long as the mapping."""
        if name not in self._layouts:
            found = np.load(path, mmap_mode="r")
            self._layouts[name] = (found.dtype, int(found.offset), len(found))
            return np.asarray(found)
        dtype, offset, count = self._layouts[name]
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(content, dtype, count, offset)

    def examine(self, names: Collection[str], *, thoroughly: bool) -> list[str]:
        """Return what is wrong with files, one sentence each.

        Args:
            names: of the files.
            thoroughly: whether to read all of each, or only how it begins and how long it is.
        """
        problems = []
        for name in sorted(names):
            try:
                rows = np.load(self._path(name), mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                problems.append(str(_lost(self._path(name), error)))
                continue
            if thoroughly and content_name(np.asarray(rows)) != name:
                problems.append(str(_lost(self._path(name), "its content has changed")))
        return problems

    def is_given_up(self, name: str) -> bool:
        """Tell whether ``lamppost repair`` has noted that a file is lost for good."""
        return self._path(name).with_suffix(_GIVEN_UP).exists()

    def give_up(self, name: str) -> None:
        """Note that a file is lost for good; what is left of it is kept under another name."""
        path = self._path(name)
        self._folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.rename(path.with_suffix(_DAMAGED))
        path.with_suffix(_GIVEN_UP).touch()
        _sync_folder(self._folder)

    def keep_only(self, names: Collection[str]) -> int:
        """Delete every file but some; return how many went."""
        gone = 0
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            if path.suffix not in {_SUFFIX, _UNFINISHED, _GIVEN_UP}:
                continue
            if path.suffix == _UNFINISHED or path.stem not in names:
                self._open.pop(path.stem, None)
                self._verified.discard(path.stem)
                self._layouts.pop(path.stem, None)
                path.unlink(missing_ok=True)
                gone += 1
        return gone

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"


def _lost(path: Path, problem: object) -> StorageFailed:
    told = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
    return StorageFailed(f"{path}: {told}: {_ADVICE}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lost_files(files: RunFiles, outbox: SqliteLog) -> dict[str, str]:
    """Return what is wrong with each file that a kept snapshot stands on, by name."""

    def named() -> set[str]:
        return set().union(*names_by_snapshot(outbox))

    found = {
        name: problem
        for name in sorted(named())
        if not files.is_given_up(name)
        for problem in files.examine([name], thoroughly=True)
    }
    # A running engine may have let one go meanwhile.
    still = named() if found else set()
    return {name: problem for name, problem in found.items() if name in still}


def names_by_snapshot(outbox: SqliteLog) -> list[set[str]]:
    """Return the names of the files that each snapshot kept stands on, the oldest first."""
    found = []
    for seq, crc, body in sorted(outbox.salvage("snapshots"), key=lambda row: int(row[0])):
        if is_whole_snapshot(seq, crc, body):
            arrays, _ = unpack(bytes(body))
            found.append(_names_in(arrays))
    return found


def _names_in(arrays: Snapshot) -> set[str]:
    shelved = [array for key, array in arrays.items() if key.endswith("/shelved")]
    return {name.decode() for array in shelved for name in array["name"].tolist()}
