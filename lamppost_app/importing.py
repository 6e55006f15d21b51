# SPDX-License-Identifier: EUPL-1.2
"""Rows of files into the inbox: as deliveries like any other, with the position in the files.

Each part of a file is stored together with how far the files have been read, so an import that was
killed goes on where it was. It does not run far ahead of the engine: what devices send meanwhile
waits behind it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ingest.archives.rows import ArchiveRows, RefusedRow
from ingest.files import Archive, BrokenFile
from ingest.formats.archive_columns import archive_bytes
from lamppost import log
from lamppost.clock import Clock
from lamppost.errors import ConfigError
from lamppost.frames import Deliveries
from lamppost.imports import IMPORT_ROUTE, IMPORT_SOURCE
from lamppost.log import Record

from .settings import ImportSettings, Settings
from .sqlite_log import ENGINE, SqliteLog

_ROWS: Final = 4_096
_FRAME_MESSAGES: Final = 4
_SINGLE_REFUSALS: Final = 100
_FILE_BITS: Final = 32
_POLL_S: Final = 0.01
_ASLEEP_S: Final = 5.0
_MB: Final = 1_000_000


@dataclass(slots=True)
class Progress:
    """How far an import has come.

    Attributes:
        bytes_read, bytes_total: of the files as they lie on the disk.
        file: the one being read.
        rows: looked at since this run began.
        readings: put into the inbox since then.
        refused: rows put there as no readings, by code.
        empty: cells or rows without a number.
        passed_over: aggregates of other windows than the one asked for.
        derived: rows of series that are worked out anew from others.
        ambiguous: rows of an hour that came twice.
        broken: files that could not be read to the end, and why.
        waiting: whether the engine is waited for.
    """

    bytes_total: int
    bytes_read: int = 0
    file: str = ""
    rows: int = 0
    readings: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    empty: int = 0
    passed_over: int = 0
    derived: int = 0
    ambiguous: int = 0
    broken: list[str] = field(default_factory=list)
    waiting: bool = False

    def add(self, said: ArchiveRows) -> None:
        """Count what a part of a file says."""
        self.rows += said.rows
        self.readings += len(said.value)
        self.refused.update(row[1] for row in said.refused)
        self.empty += said.empty
        self.passed_over += said.passed_over
        self.derived += said.derived


Tell = Callable[[Progress], None]


class EngineLag:
    """Holds an import back while the engine has too much to read."""

    def __init__(self, settings: Settings, inbox: SqliteLog) -> None:
        """Look at what waits already."""
        self._bounds: ImportSettings = settings.imports
        self._outbox_path = settings.outbox_path
        self._outbox: SqliteLog | None = None
        self._position = self.engine_position()
        self._moved_at = time.monotonic() - _ASLEEP_S
        waiting = inbox.size_after(self._position)
        self._sizes = deque([(inbox.last(), waiting)])
        self._ahead = waiting

    def engine_position(self) -> int:
        """Return how far the engine has read the inbox."""
        if self._outbox is None and self._outbox_path.is_file():
            self._outbox = SqliteLog(self._outbox_path)
        return 0 if self._outbox is None else self._outbox.position(ENGINE)

    @property
    def outbox(self) -> SqliteLog | None:
        """The outbox, None before there is one."""
        return self._outbox

    def sent(self, last: int, size: int) -> None:
        """Take note of what was put into the inbox, up to a number."""
        self._sizes.append((last, size))
        self._ahead += size

    def must_wait(self) -> bool:
        """Return whether the engine should come nearer first."""
        if self._ahead <= self._bounds.ahead_mb * _MB:
            return False
        position = self.engine_position()
        if position != self._position:
            self._position, self._moved_at = position, time.monotonic()
        while self._sizes and self._sizes[0][0] <= position:
            self._ahead -= self._sizes.popleft()[1]
        bound = self._bounds.waiting_mb if self.asleep else self._bounds.ahead_mb
        return self._ahead > bound * _MB

    @property
    def asleep(self) -> bool:
        """Whether the engine does not seem to run."""
        return time.monotonic() - self._moved_at > _ASLEEP_S

    def close(self) -> None:
        """Let go of the outbox."""
        if self._outbox is not None:
            self._outbox.close()


class Import:
    """One import of some files."""

    def __init__(
        self, inbox: SqliteLog, lag: EngineLag, archives: Sequence[Archive], clock: Clock
    ) -> None:
        """Take the files in order, and where their rows go."""
        self._inbox = inbox
        self._lag = lag
        self._archives = archives
        inside = Counter(archive.path for archive in archives)  # a zip archive holds several
        self._sizes = [archive.size // inside[archive.path] for archive in archives]
        self._clock = clock
        self.name = f"import:{identity(archives)}"
        self._position = inbox.position(self.name)

    @property
    def resumed(self) -> bool:
        """Whether an earlier run of the same import is gone on with."""
        return self._position > 0

    def restart(self) -> None:
        """Begin anew; what is in the inbox already will be a duplicate."""
        self._inbox.forget_position(self.name)
        self._position = 0

    def run(self, tell: Tell) -> tuple[Progress, int]:
        """Put every row into the inbox; return what was done, and the last entry's number.

        Raises:
            ConfigError: another process imports the same files.
            OSError: the disk is full; the same command goes on later.
        """
        progress = Progress(sum(self._sizes))
        before = 0
        start, skip = divmod(self._position, 1 << _FILE_BITS)
        for number, archive in enumerate(self._archives):
            progress.file = archive.name
            if number >= start:
                self._file(number, skip if number == start else 0, before, progress, tell)
            before += self._sizes[number]
            progress.bytes_read = before
            tell(progress)
        # Windows of the past have nothing to wait for; this tick lets the engine close them.
        last = self._inbox.append([Record(log.TICK, self._clock.now_ns(), b"")])
        self._inbox.forget_position(self.name)
        return progress, last

    def _file(self, number: int, skip: int, before: int, progress: Progress, tell: Tell) -> None:
        archive, done = self._archives[number], number << _FILE_BITS
        ambiguous = progress.ambiguous
        try:
            for place, part in enumerate(archive.parts(skip), start=1):
                progress.bytes_read = before + min(part.read, self._sizes[number])
                if part.said is not None:
                    self._send(archive, part.said, done + place, progress, tell)
                    progress.add(part.said)
                    progress.ambiguous = ambiguous + part.ambiguous
                tell(progress)
        except BrokenFile as error:
            progress.broken.append(str(error))
            said = ArchiveRows(refused=[(0, "malformed", str(error), "")])
            self._send(archive, said, (number + 1) << _FILE_BITS, progress, tell)
            progress.add(said)

    def _send(
        self, archive: Archive, said: ArchiveRows, position: int, progress: Progress, tell: Tell
    ) -> None:
        while self._lag.must_wait():
            progress.waiting = self._lag.asleep
            tell(progress)
            time.sleep(_POLL_S)
        progress.waiting = False
        records = list(records_of(archive, said, self._clock.now_ns()))
        last = self._inbox.append_from(
            records, source=self.name, position=position, expected=self._position
        )
        self._position = position
        self._lag.sent(last, sum(len(record.body) for record in records))


def identity(archives: Sequence[Archive]) -> str:
    """Return what stays the same as long as the same files are imported in the same way."""
    facts = [
        (str(one.path.resolve()), one.member, one.size, one.path.stat().st_mtime_ns,
         repr(one.layout), repr(one.wishes))
        for one in archives
    ]  # fmt: skip
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def records_of(archive: Archive, said: ArchiveRows, now: int) -> Iterator[Record]:
    """Yield a part of a file as inbox entries of ordinary size."""
    frame = Deliveries()
    for payload, lines in _messages(said):
        headers = json.dumps({"file": archive.name, "lines": lines}, ensure_ascii=False)
        frame.add(IMPORT_ROUTE, payload, now, source=IMPORT_SOURCE, headers=headers)
        if len(frame) == _FRAME_MESSAGES:
            yield Record(log.FRAME, now, frame.to_bytes())
            frame = Deliveries()
    if len(frame):
        yield Record(log.FRAME, now, frame.to_bytes())


def _messages(said: ArchiveRows) -> Iterator[tuple[bytes, str]]:
    """Yield messages with the lines they come from; a row that is no reading stands alone."""
    for first in range(0, len(said.value), _ROWS):
        some = slice(first, first + _ROWS)
        lines = said.line[some]
        payload = archive_bytes(
            said.meanings, said.meaning[some], said.time[some], said.value[some]
        )
        yield payload, f"{lines[0]}-{lines[-1]}"
    alone = len(said.refused) <= _SINGLE_REFUSALS
    step = 1 if alone else max(len(said.refused), 1)
    for first in range(0, len(said.refused), step):
        rows = said.refused[first : first + step]
        yield _refusals(rows), f"{rows[0][0]}-{rows[-1][0]}"


def _refusals(rows: Sequence[RefusedRow]) -> bytes:
    nothing = ArchiveRows()
    return archive_bytes([], nothing.meaning, nothing.time, nothing.value, rows)


def check_ready(inbox: SqliteLog) -> None:
    """Stop where the engine would not know what to make of anything.

    Raises:
        ConfigError: no policy has ever taken effect here.
    """
    if not inbox.read_kinds([log.POLICY], inbox.last()):
        hint = "start lamppost run once with these settings"
        raise ConfigError("this installation has never run", where=inbox.name, hint=hint)
