# SPDX-License-Identifier: EUPL-1.2
"""A sink's books: what it stored, compared with what the engine accepted up to its cursor.

The engine says every ten seconds, of a large city every two minutes, what it has accepted so far;
the entry that says so stands in the outbox behind the readings it counts. A sink that has just
passed such an entry must hold exactly these readings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from lamppost import events, log
from lamppost.balance import BalanceCommand, Tally, hour_of
from lamppost.component import Sink
from lamppost.frames import arrow_batch
from lamppost.log import Entry, Record
from lamppost.series import SeriesTable
from lamppost.times import HOUR_NS

from .cursors import Cursors, by_sensor
from .sqlite_log import KEPT_KINDS, SqliteLog

_BALANCED: Final = ""


class SinkBooks:
    """Keeps one sink's books in the cursor file, committed together with its position.

    Attributes:
        counting: whether the sink keeps readings, so that there is something to compare.
    """

    def __init__(self, sink: Sink, cursors: Cursors, inbox: SqliteLog | None) -> None:
        """Take the sink, the file, and where an imbalance is reported."""
        self._name = sink.name
        self._cursors = cursors
        self._inbox = inbox
        self._series = SeriesTable()
        self._since: int | None = None
        self._from_first = False
        self.counting = log.READINGS in sink.wants

    def start(self, outbox: SqliteLog, *, noted: int, stored: int) -> int:
        """Return where the sink goes on, so that nothing is counted twice or not at all.

        Args:
            outbox: what the sink reads.
            noted: the position that was committed with the books.
            stored: the position of the destination.
        """
        if not self.counting:
            return stored
        self._since = self._cursors.since(self._name)
        position = stored
        # Nothing was booked yet, but a write that failed may have been stored all the same.
        unopened = self._since is None and noted > 0 and self._reads_from_first(outbox, noted)
        if noted <= stored and (self._since is not None or unopened):
            position = noted
        else:
            self._since = None
        # Also where it has read names and rules already, and no reading yet.
        self._from_first = self._reads_from_first(outbox, position)
        for entry in outbox.read_kinds([log.SERIES], position):
            self._learn(entry)
        return position

    @staticmethod
    def _reads_from_first(outbox: SqliteLog, position: int) -> bool:
        return outbox.only_kept(position) and not outbox.trimmed()

    def cut(self, entries: list[Entry]) -> list[Entry]:
        """Return entries up to the last that says what was accepted, where there is one."""
        if self.counting:
            for place in range(len(entries), 0, -1):
                if entries[place - 1].kind == log.LEDGER:
                    return entries[:place]
        return entries

    def book(self, read: Sequence[Entry], tally: Tally | None) -> None:
        """Commit that the sink has taken entries, and what became of the readings in them."""
        position = read[-1].seq
        if tally is None or not self.counting:
            self._close(read[-1].at)
            self._cursors.set_position(self._name, position)
            return
        for entry in read:
            self._learn(entry)
        if self._since is None and not self._open(read):
            self._cursors.set_position(self._name, position)
            return
        sensors = [key.sensor for key in self._series]
        self._cursors.advance(self._name, position, by_sensor(tally, sensors))
        if read[-1].kind == log.LEDGER:
            self._compare(read)
            self._tell(read[-1].at)

    def _open(self, read: Sequence[Entry]) -> bool:
        """Open the books with the first entry that can hold readings; return whether there is one.

        Where entries were forgotten before it, only whole hours after it can be compared.
        """
        for entry in read:
            if entry.kind not in KEPT_KINDS:
                self._since = 0 if self._from_first else hour_of(entry.at) + HOUR_NS
                self._cursors.open_books(self._name, self._since)
                return True
        return False

    def _close(self, at: int) -> None:
        """Give the books up: the sink does not keep readings, or not any more."""
        self.counting = False
        if self._since is not None:
            self._since = None
            self._cursors.clear_books(self._name)
            self._tell(at)
            self._cursors.close_books(self._name)

    def _learn(self, entry: Entry) -> None:
        if entry.kind == log.SERIES:
            self._series.extend_from_arrow(arrow_batch(entry.body))

    def _compare(self, read: Sequence[Entry]) -> None:
        rows = {
            (row["source"], row["sensor"], row["hour"]): row["accepted"]
            for entry in read
            if entry.kind == log.LEDGER
            for row in json.loads(entry.body)
            if row["hour"] >= (self._since or 0)
        }
        accepted: dict[tuple[str, int], int] = {}
        for (_, sensor, hour), count in rows.items():
            accepted[sensor, hour] = accepted.get((sensor, hour), 0) + count
        self._cursors.compare(self._name, accepted, read[-1].seq)

    def _tell(self, at: int) -> None:
        """Enter the verdict in the inbox when it has changed."""
        broken = self._cursors.unbalanced(self._name)
        command = BalanceCommand(sink=self._name, balanced=not broken)
        if broken:
            worst = broken[0]
            command = command.model_copy(
                update={
                    "sensor": worst.sensor,
                    "hour": worst.hour,
                    "accepted": worst.accepted,
                    "stored": worst.stored,
                    "refused": worst.refused,
                    "rows": len(broken),
                }
            )
        verdict = command.model_dump_json() if broken else _BALANCED
        if verdict == self._cursors.said(self._name):
            return
        say = events.error if broken else events.info
        say("ledger_imbalance", **command.model_dump(exclude={"command"}))
        if self._inbox is not None:
            body = command.model_dump_json().encode()
            self._inbox.append([Record(log.COMMAND, at, body)])
        self._cursors.note_said(self._name, verdict)
