# SPDX-License-Identifier: EUPL-1.2
"""F4, a sink is down for an hour: refused connections, 503, time-outs, an answer at 1 B/s.

Method: in virtual time, what an engine said in an hour, to a server that fails in each way;
in real time, a real installation whose VictoriaMetrics stands still and then is away.
Pass: loss 0, every point once and in order, memory of the sink bounded, intake and the other sinks
as ever, alerts reach the other sink, the backlog drained with a fifth of the work or less.
"""

from __future__ import annotations

import functools
import itertools
import os
import random
import socket
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pytest

from lamppost import log
from lamppost.balance import Tally
from lamppost.log import Entry, Record
from lamppost.series import SeriesKey
from lamppost.times import SECOND_NS
from lamppost_app.cursors import Cursors
from lamppost_app.delivery import SinkRunner
from lamppost_app.engine import Engine
from lamppost_app.sqlite_log import SqliteLog
from sinks.influxdb import InfluxdbSink, InfluxSettings
from tests.chaos.conftest import KeyedDatabase
from tests.chaos.evidence import opened
from tests.chaos.invariants import check
from tests.chaos.mqtt_proxy import RecordingProxy
from tests.chaos.publisher import City as CityOf
from tests.chaos.publisher import Publisher
from tests.chaos.settling import settle
from tests.chaos.trial import FULL, Chaos
from tests.chaos.virtual_time import VirtualTime
from tests.installation import Installation
from tests.outbox_entries import START_NS, readings_entry, series_entry
from tests.pipeline.city_inbox import BEGIN, city_records
from tests.raw_server import RawServer, read_request
from tests.write_server import Answer, WriteServer

MINUTES = 80
DOWN_AT_S, UP_AT_S, END_S = 600.0, 4200.0, 4900.0
TIMEOUT_S = 0.4
LOOK_S = 3.0
MEMORY_BOUND = 50 << 20
GROWTH_BOUND = 50 << 20

# What the server says while it is down; None stops it, so that connections are refused.
SAYS: dict[str, Answer | None] = {
    "refused": None,
    "503": Answer(503, "no"),
    "503, come back in a minute": Answer(503, "no", {"Retry-After": "60"}),
    "silent": Answer(503, after_s=1.5 * TIMEOUT_S),
    "1 byte a second": Answer(503, "x" * 20, byte_s=TIMEOUT_S / 4),
}
# The least and the most attempts an hour of each may see.
ATTEMPTS = {
    "refused": (100, 260),
    "503": (100, 260),
    "503, come back in a minute": (50, 62),
    "silent": (20, 90),
    "1 byte a second": (20, 90),
}


@functools.cache
def outbox_by_record() -> list[tuple[float, list[Record]]]:
    """Return what the engine says to a small city's messages, each with its second."""
    engine = Engine()
    return [
        ((record.at - BEGIN) / SECOND_NS, engine.apply(Entry(number, *record)))
        for number, record in enumerate(city_records(MINUTES), 1)
    ]


class AlertsSink:
    """Takes alerts and notes when; beside the failing sink it must not notice anything."""

    name: ClassVar[str] = "other"
    wants: ClassVar[tuple[str, ...]] = (log.ALERTS, log.READINGS, log.AGGREGATES)

    def __init__(self, time_: VirtualTime) -> None:
        """Take the time."""
        self._time = time_
        self.taken: dict[int, float] = {}
        self.alerts: list[float] = []

    def cursor(self) -> int | None:
        """Leave the position to the runner."""
        return None

    def write(self, entries: Sequence[Entry], cursor: int) -> Tally | None:
        """Note when each entry came."""
        self.taken.update({entry.seq: self._time.now for entry in entries})
        self.alerts += [self._time.now for entry in entries if entry.kind == log.ALERTS]
        self.taken[cursor] = self._time.now
        return None

    def close(self) -> None:
        """Hold nothing."""


