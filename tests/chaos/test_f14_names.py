# SPDX-License-Identifier: EUPL-1.2
"""F14: DNS fails, and a broker flaps between gone, unreachable and there.

Method: names that no resolver knows (RFC 2606, .invalid), and a resolver that changes its answer
from one question to the next; many attempts with the waits taken out, which are checked apart.
Pass: waits of 1..30 s drawn at random, no attempt ends anything, no thread and no descriptor is
left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from ingest.mqtt import MqttOptions
from ingest.mqtt_source import MqttSource
from lamppost.clock import SystemClock
from lamppost.component import Sink
from lamppost.log import Record
from lamppost.series import SeriesKey
from lamppost_app.cursors import Cursors
from lamppost_app.delivery import SinkRunner
from lamppost_app.sqlite_log import SqliteLog
from sinks.influxdb import InfluxdbSink, InfluxSettings
from sinks.mqtt_out import MqttOutSettings, MqttOutSink
from tests.chaos.trial import Chaos
from tests.chaos.waits import Noted
from tests.mqtt_packets import connack
from tests.outbox_entries import aggregates_entry, rules_entry, series_entry

NOWHERE = "broker.lamppost.invalid"
POLL_S = 0.05
"""What a runner waits when nothing is wrong is shorter than this."""


class Leftovers:
    """Descriptors and threads of this process, before and after."""

    def __init__(self) -> None:
        """Count what is there."""
        self._before = self._now()

    def grown(self) -> tuple[int, int]:
        """Return how many more descriptors and threads there are."""
        now = self._now()
        return now[0] - self._before[0], now[1] - self._before[1]

    @staticmethod
    def _now() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """Leave nothing to the garbage collector: what only it would close is left behind."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Flapping:
    """A listener that treats each connection worse than the one before."""

    def __init__(self) -> None:
        """Listen and serve in a thread of its own."""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def _serve(self) -> None:
        number = 0
        while True:
            try:
                peer, _ = self._server.accept()
            except OSError:
                return
            with peer:
                number += 1
                if number % 3:
                    peer.recv(1024)
                    peer.sendall(connack() if number % 3 == 1 else b"\x20\x02\x00\x05")


