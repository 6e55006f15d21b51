# SPDX-License-Identifier: EUPL-1.2
"""The engine as a process: reads the inbox, commits results and position in one transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final

from lamppost import events
from lamppost.errors import StorageFailed
from lamppost.log import DAMAGED, Entry, Record
from lamppost.times import HOUR_NS

from .cursors import Cursors
from .engine import Engine
from .log_integrity import ranges
from .policy_trial import KEPT_ADVICE
from .quarantine_bounds import forget
from .run_files import RunFiles, names_by_snapshot
from .settings import Settings, sinks_in_use
from .sqlite_log import ENGINE, SqliteLog

_POISON: Final = "engine-failed-on:"
_WITHDRAWN: Final = "policy-withdrawn-before:"
_KEPT: Final = "policy-kept-before:"
_POLL_S: Final = 0.005
_RETRY_S: Final = 1.0
_ENTRIES: Final = 64
_TRIM_EVERY_S: Final = 300.0


class EngineRole:
    """Runs the engine between two logs."""

    def __init__(
        self,
        inbox: SqliteLog,
        outbox: SqliteLog,
        *,
        snapshot_s: float,
        stop: threading.Event | None = None,
        cursors: Cursors | None = None,
        files: RunFiles | None = None,
    ) -> None:
        """Restore the engine to where the outbox says it was.

        Where a cursor file is given, damaged entries of the inbox are noted there. Without files
        everything the windows remember stays in memory, and in the snapshots.

        Raises:
            StorageFailed: a file the last snapshot names is missing or damaged.
        """
        self._files = files
        self._named: list[set[str]] = []
        self._cursors = cursors
        self._stop = stop or threading.Event()
        self._inbox = inbox
        self._outbox = outbox
        self._snapshot_s = snapshot_s
        self._snapshot_at = time.monotonic()
        self._position = 0
        self._ahead = False
        self._poison = self._noted(_POISON)
        self._withdrawn = self._noted(_WITHDRAWN)
        self._kept = self._noted(_KEPT)
        self.engine = self._restore()

    def _noted(self, prefix: str) -> set[int]:
        positions = self._outbox.positions().items()
        return {seq for name, seq in positions if name.startswith(prefix)}

    @property
    def position(self) -> int:
        """The inbox entry whose results were committed last."""
        return self._position

    def _restore(self) -> Engine:
        """Load the last snapshot and replay, silently, what was committed after it."""
        stored = self._outbox.latest_snapshot()
        committed = self._outbox.position(ENGINE)
        engine, at = Engine(self._files), 0
        self._tidy_files()
        if stored is not None:
            at, body = stored
            engine = Engine.from_snapshot(body, self._files)
            self._check_files(engine)
        replayed = at
        while replayed < committed:
            entries = self._inbox.read(replayed, min(_ENTRIES, committed - replayed))
            if not entries:
                break
            for entry in entries:
                self._apply(engine, entry)
            replayed = entries[-1].seq
        self._position = committed
        events.info("engine_ready", snapshot=at, replayed=committed - at)
        return engine

    def _tidy_files(self) -> None:
        """Delete the files no kept snapshot names: replaying makes those that are needed anew."""
        if self._files is not None:
            self._named = names_by_snapshot(self._outbox)
            self._files.keep_only(set().union(*self._named))

    def _check_files(self, engine: Engine) -> None:
        if self._files is None:
            return
        problems = self._files.examine(engine.shelved(), thoroughly=False)
        if problems:
            raise StorageFailed("; ".join(problems))

    def _snapshot(self) -> bytes:
        body = self.engine.snapshot()
        self._named = [*self._named[-1:], self.engine.shelved()]
        return body

    def _let_go(self) -> None:
        """Delete, after a snapshot is durable, the files that neither it nor the last one names."""
        if self._files is not None:
            self._files.keep_only(set().union(*self._named))

    def step(self) -> bool:
        """Process what waits in the inbox, up to a bound; return whether there was any."""
        entries = self._inbox.read(self._position, _ENTRIES)
        if not entries:
            return False
        self._note_damage(entries)
        records: list[Record] = []
        for entry in entries:
            records += self._apply(self.engine, entry)
        self._commit(records, entries[-1].seq)
        return True

    def _note_damage(self, entries: Sequence[Entry]) -> None:
        lost = [entry.seq for entry in entries if entry.kind == DAMAGED]
        if lost and self._cursors is not None:
            self._cursors.note_damage(ranges(self._inbox.name, lost), time.time_ns())

    def _apply(self, engine: Engine, entry: Entry) -> list[Record]:
        """Apply an entry, or set it aside when the engine has failed on it before.

        A failure may leave half of the entry in the engine's state. So it is noted, and the process
        ends; the next one starts from the last good state and leaves the entry out, on every replay
        alike. Where the policy is at fault, that one is left behind instead, and the entry is used;
        where even that fails, the policy stays.
        """
        giving_way = entry.seq in self._withdrawn - self._kept
        records: list[Record] = []
        try:
            if giving_way:
                records += engine.withdraw_policy(entry)
                giving_way = False
            elif entry.seq in self._kept:
                records += engine.keep_policy(entry)
            applied = engine.set_aside if entry.seq in self._poison else engine.apply
            return [*records, *applied(entry)]
        except StorageFailed:
            raise  # the disk's fault, not the entry's
        except Exception:
            self._note_failure(engine, entry, giving_way=giving_way)
            raise

    def _note_failure(self, engine: Engine, entry: Entry, *, giving_way: bool) -> None:
        """Note what the next process has to do otherwise, each thing once: so there is an end."""
        if giving_way:
            events.error("policy_cannot_give_way", entry=entry.seq, advice=KEPT_ADVICE)
            self._outbox.set_position(f"{_KEPT}{entry.seq}", entry.seq)
            return
        at_fault = entry.seq not in self._withdrawn and engine.policy_at_fault(entry)
        blamed = "policy" if at_fault else "entry"
        events.error("engine_failed", entry=entry.seq, kind=entry.kind, blamed=blamed)
        self._outbox.set_position(f"{_WITHDRAWN if at_fault else _POISON}{entry.seq}", entry.seq)

    def _commit(self, records: list[Record], position: int) -> None:
        due = time.monotonic() - self._snapshot_at >= self._snapshot_s
        snapshot = self._snapshot() if due else None
        waiting = False
        while not self._stored(records, position, snapshot, told=waiting):
            waiting = True
            if self._stop.wait(_RETRY_S):
                self._ahead = True  # the next process computes the same once more
                return
        if waiting:
            events.info("outbox_back")
        self._position = position
        if due:
            self._let_go()
            self._snapshot_at = time.monotonic()

    def _stored(
        self, records: list[Record], position: int, snapshot: bytes | None, *, told: bool
    ) -> bool:
        """Commit, and return False when the disk is full: the state is right, results can wait."""
        try:
            self._outbox.commit_results(
                records,
                consumer=ENGINE,
                position=position,
                snapshot=snapshot,
                expected=self._position,
            )
        except StorageFailed:
            raise
        except OSError as error:
            if not told:
                events.error("outbox_refuses", problem=error, retry_s=_RETRY_S)
            return False
        return True

    def keep_snapshot(self) -> None:
        """Store the state as it is, so that the next start need not replay.

        Not when results are still waiting for room: the state is ahead of the position then.
        """
        if self._ahead:
            return
        try:
            self._outbox.commit_results(
                [], consumer=ENGINE, position=self._position, snapshot=self._snapshot()
            )
            self._let_go()
        except StorageFailed:
            raise
        except OSError as error:
            events.warning("snapshot_not_kept", problem=error)


def run_engine(settings: Settings, stop: threading.Event) -> None:
    """Run the engine until told to stop."""
    inbox, outbox = SqliteLog(settings.inbox_path), SqliteLog(settings.outbox_path)
    cursors = Cursors(settings.cursors_path)
    role = EngineRole(
        inbox,
        outbox,
        snapshot_s=settings.engine.snapshot_s,
        stop=stop,
        cursors=cursors,
        files=RunFiles(settings.windows_path),
    )
    trimmed_at = time.monotonic()
    while not stop.is_set():
        if not role.step():
            stop.wait(_POLL_S)
        if time.monotonic() - trimmed_at > _TRIM_EVERY_S:
            _trim(settings, inbox, outbox, cursors)
            trimmed_at = time.monotonic()
    role.keep_snapshot()


def _trim(settings: Settings, inbox: SqliteLog, outbox: SqliteLog, cursors: Cursors) -> None:
    """Forget what every consumer has passed and retention no longer asks for."""
    now = time.time_ns()
    kept_since = now - round(settings.data.inbox_retention_h * HOUR_NS)
    inbox.trim_older(kept_since, outbox.oldest_snapshot())
    positions = cursors.positions()
    reading = [positions.get(name, 0) for name in sinks_in_use(settings)]
    if reading:
        outbox.trim_older(kept_since, min(reading))
        forget(outbox, cursors, settings.quarantine, before=min(reading), now=now)
    cursors.forget_books(kept_since)
