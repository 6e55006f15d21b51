# SPDX-License-Identifier: EUPL-1.2
"""Runs sinks: each by itself, from its own cursor on the outbox, retrying for ever."""

from __future__ import annotations

import json
import math
import random
import re
import threading
from collections.abc import Sequence
from typing import Final, Protocol

from lamppost import events, log
from lamppost.balance import Tally
from lamppost.clock import Clock, SystemClock
from lamppost.component import Sink
from lamppost.errors import ConfigError, NotConnected, PartialWrite, StorageFailed
from lamppost.log import Entry, Record

from .cursors import Cursors
from .log_integrity import ranges
from .sink_books import SinkBooks
from .sqlite_log import SqliteLog

_NAMES: Final = (log.SERIES, log.STATIONS, log.RULES)
_POLL_S: Final = 0.02
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 30.0
_LONGEST_WISH_S: Final = 300.0
_TOLD_AGAIN_S: Final = 600.0
_ENTRIES: Final = 512
_PAGE: Final = 8
# What a sink makes of entries takes several times their size, and that is all it holds.
_BATCH_BYTES: Final = 4_000_000
_COLLECTED_BYTES: Final = 32_000_000
_NUMBERS: Final = re.compile(r"0x[0-9a-f]+|\d+")


class StopSignal(Protocol):
    """Where a runner waits, and learns that it shall end; a ``threading.Event`` is one."""

    def is_set(self) -> bool:
        """Return whether to end."""
        ...

    def set(self) -> None:
        """Tell all who wait here to end."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Let seconds pass, fewer when told to end; return whether to end."""
        ...


class Primed(Sink, Protocol):
    """A sink that wants the names of series and stations told before its cursor first."""

    def prime(self, entries: Sequence[Entry]) -> None:
        """Learn names and rules from entries at or before the cursor."""
        ...


