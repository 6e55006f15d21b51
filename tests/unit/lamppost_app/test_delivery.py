# SPDX-License-Identifier: EUPL-1.2
"""A sink runner delivers every entry in order, whatever the sink or the disk does meanwhile."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from lamppost import log
from lamppost.errors import ConfigError, NotConnected, PartialWrite
from lamppost.frames import arrow_bytes
from lamppost.log import Entry, Record
from lamppost.series import SeriesTable
from lamppost_app.cursors import Cursors
from lamppost_app.delivery import SinkRunner, start_runners
from lamppost_app.sqlite_log import SqliteLog


class FileSink:
    """Appends bodies to a list; its failures are planned by the test, one a write."""

    name: ClassVar[str] = "file"
    wants: ClassVar[tuple[str, ...]] = (log.READINGS, log.SERIES)

    def __init__(self, failures: Sequence[Exception | None] = ()) -> None:
        """Take what each of the first writes raises, None for nothing."""
        self._failures = list(failures)
        self.written: list[bytes] = []
        self.calls: list[tuple[list[int], int]] = []
        self.closed = False

    def cursor(self) -> int | None:
        """Leave the position to the runner."""
        return None

    def write(self, entries: Sequence[Entry], cursor: int) -> None:
        """Fail as planned, else keep the bodies."""
        self.calls.append(([entry.seq for entry in entries], cursor))
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None and not isinstance(failure, PartialWrite):
            raise failure
        self.written += [entry.body for entry in entries]
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Say so."""
        self.closed = True


class OwnCursorSink(FileSink):
    """Keeps its position with its data, and learns names before it starts."""

    name: ClassVar[str] = "own"

    def __init__(self, position: int) -> None:
        """Start as if everything up to a position had been written before."""
        super().__init__()
        self.position = position
        self.primed: list[tuple[int, str]] = []

    def cursor(self) -> int | None:
        """Return the position stored with the data."""
        return self.position

    def write(self, entries: Sequence[Entry], cursor: int) -> None:
        """Keep bodies and position."""
        super().write(entries, cursor)
        self.position = cursor

    def prime(self, entries: Sequence[Entry]) -> None:
        """Note what it was told, and that nothing was written before."""
        assert self.calls == []
        self.primed += [(entry.seq, entry.kind) for entry in entries]


class Logs:
    """An outbox, a cursor file and the signal to stop."""

    def __init__(self, folder: Path) -> None:
        """Create both logs."""
        self.outbox = SqliteLog(folder / "outbox.db")
        self.cursors = Cursors(folder / "cursors.db")
        self.cursors_path = folder / "cursors.db"
        self.stop = threading.Event()

    def runner(self, sink: FileSink, every_s: float = 0.0) -> SinkRunner:
        """Return a runner for a sink."""
        return SinkRunner(sink, self.outbox, self.cursors, self.stop, every_s=every_s)

    def say(self, *bodies: bytes, kind: str = log.READINGS) -> None:
        """Append entries to the outbox."""
        self.outbox.append([Record(kind, 5, body) for body in bodies])


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    """Empty logs."""
    opened = Logs(tmp_path)
    yield opened
    opened.stop.set()
    opened.outbox.close()
    opened.cursors.close()


NO_SERIES = arrow_bytes(SeriesTable().to_arrow())


