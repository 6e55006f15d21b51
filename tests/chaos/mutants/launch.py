# SPDX-License-Identifier: EUPL-1.2
"""Runs the command line with one step broken on purpose: ``launch.py <mutant> run --role …``.

Nothing in the product knows of this. Where a mutant needs time to be caught in, its control is as
slow and otherwise whole.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ingest.mqtt_source import MqttSource
from ingest.mqtt_wire import Received
from lamppost import log
from lamppost.balance import Tally
from lamppost.log import Entry, Record
from lamppost_app import cli
from lamppost_app.delivery import SinkRunner
from lamppost_app.pipeline import Pipeline
from lamppost_app.sqlite_log import SqliteLog

SLOW_S = 0.3
STALLED_S = 3.0


def slow_disk(seconds: float = SLOW_S) -> None:
    """Control: every frame takes a while to be committed."""
    real = SqliteLog.append

    def append(self: SqliteLog, records: Sequence[Record]) -> int:
        if any(record.kind == log.FRAME for record in records):
            time.sleep(seconds)
        return real(self, records)

    SqliteLog.append = append


def acknowledge_first() -> None:
    """Broken: a commit is said to be done and follows a while later, so that it is acknowledged."""
    real = SqliteLog.append
    later: queue.SimpleQueue[tuple[SqliteLog, Sequence[Record]]] = queue.SimpleQueue()

    def work() -> None:
        while True:
            given = later.get()
            time.sleep(SLOW_S)
            real(*given)

    def append(self: SqliteLog, records: Sequence[Record]) -> int:
        if all(record.kind != log.FRAME for record in records):
            return real(self, records)
        later.put((self, records))
        return 0

    SqliteLog.append = append
    threading.Thread(target=work, daemon=True).start()


def slow_results() -> None:
    """Control: the engine takes a while before each commit."""
    real = SqliteLog.commit_results

    def commit(self: SqliteLog, records: Sequence[Record], **given: Any) -> int:
        time.sleep(SLOW_S)
        return real(self, records, **given)

    SqliteLog.commit_results = commit


def position_first() -> None:
    """Broken: the engine's position is committed by itself, its results afterwards."""
    real = SqliteLog.commit_results

    def commit(self: SqliteLog, records: Sequence[Record], **given: Any) -> int:
        self.set_position(given["consumer"], given["position"])
        time.sleep(SLOW_S)
        return real(self, records, **{**given, "expected": None})

    SqliteLog.commit_results = commit


def state_dropped() -> None:
    """Broken: the engine goes on from a snapshot without what its processors held."""
    slow_results()
    Pipeline.restore = lambda _self, _snapshot: None


def slow_sink() -> None:
    """Control: a sink takes a while before each write."""
    _before_delivery(lambda _runner, _position: time.sleep(SLOW_S))


def cursor_first() -> None:
    """Broken: a sink's position is committed, and the entries are written afterwards."""

    def too_early(runner: SinkRunner, position: int) -> None:
        runner._cursors.set_position(runner.name, position)
        time.sleep(SLOW_S)

    _before_delivery(too_early)


def _before_delivery(work: Callable[[SinkRunner, int], None]) -> None:
    real = SinkRunner._write

    def write(self: SinkRunner, wanted: Sequence[Entry], position: int) -> Tally | None:
        work(self, position)
        return real(self, wanted, position)

    SinkRunner._write = write


def stalled_disk() -> None:
    """Control: a frame takes so long that its connection may be gone when it is committed."""
    slow_disk(STALLED_S)


def any_connection() -> None:
    """Broken: acknowledgements go out over whatever connection there is."""
    stalled_disk()

    def acknowledge(self: MqttSource, messages: Sequence[Received]) -> None:
        self._connection.acknowledge(messages)

    MqttSource.acknowledge = acknowledge


if __name__ == "__main__":
    globals()[sys.argv.pop(1)]()
    cli.main()