@pytest.fixture
def resolver(chaos: Chaos, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own in the short form; it would take minutes in the full one."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if chaos.full:
        monkeypatch.setattr(socket, "getaddrinfo", unknown)


@pytest.fixture
def flapping() -> Iterator[Flapping]:
    """A broker that ends every connection, some before and some after it accepted us."""
    made = Flapping()
    yield made
    made.close()


async def attempts(options: MqttOptions, count: int) -> Noted:
    """Let the MQTT door try so often; fails when it ends by itself."""
    backoff, stop = Noted(share=0.0), asyncio.Event()
    source = MqttSource(options, SystemClock(), lambda _: None, backoff)
    running = asyncio.create_task(source.run(stop))
    while len(backoff.waits) < count:
        assert not running.done(), "it has given up"
        await asyncio.sleep(0.01)
    stop.set()
    await running
    return backoff


def options(host: str, port: int = 1883) -> MqttOptions:
    """Return how to reach a broker by name."""
    return MqttOptions(host, port, ("v1/+/readings",), "names", protocol="3.1.1")


def run(scene: Callable[[], object]) -> None:
    """Run a scene in the loop of the intake, warm, and again; the second may leave nothing."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())  # type: ignore[arg-type]


@pytest.mark.timeout(900)
def test_the_mqtt_door_outlives_a_name_nobody_knows(
    chaos: Chaos, resolver: None, caplog: pytest.LogCaptureFixture
) -> None:
    """It tries for ever, says which name, and leaves nothing behind with each attempt."""
    count = chaos.pick(12, 1000)
    grown: list[tuple[int, int]] = []

    async def scene() -> None:
        await attempts(
            options(NOWHERE), chaos.pick(4, 40)
        )  # the threads of the loop's pool are there now
        with no_collector():
            leftovers = Leftovers()
            backoff = await attempts(options(NOWHERE), count)
            grown.append(leftovers.grown())
        assert all(1.0 <= wait <= 30.0 for wait in backoff.waits)
        assert len(set(backoff.waits)) > count // 2
        assert max(backoff.waits) > 3.0

    with caplog.at_level(logging.WARNING, "lamppost"):
        run(scene)

    assert f"the name {NOWHERE} cannot be resolved" in caplog.text
    descriptors, threads = grown[0]
    assert descriptors <= 0
    assert threads <= 1
    chaos.report(
        fault="F14",
        did=f"{count} attempts of the MQTT door at a name nobody knows",
        descriptors_left=descriptors,
        threads_left=threads,
    )


@pytest.mark.timeout(900)
def test_the_mqtt_door_outlives_a_broker_that_flaps(
    chaos: Chaos, flapping: Flapping, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown, refused, accepted and ended, in turns drawn at random."""
    count = chaos.pick(200, 1000)
    resolve = socket.getaddrinfo
    closed = socket.create_server(("127.0.0.1", 0))
    nobody = closed.getsockname()[1]
    closed.close()

    def fickle(host: str, port: int, *given: object, **named: object) -> object:
        if host != NOWHERE:
            return resolve(host, port, *given, **named)  # type: ignore[arg-type]
        answer = chaos.random.choice(["unknown", "again", "refused", "there"])
        if answer == "unknown":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if answer == "again":
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        number = nobody if answer == "refused" else port
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", number))]

    monkeypatch.setattr(socket, "getaddrinfo", fickle)
    grown: list[tuple[int, int]] = []

    async def scene() -> None:
        await attempts(options(NOWHERE, flapping.port), 40)
        with no_collector():
            leftovers = Leftovers()
            backoff = await attempts(options(NOWHERE, flapping.port), count)
            grown.append(leftovers.grown())
        assert all(1.0 <= wait <= 30.0 for wait in backoff.waits)

    run(scene)

    descriptors, threads = grown[0]
    assert descriptors <= 1  # the listener may hold the last connection still
    assert threads <= 1
    chaos.report(
        fault="F14",
        did=f"{count} connections to a broker that flaps",
        descriptors_left=descriptors,
        threads_left=threads,
    )


class Watch:
    """Where a sink's runner waits: it notes how long, and tells it to end after so many waits."""

    def __init__(self, count: int) -> None:
        """Take how often it may wait."""
        self.waits: list[float] = []
        self._count = count

    def is_set(self) -> bool:
        """Return whether to end."""
        return len(self.waits) >= self._count

    def wait(self, timeout: float | None = None) -> bool:
        """Let no time pass."""
        self.waits.append(timeout or 0.0)
        return self.is_set()


def influxdb() -> Sink:
    """The InfluxDB sink with a server nobody knows."""
    url = "http://influxdb.lamppost.invalid:8086"
    return InfluxdbSink(InfluxSettings(url=url, timeout_s=2.0))


def mqtt_out() -> Sink:
    """The MQTT sink with a broker nobody knows."""
    return MqttOutSink(MqttOutSettings(host=NOWHERE, timeout_s=0.01))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("made", [influxdb, mqtt_out])
def test_a_sink_outlives_a_name_nobody_knows(
    chaos: Chaos,
    tmp_path: Path,
    made: Callable[[], Sink],
    resolver: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its cursor stays, it tries for ever, and leaves nothing behind with each attempt."""
    count = chaos.pick(10, 1000)
    outbox = SqliteLog(tmp_path / "outbox.db")
    for entry in (
        rules_entry(1),
        series_entry(2, [SeriesKey("s", "pm2_5")]),
        aggregates_entry(3),
    ):
        outbox.append([Record(entry.kind, entry.at, entry.body)])
    cursors = Cursors(tmp_path / "cursors.db")
    warm, watch = Watch(2), Watch(count)

    def deliver(stop: Watch) -> int:
        runner = SinkRunner(made(), outbox, cursors, stop)
        runner.open()
        runner.run()
        return runner.position

    with caplog.at_level(logging.WARNING, "lamppost"):
        deliver(warm)
        with no_collector():
            leftovers = Leftovers()
            position = deliver(watch)
            descriptors, threads = leftovers.grown()
    outbox.close()
    cursors.close()

    assert position == 0
    retries = [wait for wait in watch.waits if wait > POLL_S]
    assert len(retries) > count // 3
    assert max(retries) <= 30.0
    assert len(set(retries)) > len(retries) // 2
    assert "invalid" in caplog.text
    assert descriptors <= 0
    assert threads <= 0
    chaos.report(
        fault="F14",
        did=f"{count} attempts of {made.__name__} at a name nobody knows",
        longest_wait_s=max(retries),
        descriptors_left=descriptors,
        threads_left=threads,
    )