class Hour:
    """Eighty virtual minutes of an outbox, a database that fails for sixty, and another sink."""

    def __init__(self, folder: Path, chance: random.Random, charged_s: float) -> None:
        """Open the logs and the sinks; a time-out counts as some virtual seconds."""
        self._charged_s = charged_s
        self.time = VirtualTime()
        self.outbox = SqliteLog(folder / "outbox.db")
        self.cursors = Cursors(folder / "cursors.db")
        self.server = WriteServer()
        self.stopped = False
        settings = InfluxSettings(url=self.server.url, timeout_s=TIMEOUT_S, request_bytes=200_000)
        self.influx = InfluxdbSink(settings)
        self.other = AlertsSink(self.time)
        never = threading.Event()
        self.failing, self.well = (
            SinkRunner(sink, self.outbox, self.cursors, never, chance=chance)
            for sink in (self.influx, self.other)
        )
        self.said_at: dict[int, float] = {}
        self.attempts: list[float] = []
        self.peak = 0
        self.fault = ""
        self.live_requests = self.drain_requests = self.accepted_before = self.backlog_end = 0

    def close(self) -> None:
        """Close everything."""
        self.influx.close()
        if not self.stopped:
            self.server.__exit__()
        self.outbox.close()
        self.cursors.close()

    def play(self, fault: str) -> None:
        """Let the eighty minutes pass."""
        for instant, records in outbox_by_record():
            if records:
                self.time.at(instant, functools.partial(self._say, records))
        for runner in (self.failing, self.well):
            runner.open()
        self._drive_well()
        self._drive_failing()
        self.time.at(DOWN_AT_S, lambda: self._fail(fault))
        self.time.at(UP_AT_S, self._recover)
        self.time.run(END_S)

    def _say(self, records: list[Record]) -> None:
        last = self.outbox.append(records)
        self.said_at.update({last - back: self.time.now for back in range(len(records))})

    def _fail(self, fault: str) -> None:
        self.fault, answer = fault, SAYS[fault]
        self.live_requests = len(self.server.accepted)
        if answer is None:
            self.server.__exit__()
            self.stopped = True
        else:
            self.server.script = lambda _: answer

    def _recover(self) -> None:
        self.fault = ""
        self.backlog_end, self.accepted_before = self.outbox.last(), len(self.server.accepted)
        if self.stopped:
            former = self.server
            self.server = WriteServer(port=former.port)
            self.server.accepted = former.accepted
            self.stopped = False
        self.server.script = lambda _: Answer()

    def _drive_well(self) -> None:
        # The real pause between looks is shorter; nothing else depends on it.
        self.time.after(max(self.well.step(), LOOK_S), self._drive_well)

    def _drive_failing(self) -> None:
        if not self.fault:
            self.time.after(max(self.failing.step(), LOOK_S), self._drive_failing)
            if not self.drain_requests and 0 < self.backlog_end <= self.failing.position:
                self.drain_requests = len(self.server.accepted) - self.accepted_before
            return
        # Watching memory takes ten times the work of an attempt, so not each one is watched.
        if len(self.attempts) % 20 == 10:
            tracemalloc.start()
            waits_s = self.failing.step()
            self.peak = max(self.peak, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        else:
            waits_s = self.failing.step()
        if self.failing.waiting:
            self.attempts.append(self.time.now)
            charged = SAYS[self.fault] is not None and "503" not in self.fault
            waits_s += self._charged_s if charged else 0.0
        self.time.after(max(waits_s, 0.25), self._drive_failing)


@pytest.fixture
def hour(tmp_path: Path, chaos: Chaos) -> Iterator[Hour]:
    """Return the hour, and close it in the end."""
    # In memory where there is such a folder: thousands of commits wait for no disk here.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        made = Hour(Path(folder), chaos.random, chaos.pick(120.0, 30.0))
        yield made
        made.close()


@pytest.mark.parametrize(
    "fault", [*SAYS] if FULL else ["one of them"], ids=lambda fault: fault.replace(" ", "-")
)
def test_an_hour_without_the_database(fault: str, hour: Hour, chaos: Chaos) -> None:
    """Nothing is lost or doubled, nobody else notices, and the backlog goes in large pieces."""
    fault = fault if chaos.full else chaos.random.choice([*SAYS])
    hour.play(fault)

    # The same outbox, to a server that never failed.
    wanted = accepted_lines_of(hour.outbox)
    lines = [line for request in hour.server.accepted for line in request.lines]
    assert lines == wanted, "lost, doubled or out of order"
    assert hour.failing.position == hour.outbox.last()
    low, high = ATTEMPTS[fault]
    assert low <= len(hour.attempts) <= high
    pauses = [later - earlier for earlier, later in itertools.pairwise(hour.attempts[8:])]
    if "minute" not in fault:
        assert len(set(pauses)) > len(pauses) / 2, "there is no jitter"
    assert hour.peak < MEMORY_BOUND
    lags = [
        hour.other.taken[seq] - said
        for seq, said in hour.said_at.items()
        if seq in hour.other.taken
    ]
    assert max(lags) <= LOOK_S
    alerts = [at for at in hour.other.alerts if DOWN_AT_S < at < UP_AT_S]
    assert alerts
    live, drained = work_per_entry(hour)
    assert live >= 5 * drained
    chaos.report(
        fault="F4",
        did=f"an hour of: {fault} (virtual time)",
        lost=0,
        doubled=0,
        points=len(lines),
        attempts=len(hour.attempts),
        peak_held_MiB=hour.peak / 2**20,
        alerts_meanwhile=len(alerts),
        longest_lag_of_the_other_sink_s=max(lags),
        drain_to_live_ratio=live / drained,
    )


def accepted_lines_of(outbox: SqliteLog) -> list[str]:
    """Return the lines a server gets that never fails."""
    with WriteServer() as server:
        sink = InfluxdbSink(InfluxSettings(url=server.url))
        after = 0
        while entries := outbox.read(after, 100):
            sink.write([entry for entry in entries if entry.kind in sink.wants], entries[-1].seq)
            after = entries[-1].seq
        sink.close()
        return [line for request in server.requests for line in request.lines]


def work_per_entry(hour: Hour) -> tuple[float, float]:
    """Return requests for each outbox entry, before the fault and while the backlog was drained."""
    live = sum(1 for said in hour.said_at.values() if said < DOWN_AT_S)
    backlog = sum(1 for said in hour.said_at.values() if DOWN_AT_S <= said < UP_AT_S)
    return hour.live_requests / live, hour.drain_requests / backlog


@pytest.mark.parametrize("status", [204, 503])
def test_what_a_long_absence_has_left_is_taken_in_small_pieces(
    status: int, chaos: Chaos, tmp_path: Path
) -> None:
    """However large the backlog, a sink holds a few megabytes of it at a time."""
    rows, entries = 3_000, chaos.pick(200, 1_000)
    outbox, cursors = SqliteLog(tmp_path / "outbox.db"), Cursors(tmp_path / "cursors.db")
    names = series_entry(1, [SeriesKey("aq-017", "pm2_5")])
    outbox.append([Record(*names[1:])])
    for number in range(entries):
        times = START_NS + (np.arange(rows) + number * rows) * SECOND_NS
        outbox.append([Record(*readings_entry(0, time=times)[1:])])
    said = b"HTTP/1.1 %d Said\r\nContent-Length: 0\r\n\r\n" % status

    def answer(connection: socket.socket, _: threading.Event) -> None:
        while read_request(connection):
            connection.sendall(said)

    with RawServer(answer) as server:
        sink = InfluxdbSink(InfluxSettings(url=server.url))
        runner = SinkRunner(sink, outbox, cursors, threading.Event(), chance=chaos.random)
        runner.open()
        held = []
        for _ in range(5):
            tracemalloc.start()
            runner.step()
            held.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        sink.close()
    size = sum(len(entry.body) for entry in outbox.read(0, entries + 1))
    outbox.close()
    cursors.close()

    assert max(held) < MEMORY_BOUND
    chaos.report(
        fault="F4",
        did=f"a backlog of {size >> 20} MiB, answers {status}",
        peak_held_MiB=max(held) / 2**20,
        bound_MiB=MEMORY_BOUND >> 20,
    )


@pytest.mark.timeout(9000)
def test_a_real_database_stands_still_and_then_is_away(
    chaos: Chaos,
    installation: Installation,
    proxy: RecordingProxy,
    database: KeyedDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SIGSTOP, so that requests time out, then SIGTERM, so that they are refused; then back."""
    rate = chaos.pick(200.0, 500.0)
    down_s = chaos.pick(3.0, float(os.environ.get("LAMPPOST_DOWN_S", "300")))
    messages = round(rate * (2 * down_s + chaos.pick(3, 60)))
    monkeypatch.setenv("LAMPPOST_INFLUXDB__TIMEOUT_S", str(chaos.pick(1.0, 10.0)))
    city = CityOf.ending_now(100, messages)
    installation.start()
    publisher = Publisher(proxy.broker_port, map(city, range(messages)), rate=rate).start()
    cursors = SqliteLog(installation.folder / "data" / "cursors.db")
    installation.wait_until(lambda: cursors.position("influxdb") > 0)
    before = memory_of(installation)

    database.freeze()
    try:
        stood = watched(installation, proxy, cursors, down_s)
    finally:
        database.thaw()
        database.stop()
    away = watched(installation, proxy, cursors, down_s)
    grown = {role: memory_of(installation)[role] - before[role] for role in before}
    up_at = time.monotonic()
    waiting = entries_waiting(installation, cursors)
    database.start()
    published = publisher.finish(600)
    installation.wait_until(lambda: entries_waiting(installation, cursors) < 50, 300)
    drained_s = time.monotonic() - up_at
    cursors.close()
    evidence = settle(installation, proxy, published)

    assert "sink_waiting" in installation.output()
    assert "sink_back" in installation.output()
    figures = check(replace(evidence, database=database))
    assert figures["readings"] == messages
    # While Lamppost is young its memory grows by itself: in the short form, by caches and imports.
    assert grown["deliver"] < GROWTH_BOUND
    chaos.report(
        fault="F4",
        did=f"VictoriaMetrics frozen {down_s:g} s, away {down_s:g} s, {rate:g} messages/s",
        lost=0,
        intake_per_s_meanwhile=(stood.acknowledged + away.acknowledged) / (2 * down_s),
        store_entries_meanwhile=stood.stored + away.stored,
        entries_waiting_at_the_end=waiting,
        drained_s=drained_s,
        growth_MiB={role: size >> 20 for role, size in grown.items()},
    )


class Watched(NamedTuple):
    """What went on while the database was down."""

    acknowledged: int
    stored: int


def watched(
    installation: Installation, proxy: RecordingProxy, cursors: SqliteLog, seconds: float
) -> Watched:
    """Let seconds pass, and see that intake and the other sinks go on, the failing one does not."""
    acknowledged, stored = len(proxy.acknowledged), cursors.position("store")
    time.sleep(seconds)
    failing = cursors.position("influxdb")
    installation.wait_until(lambda: len(proxy.acknowledged) > acknowledged)
    installation.wait_until(lambda: cursors.position("store") > stored)
    installation.wait_until(lambda: cursors.position("open_data") > failing)
    return Watched(len(proxy.acknowledged) - acknowledged, cursors.position("store") - stored)


def entries_waiting(installation: Installation, cursors: SqliteLog) -> int:
    """Return how many outbox entries the database does not have yet."""
    with opened(installation.folder / "data" / "outbox.db") as outbox:
        return outbox.last() - cursors.position("influxdb")


def memory_of(installation: Installation) -> dict[str, int]:
    """Return the memory each role holds now."""
    found = {}
    for role, pid in installation.pids().items():
        status = Path(f"/proc/{pid}/status").read_text()
        found[role] = int(status.partition("VmRSS:")[2].split()[0]) * 1024
    return found
