# SPDX-License-Identifier: EUPL-1.2
"""Puts a damaged write-ahead log right after a crash, before SQLite cuts it at the first bad byte.

Everything is made beside it and put in its place at once, so that a crash in between is harmless;
the damaged one is kept as ``<name>-wal.damaged-<time>``.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from lamppost import events

from .log_trial import NOTHING, UNKNOWN, Cost, Trial, beside, clear, link_or_copy, repaired
from .write_ahead_log import (
    HEADER_BYTES,
    Findings,
    Fix,
    Option,
    Patch,
    WriteAheadLog,
    restored_header,
)

_DRAFT: Final = "-wal.salvaged"
_TRIALS_S: Final = 60.0
_ADVICE: Final = "bytes changed on the disk: look at it (dmesg, smartctl) and run lamppost doctor"
# Where SQLite locks a database; whoever has one open in this mode holds a part of it.
_LOCKED_FROM: Final = 0x40000000
_LOCKED_BYTES: Final = 512


def salvage(path: Path, last: int) -> bool:
    """Put the write-ahead log of a database right where a byte of it changed.

    Nobody may have the database open, and nobody may open it until this returns.

    Args:
        path: the database.
        last: the highest number of an entry known to be there.

    Returns:
        Whether frames lie behind what SQLite will read: the log should be begun anew, so that they
        are not taken for a part of what is written next.

    Raises:
        OSError: there is no room, or the disk fails; nothing was changed.
    """
    wal = beside(path, "-wal")
    if not path.is_file() or not wal.is_file() or wal.stat().st_size <= HEADER_BYTES:
        return False
    _clear(path)
    try:
        log, header = _opened(np.fromfile(wal, np.uint8))
    except ValueError:
        return False
    found = log.examine()
    if (not header and not found.fixes) or _is_in_use(path):
        return found.left
    try:
        found, options, cost = _decided(path, log, header, found, last)
        with _locked(path) as alone:
            if alone:
                _put_in_place(path, repaired(log, found, options), cost)
    finally:
        _clear(path)
    return found.left


def kept(path: Path) -> list[Path]:
    """Return the damaged write-ahead logs that were kept of a database."""
    return sorted(path.parent.glob(f"{path.name}-wal.damaged-*"))


def _opened(content: npt.NDArray[np.uint8]) -> tuple[WriteAheadLog, Option]:
    """Return the log, and its header where it was damaged."""
    try:
        return WriteAheadLog(content), ()
    except ValueError:
        header = restored_header(content)
        if header is None:
            raise
        return WriteAheadLog(content, header), (Patch(0, header),)


def _decided(
    path: Path, log: WriteAheadLog, header: Option, found: Findings, last: int
) -> tuple[Findings, list[Option], Cost]:
    """Choose among what damaged frames may have been, by what a log would hold with it.

    What cannot be read with any of them is not put into the database: the log ends before it.
    """
    if not _inexact(found):
        return found, [header, *(fix.options[0] for fix in found.fixes)], NOTHING
    until = time.monotonic() + _TRIALS_S
    while True:
        unsure = {fix.frame: _likely_first(path, log, fix) for fix in _inexact(found)}
        sure = [header, *(fix.options[0] for fix in found.fixes if fix.exact)]
        chosen, cost = _chosen(Trial(path, log, found, last), sure, unsure, until)
        if cost != UNKNOWN or not unsure:
            return found, [*sure, *chosen.values()], cost
        cut = max(unsure)
        fixes = [fix for fix in found.fixes if fix.frame < cut]
        found = Findings(fixes, cut, left=True)


def _inexact(found: Findings) -> list[Fix]:
    return [fix for fix in found.fixes if not fix.exact]


def _chosen(
    trial: Trial, sure: list[Option], unsure: Mapping[int, list[Option]], until: float
) -> tuple[dict[int, Option], Cost]:
    """Choose an option for each frame, and say what a log would cost with them.

    Each is chosen for itself while the others are as is likely. Where nothing can be read like
    that, because two of them are unlikely, all of them are tried with each other.
    """
    chosen = {frame: options[0] for frame, options in unsure.items()}
    cost = UNKNOWN if unsure else trial.cost(sure, until)
    for frame, options in unsure.items():
        if cost == NOTHING:
            break
        ways = ({**chosen, frame: option} for option in options)
        chosen, cost = _cheapest(trial, sure, ways, until)
    if cost != UNKNOWN or len(unsure) < 2:
        return chosen, cost
    each = itertools.product(*unsure.values())
    return _cheapest(trial, sure, (dict(zip(unsure, one, strict=True)) for one in each), until)


def _cheapest(
    trial: Trial, sure: list[Option], ways: Iterable[dict[int, Option]], until: float
) -> tuple[dict[int, Option], Cost]:
    """Return the first of the ways that cost least; they are tried until one costs nothing."""
    best: dict[int, Option] | None = None
    least = UNKNOWN
    for way in ways:
        cost = trial.cost([*sure, *way.values()], until)
        if best is None or cost < least:
            best, least = way, cost
        if cost == NOTHING or time.monotonic() > until:
            break
    return best or {}, least


def _likely_first(path: Path, log: WriteAheadLog, fix: Fix) -> list[Option]:
    """Return the options of a frame, first those that make it more like its page was before."""
    before = _page_before(path, log, fix.frame)
    first = log.offset(fix.frame + 1) - log.page_bytes

    def unlikely(option: Option) -> bool:
        return not any(
            place >= first and before[place - first :][:1] == content for place, content in option
        )

    return sorted(fix.options, key=unlikely)


def _page_before(path: Path, log: WriteAheadLog, frame: int) -> bytes:
    """Return the page of a frame as it was, empty if there was none."""
    page = int(log.pages[frame])
    earlier = np.flatnonzero(log.pages[:frame] == page)
    if earlier.size:
        return log.page(int(earlier[-1])).tobytes()
    with path.open("rb") as file:
        file.seek(max(0, page - 1) * log.page_bytes)
        return file.read(log.page_bytes)


def _put_in_place(path: Path, content: npt.NDArray[np.uint8], cost: Cost) -> None:
    wal, draft = beside(path, "-wal"), beside(path, _DRAFT)
    with draft.open("wb") as file:
        file.write(content.data)
        file.flush()
        os.fsync(file.fileno())
    shutil.copymode(wal, draft)
    owner = wal.stat()
    with contextlib.suppress(PermissionError):
        os.chown(draft, owner.st_uid, owner.st_gid)
    aside = _set_aside(wal)
    # It describes the log as it was; SQLite makes it anew.
    beside(path, "-shm").unlink(missing_ok=True)
    draft.replace(wal)
    _sync_folder(path.parent)
    say = events.warning if cost == NOTHING else events.error
    say("storage_salvaged", file=wal, cost=cost, kept=aside.name, advice=_ADVICE)


def _set_aside(wal: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = beside(wal, f".damaged-{stamp}")
    aside.unlink(missing_ok=True)
    link_or_copy(wal, aside)
    return aside


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _is_in_use(path: Path) -> bool:
    with _locked(path) as alone:
        return not alone


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Lock the database as SQLite does; tell whether no other program has it open."""
    opened = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB, _LOCKED_BYTES, _LOCKED_FROM)
        except (BlockingIOError, PermissionError):
            yield False
        else:
            yield True
    finally:
        os.close(opened)


def _clear(path: Path) -> None:
    clear(path)
    beside(path, _DRAFT).unlink(missing_ok=True)