def wait_for(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Return as soon as something holds; fail when it does not in time."""
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def test_everything_in_the_outbox_is_delivered_in_order(logs: Logs) -> None:
    """And the position is kept for the next start."""
    logs.say(b"a", b"b", b"c")
    sink = FileSink()

    logs.runner(sink).drain()

    assert sink.written == [b"a", b"b", b"c"]
    assert logs.cursors.position("file") == 3


def test_a_sink_gets_only_the_kinds_it_wants(logs: Logs) -> None:
    """The cursor passes the others, too, or they would be read for ever."""
    logs.say(b"s", kind=log.SERIES)
    logs.say(b"alert", kind=log.ALERTS)
    logs.say(b"r")
    logs.say(b"ledger", kind=log.LEDGER)
    sink = FileSink()

    logs.runner(sink).drain()

    assert sink.calls == [([1, 3], 4)]
    assert logs.cursors.position("file") == 4


def test_a_long_outbox_comes_in_parts(logs: Logs) -> None:
    """Memory does not grow with how long a sink was away."""
    logs.say(*[b"%d" % number for number in range(1200)])
    sink = FileSink()

    logs.runner(sink).drain()

    assert sink.written == [b"%d" % number for number in range(1200)]
    assert max(len(numbers) for numbers, _ in sink.calls) <= 512


def test_a_restart_goes_on_after_the_last_position(logs: Logs) -> None:
    """Nothing is written twice when nothing went wrong."""
    logs.say(b"a")
    logs.runner(FileSink()).drain()
    logs.say(b"b")
    restarted = FileSink()

    logs.runner(restarted).drain()

    assert restarted.written == [b"b"]


def test_a_crash_between_write_and_position_delivers_again(logs: Logs) -> None:
    """Twice rather than not at all: the position of the last time is where it begins."""
    logs.say(b"a", b"b")
    logs.runner(FileSink()).drain()
    logs.cursors.set_position("file", 1)
    restarted = FileSink()

    logs.runner(restarted).drain()

    assert restarted.written == [b"b"]


def test_a_sink_with_a_cursor_of_its_own_is_believed(logs: Logs) -> None:
    """Its data are at that position, whatever the cursor file says."""
    logs.say(b"a", b"b", b"c")
    logs.cursors.set_position("own", 3)
    sink = OwnCursorSink(position=1)

    logs.runner(sink).drain()

    assert sink.written == [b"b", b"c"]
    assert sink.position == 3
    assert logs.cursors.position("own") == 3


def test_names_before_the_cursor_are_told_first(logs: Logs) -> None:
    """Series, stations and rules; what lies after the cursor comes in its turn."""
    for kind in (log.SERIES, log.READINGS, log.STATIONS, log.RULES, log.ALERTS, log.SERIES):
        logs.say(NO_SERIES if kind == log.SERIES else b"", kind=kind)
    sink = OwnCursorSink(position=5)

    logs.runner(sink).drain()

    assert sink.primed == [(1, log.SERIES), (3, log.STATIONS), (4, log.RULES)]
    assert sink.calls == [([6], 6)]


def test_draining_says_when_the_destination_did_not_take_everything(logs: Logs) -> None:
    """An export that is not whole must not look like one that is."""
    logs.say(b"a")
    sink = FileSink([NotConnected("away", retry_after_s=0.0)])

    with pytest.raises(NotConnected, match="file did not take everything"):
        logs.runner(sink).drain()

    assert logs.cursors.position("file") == 0


def test_a_sink_that_is_ahead_of_the_outbox_is_refused(logs: Logs) -> None:
    """The outbox was replaced; going on would skip what it says from now on."""
    logs.say(b"a")
    sink = OwnCursorSink(position=2)

    with pytest.raises(ConfigError, match="own has read up to entry 2, the outbox ends at 1"):
        logs.runner(sink).drain()

    assert sink.calls == []


def test_a_sink_that_is_written_to_now_and_then_gets_all_that_came(logs: Logs) -> None:
    """In one write, so that its files are replaced once."""
    logs.say(*[b"%d" % number for number in range(1200)])
    sink = FileSink()

    logs.runner(sink, every_s=1.0).drain()

    assert [len(numbers) for numbers, _ in sink.calls] == [1200]


@pytest.mark.parametrize(
    "failure",
    [
        NotConnected("busy", retry_after_s=0.0),
        NotConnected("away"),
        ValueError("a bug"),
        OSError("disk"),
    ],
)
def test_a_failed_write_is_tried_again_with_everything(
    failure: Exception, logs: Logs, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it was: the same entries, the same cursor, and nothing skipped."""
    caplog.set_level("INFO", logger="lamppost")
    logs.say(b"a", b"b")
    sink = FileSink([failure, failure])
    (thread,) = start_runners([logs.runner(sink)])

    wait_for(lambda: logs.cursors.position("file") == 2)
    logs.stop.set()
    thread.join()

    assert sink.calls[:3] == [([1, 2], 2)] * 3
    assert sink.written == [b"a", b"b"]
    events = [record.getMessage().split()[0] for record in caplog.records]
    assert events == ["sink_waiting", "sink_back"]


def test_the_position_stays_while_a_sink_is_away(logs: Logs) -> None:
    """Even when the runner is stopped meanwhile."""
    logs.say(b"a")
    sink = FileSink([NotConnected("away")] * 100)
    (thread,) = start_runners([logs.runner(sink)])

    wait_for(lambda: len(sink.calls) >= 1)
    logs.stop.set()
    thread.join(timeout=20)

    assert not thread.is_alive()
    assert sink.closed
    assert logs.cursors.position("file") == 0


def test_the_wish_of_the_destination_is_respected(logs: Logs) -> None:
    """It says how long to wait; we do not come sooner."""
    logs.say(b"a")
    sink = FileSink([NotConnected("too many requests", retry_after_s=1.0)])
    begun = time.monotonic()
    (thread,) = start_runners([logs.runner(sink)])

    wait_for(lambda: sink.written == [b"a"])
    took_s = time.monotonic() - begun
    logs.stop.set()
    thread.join()

    assert took_s >= 1.0


def test_refused_items_are_recorded_and_the_rest_counts_as_delivered(logs: Logs) -> None:
    """One bad item never takes its neighbours along, and is not lost without a word."""
    logs.say(b"a", b"b", b"c")
    sink = FileSink([PartialWrite({1: "too long"})])
    before = time.time_ns()

    logs.runner(sink).drain()

    assert sink.calls == [([1, 2, 3], 3)]
    assert logs.cursors.position("file") == 3
    (record,) = logs.cursors.read(0, 9)
    assert record.kind == log.QUARANTINE
    assert before <= record.at <= time.time_ns()
    content = json.loads(record.body)
    assert content == {"sink": "file", "position": 3, "refused": {"1": "too long"}}


def test_a_dead_sink_delays_nobody(logs: Logs) -> None:
    """Each runs by itself, from its own position."""
    logs.say(b"a")
    dead, alive = FileSink([NotConnected("away")] * 100), OwnCursorSink(position=0)
    threads = start_runners([logs.runner(dead), logs.runner(alive)])

    wait_for(lambda: alive.written == [b"a"])
    logs.say(b"b")
    wait_for(lambda: alive.written == [b"a", b"b"])
    logs.stop.set()
    for thread in threads:
        thread.join()

    assert dead.written == []


def test_what_is_said_before_the_stop_is_still_delivered(logs: Logs) -> None:
    """One last look, then the sink is closed."""
    sink = FileSink()
    runner = logs.runner(sink, every_s=60.0)
    logs.say(b"a")
    (thread,) = start_runners([runner])
    wait_for(lambda: sink.written == [b"a"])

    logs.say(b"b")
    logs.stop.set()
    thread.join(timeout=20)

    assert sink.written == [b"a", b"b"]
    assert sink.closed


def test_a_pause_between_writes_is_kept(logs: Logs) -> None:
    """Sinks that rewrite files ask for it."""
    sink = FileSink()
    logs.say(b"a")
    (thread,) = start_runners([logs.runner(sink, every_s=1.0)])
    wait_for(lambda: sink.written == [b"a"])
    written_at = time.monotonic()

    logs.say(b"b")
    wait_for(lambda: len(sink.calls) == 2)
    waited_s = time.monotonic() - written_at
    logs.stop.set()
    thread.join()

    assert waited_s >= 0.9


def test_a_full_disk_under_the_cursors_stops_no_sink(logs: Logs) -> None:
    """The runner waits until positions can be kept again, and goes on."""
    sink = FileSink()
    with sqlite3.connect(logs.cursors_path) as disk:
        disk.execute(
            "CREATE TRIGGER full BEFORE INSERT ON positions"
            " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    logs.say(b"a")
    (thread,) = start_runners([logs.runner(sink)])
    wait_for(lambda: sink.written == [b"a"])

    logs.say(b"b")
    disk.execute("DROP TRIGGER full")
    disk.commit()
    disk.close()
    wait_for(lambda: logs.cursors.position("file") == 2)
    alive = thread.is_alive()
    logs.stop.set()
    thread.join()

    assert alive
    assert sink.written[-1] == b"b"
