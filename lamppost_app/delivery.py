# SPDX-License-Identifier: EUPL-1.2
"""Runs sinks: each by itself, from its own cursor on the outbox, retrying for ever."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Sequence
from typing import Final, Protocol

from lamppost import events, log
from lamppost.balance import Tally
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
_ENTRIES: Final = 512
_BATCH_BYTES: Final = 32_000_000


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
        stop: threading.Event,
        *,
        every_s: float = 0.0,
        inbox: SqliteLog | None = None,
    ) -> None:
        """Take the sink, the logs, the signal to stop and the shortest time between writes.

        Where an inbox is given, a sink whose books do not balance is reported there.
        """
        self._sink = sink
        self._outbox = outbox
        self._cursors = cursors
        self._stop = stop
        self._every_s = every_s
        self._wait_s = 0.0
        self._books = SinkBooks(sink, cursors, inbox)
        self._tally: Tally | None = None
        self.position = 0
        self.failure: StorageFailed | None = None

    @property
    def name(self) -> str:
        """Name of the sink."""
        return self._sink.name

    def run(self) -> None:
        """Deliver until stopped; whatever a sink raises, try again. Call :meth:`open` first.

        A file of our own that cannot be trusted any more stops this and all that share the signal,
        and is kept as ``failure``: the process has to end.
        """
        try:
            while not self._stop.is_set():
                moved = self._step()
                self._stop.wait(self._every_s if moved else _POLL_S)
            self._step()
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
            if not self._step():
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

    def _step(self) -> bool:
        """Deliver one batch; return whether there was any."""
        try:
            read = self._gather()
            if not read:
                return False
            position = read[-1].seq
            wanted = [entry for entry in read if entry.kind in self._sink.wants]
            if not self._deliver(wanted, position):
                return False
            self._books.book(read, self._tally)
        except StorageFailed:
            raise
        except OSError as error:  # our own logs, on a full disk for example: waiting loses nothing
            self._back_off(str(error), None)
            return False
        self.position = position
        return True

    def _gather(self) -> list[Entry]:
        """Return the entries of the next batch.

        A sink that is written to now and then gets all that came meanwhile, up to a bound.
        """
        found: list[Entry] = []
        while sum(len(entry.body) for entry in found) < _BATCH_BYTES:
            position = found[-1].seq if found else self.position
            entries = self._outbox.read(position, _ENTRIES)
            found += entries
            if not self._every_s or len(entries) < _ENTRIES:
                break
        lost = [entry.seq for entry in found if entry.kind == log.DAMAGED]
        if lost:
            self._cursors.note_damage(ranges(self._outbox.name, lost), time.time_ns())
        return self._books.cut(found)

    def _deliver(self, wanted: Sequence[Entry], position: int) -> bool:
        """Write entries and keep what became of readings; return False to have it tried again."""
        try:
            self._tally = self._sink.write(wanted, position)
        except PartialWrite as error:
            self._keep_refused(error, position)
            self._tally = error.tally
        except StorageFailed:
            raise
        except NotConnected as error:
            self._back_off(str(error), error.retry_after_s)
            return False
        except Exception as error:  # noqa: BLE001 - the one wrapper: a bug in a sink must not lose data
            self._back_off(f"{type(error).__name__}: {error}", None)
            return False
        if self._wait_s:
            events.info("sink_back", sink=self._sink.name, position=position)
        self._wait_s = 0.0
        return True

    def _back_off(self, problem: str, retry_after_s: float | None) -> None:
        if not self._wait_s:
            events.warning("sink_waiting", sink=self._sink.name, problem=problem)
        self._wait_s = min(max(2 * self._wait_s, _FIRST_WAIT_S), _LONGEST_WAIT_S)
        jittered = self._wait_s * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
        self._stop.wait(retry_after_s if retry_after_s is not None else jittered)

    def _keep_refused(self, error: PartialWrite, position: int) -> None:
        events.error("sink_refused", sink=self._sink.name, items=len(error.refused))
        reasons = {str(place): reason for place, reason in error.refused.items()}
        content = {"sink": self._sink.name, "position": position, "refused": reasons}
        body = json.dumps(content, sort_keys=True).encode()
        self._cursors.append([Record(log.QUARANTINE, time.time_ns(), body)])


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