class SinkRunner:
    """Feeds one sink until told to stop.

    The cursor is the sink's own where it stores one with its data; otherwise it is kept in the
    cursor file, advanced after the write. Both ways an entry may be written twice after a crash and
    never not at all.
    """

    def __init__(
        self,
        sink: Sink,
        outbox: SqliteLog,
        cursors: Cursors,
        stop: StopSignal,
        *,
        every_s: float = 0.0,
        inbox: SqliteLog | None = None,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> None:
        """Take the sink, the logs, the signal to stop and the shortest time between writes.

        Where an inbox is given, a sink whose books do not balance is reported there. Time passes
        only in ``stop.wait``; ``chance`` spreads the pauses.
        """
        self._sink = sink
        self._outbox = outbox
        self._cursors = cursors
        self._stop = stop
        self._every_s = every_s
        self._clock = clock or SystemClock()
        self._chance = chance or random.Random()  # noqa: S311 - not a secret
        self._books = SinkBooks(sink, cursors, inbox)
        self._wait_s = 0.0
        self._told: str | None = None
        self._untold_s = 0.0
        self.position = 0
        self.failure: StorageFailed | None = None

    @property
    def name(self) -> str:
        """Name of the sink."""
        return self._sink.name

    @property
    def waiting(self) -> bool:
        """Whether the last attempt failed."""
        return self._told is not None

    def run(self) -> None:
        """Deliver until stopped; whatever a sink raises, try again. Call :meth:`open` first.

        A file of our own that cannot be trusted any more stops this and all that share the signal,
        and is kept as ``failure``: the process has to end.
        """
        try:
            while not self._stop.is_set():
                self._stop.wait(self.step())
            if not self.waiting:
                self.step()
        except StorageFailed as error:
            self.failure = error
            self._stop.set()
            return
        self._sink.close()

    def drain(self) -> None:
        """Deliver what is there now, without waiting for more.

        Raises:
            NotConnected: the destination did not take it.
        """
        self.open()
        last = self._outbox.last()
        while self.position < last:
            before = self.position
            self.step()
            if self.position == before:
                raise NotConnected(f"{self.name} did not take everything")
        self._sink.close()

    def open(self) -> None:
        """Find the cursor and tell the sink what it must know.

        Raises:
            ConfigError: the sink is ahead of this outbox.
        """
        noted, stored = self._cursors.position(self._sink.name), self._sink.cursor()
        self.position = noted if stored is None else stored
        last = self._outbox.last()
        if self.position > last:
            problem = f"{self.name} has read up to entry {self.position}, the outbox ends at {last}"
            hint = "the outbox was replaced: restore it, or move what this sink has written away"
            raise ConfigError(problem, hint=hint)
        # What was written and not yet booked is written once more, which changes nothing there.
        self.position = self._books.start(self._outbox, noted=noted, stored=self.position)
        if hasattr(self._sink, "prime"):
            self._sink.prime(self._outbox.read_kinds(_NAMES, self.position))

    def step(self) -> float:
        """Deliver one batch if there is one; return how long to wait before the next step, s."""
        try:
            return self._deliver()
        except StorageFailed:
            raise
        except NotConnected as error:
            return self._back_off(str(error), error)
        except OSError as error:  # our own logs, on a full disk for example: waiting loses nothing
            return self._back_off(str(error))
        except Exception as error:  # noqa: BLE001 - the one wrapper: a bug in a sink must not lose data
            return self._back_off(f"{type(error).__name__}: {error}")

    def _deliver(self) -> float:
        read = self._gather()
        if not read:
            return _POLL_S
        position = read[-1].seq
        wanted = [entry for entry in read if entry.kind in self._sink.wants]
        self._books.book(read, self._write(wanted, position))
        self.position = position
        if self.waiting:
            events.info("sink_back", sink=self._sink.name, position=position)
            self._wait_s, self._told = 0.0, None
        return self._every_s

    def _gather(self) -> list[Entry]:
        """Return the entries of the next batch, bounded however long the sink was away.

        A sink that is written to now and then gets all that came meanwhile, up to a larger bound.
        """
        found: list[Entry] = []
        size, most = 0, _COLLECTED_BYTES if self._every_s else _BATCH_BYTES
        while size < most and (self._every_s or len(found) < _ENTRIES):
            entries = self._outbox.read(found[-1].seq if found else self.position, _PAGE)
            found += entries
            size += sum(len(entry.body) for entry in entries)
            if len(entries) < _PAGE:
                break
        lost = [entry.seq for entry in found if entry.kind == log.DAMAGED]
        if lost:
            self._cursors.note_damage(ranges(self._outbox.name, lost), self._clock.now_ns())
        return self._books.cut(found)

    def _write(self, wanted: Sequence[Entry], position: int) -> Tally | None:
        """Write entries and return what became of readings; what is refused is kept."""
        try:
            return self._sink.write(wanted, position)
        except PartialWrite as error:
            self._keep_refused(error, position)
            return error.tally

    def _back_off(self, problem: str, error: NotConnected | None = None) -> float:
        """Return how long to wait: twice as long each time, with jitter, at least as asked for."""
        self._tell(problem)
        if error is None or not error.progressed:
            self._wait_s = min(max(2 * self._wait_s, _FIRST_WAIT_S), _LONGEST_WAIT_S)
        jittered = max(self._wait_s, _FIRST_WAIT_S) * self._chance.uniform(0.5, 1.0)
        wish = 0.0 if error is None or error.retry_after_s is None else error.retry_after_s
        if not math.isnan(wish):
            jittered = max(jittered, min(wish, _LONGEST_WISH_S))
        self._untold_s += jittered
        return jittered

    def _tell(self, problem: str) -> None:
        """Log a problem when it is a new one, and now and then while it lasts."""
        same = _NUMBERS.sub("", problem)
        if same != self._told or self._untold_s >= _TOLD_AGAIN_S:
            events.warning("sink_waiting", sink=self._sink.name, problem=problem)
            self._told, self._untold_s = same, 0.0

    def _keep_refused(self, error: PartialWrite, position: int) -> None:
        events.error("sink_refused", sink=self._sink.name, items=len(error.refused))
        reasons = {str(place): reason for place, reason in error.refused.items()}
        content = {"sink": self._sink.name, "position": position, "refused": reasons}
        body = json.dumps(content, sort_keys=True).encode()
        self._cursors.append([Record(log.QUARANTINE, self._clock.now_ns(), body)])


def start_runners(runners: Sequence[SinkRunner]) -> list[threading.Thread]:
    """Start each runner in a thread of its own, so that a dead sink delays nobody.

    Raises:
        ConfigError: a sink does not belong to this outbox; none was started.
    """
    for runner in runners:
        runner.open()
    threads = [threading.Thread(target=runner.run, name=runner.name) for runner in runners]
    for thread in threads:
        thread.start()
    return threads
