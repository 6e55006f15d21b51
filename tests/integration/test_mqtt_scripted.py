# SPDX-License-Identifier: EUPL-1.2
"""The MQTT door against brokers that lose sessions, flood, send giants and break the rules."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path

import psutil
import pytest
import uvloop

from ingest.mqtt import MqttOptions
from ingest.mqtt_source import MqttSource
from lamppost import log
from lamppost.clock import SystemClock
from lamppost.frames import Deliveries
from lamppost_app.decoding import TOO_LARGE_HEADER
from lamppost_app.intake import FrameWriter
from lamppost_app.settings import IntakeSettings
from lamppost_app.sqlite_log import SqliteLog
from tests.integration.scripted_broker import (
    DISCONNECT,
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBREC,
    SUBSCRIBE,
    Peer,
    ScriptedBroker,
)
from tests.mqtt_packets import connack, packet, publish, text, variable


class Gate:
    """An inbox whose commits wait until they are let through."""

    def __init__(self, inner: SqliteLog) -> None:
        """Start closed."""
        self._inner = inner
        self._passes = threading.Semaphore(0)
        self.frames_begun = 0

    def append(self, records: Sequence[log.Record]) -> int:
        """Store, once let through; ticks always pass."""
        if any(record.kind == log.FRAME for record in records):
            self.frames_begun += 1
            self._passes.acquire()
        return self._inner.append(records)

    def let_through(self, frames: int) -> None:
        """Allow some commits."""
        self._passes.release(frames)


@contextlib.asynccontextmanager
async def intake(
    broker: ScriptedBroker,
    inbox: Gate | SqliteLog,
    settings: IntakeSettings | None = None,
    window: int = 0,
    **changes: object,
) -> AsyncIterator[tuple[MqttSource, FrameWriter]]:
    """Run an intake in this loop."""
    given: dict[str, object] = {
        "host": "127.0.0.1",
        "port": broker.port,
        "topics": ("v1/+/readings",),
        "client_id": "scripted",
        "protocol": "3.1.1",
    }
    stop = asyncio.Event()
    writer = FrameWriter(inbox, SystemClock(), settings or IntakeSettings(), window=window)  # type: ignore[arg-type]
    source = MqttSource(MqttOptions(**(given | changes)), SystemClock(), writer.add)  # type: ignore[arg-type]
    writer.acknowledge = source.acknowledge
    writer.hold = lambda on: source.pause() if on else source.resume()
    tasks = [asyncio.create_task(source.run(stop)), asyncio.create_task(writer.run(stop))]
    try:
        yield source, writer
    finally:
        stop.set()
        if isinstance(inbox, Gate):
            inbox.let_through(1000)
        await asyncio.gather(*tasks)


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[SqliteLog]:
    """An empty inbox."""
    opened = SqliteLog(tmp_path / "inbox.db")
    yield opened
    opened.close()


@pytest.fixture
def broker() -> Iterator[ScriptedBroker]:
    """A broker that speaks MQTT 3.1.1."""
    scripted = ScriptedBroker()
    yield scripted
    scripted.close()


def run(scene: Coroutine[None, None, None]) -> None:
    """Run a scene in the loop the intake process uses."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene)


def frames(inbox: SqliteLog) -> list[Deliveries]:
    """Return the frames of an inbox."""
    entries = inbox.read(0, 100_000)
    return [Deliveries.from_bytes(entry.body) for entry in entries if entry.kind == log.FRAME]


def payloads(inbox: SqliteLog) -> list[bytes]:
    """Return all payloads of an inbox."""
    return list(itertools.chain.from_iterable(frame.payloads for frame in frames(inbox)))


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait in a script for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def resident_bytes() -> int:
    """Return the memory this process has in use."""
    return int(psutil.Process().memory_info().rss)


def test_no_acknowledgement_crosses_into_another_connection(
    broker: ScriptedBroker, inbox: SqliteLog
) -> None:
    """A lost session reuses packet ids; only what came over this connection is acknowledged."""
    gate = Gate(inbox)

    def script() -> None:
        first = broker.accept()
        first.welcome(session_present=False)
        first.publish(range(1, 11), "old {mid}")
        wait_until(lambda: gate.frames_begun == 1)
        first.socket.close()
        second = broker.accept()
        second.welcome(session_present=False)
        second.publish(range(1, 11), "new {mid}")
        time.sleep(0.2)
        gate.let_through(1)
        wait_until(lambda: len(payloads(inbox)) == 10)
        assert second.within(0.5) == []
        gate.let_through(100)
        assert second.pubacks(10) == list(range(1, 11))
        assert second.within(0.3) == []

    async def scene() -> None:
        async with intake(broker, gate):
            await asyncio.to_thread(script)

    run(scene())

    numbers = range(1, 11)
    expected = [f"{age} {mid}" for age in ("old", "new") for mid in numbers]
    assert [body.decode() for body in payloads(inbox)] == expected


def flood(peer: Peer, stop: threading.Event) -> int:
    """Publish without regard to any window until told to stop; return the bytes taken."""
    mids = itertools.cycle(range(1, 65_536))
    peer.socket.settimeout(0.1)
    sent, rest = 0, b""
    while not stop.is_set():
        rest = rest or b"".join(
            publish("v1/a/readings", b"x" * 1000, qos=1, mid=next(mids)) for _ in range(100)
        )
        with contextlib.suppress(TimeoutError):
            count = peer.socket.send(rest)
            sent, rest = sent + count, rest[count:]
    peer.socket.settimeout(10)
    peer.socket.sendall(rest)
    return sent + len(rest)


def test_a_broker_that_ignores_its_window_is_not_read(
    broker: ScriptedBroker, inbox: SqliteLog
) -> None:
    """What is held stays within the bounds, memory flat, and later everything is committed."""
    gate = Gate(inbox)
    settings = IntakeSettings(held_messages=2000, held_bytes=1_000_000, frame_messages=500)
    sent: list[int] = []
    most_bytes = most_resident = 0

    def script() -> None:
        nonlocal most_bytes, most_resident
        peer = broker.accept()
        peer.welcome()
        gate.let_through(1)
        peer.publish(range(1, 2))  # the first commit makes Arrow set up its memory
        assert peer.pubacks(1) == [1]
        before, stop = resident_bytes(), threading.Event()
        flooding = threading.Thread(target=lambda: sent.append(flood(peer, stop)))
        flooding.start()
        for _ in range(300):
            most_bytes = max(most_bytes, held())
            most_resident = max(most_resident, resident_bytes() - before)
            time.sleep(0.01)
        stop.set()
        gate.let_through(10_000)
        flooding.join()
        messages = sent[0] // len(publish("v1/a/readings", b"x" * 1000, qos=1))
        wait_until(lambda: len(payloads(inbox)) == messages + 1)

    def held() -> int:
        return writers[0].held_bytes

    writers: list[FrameWriter] = []

    async def scene() -> None:
        async with intake(broker, gate, settings) as (source, writer):
            writers.append(writer)
            await asyncio.to_thread(script)
            assert not source.paused

    run(scene())

    assert settings.held_bytes <= most_bytes < settings.held_bytes + 200_000
    assert most_resident < 10_000_000, most_resident


def test_a_pause_longer_than_the_keepalive_keeps_the_connection(
    broker: ScriptedBroker, inbox: SqliteLog
) -> None:
    """While the disk does not take more, pings go out and no answer is missed."""
    gate = Gate(inbox)
    settings = IntakeSettings(held_messages=5)

    def script() -> None:
        peer = broker.accept()
        peer.welcome()
        peer.publish(range(1, 11))
        during = peer.within(5)
        assert {one.kind for one in during} == {PINGREQ}
        assert len(during) >= 2
        gate.let_through(100)
        assert peer.pubacks(10) == list(range(1, 11))

    async def scene() -> None:
        async with intake(broker, gate, settings, keepalive_s=1) as (source, _):
            await asyncio.to_thread(script)
            assert not source.paused

    run(scene())


def test_a_full_intake_does_not_come_back_for_more(
    broker: ScriptedBroker, inbox: SqliteLog
) -> None:
    """A connection lost during a pause is made anew only when there is room again."""
    gate = Gate(inbox)

    def script() -> None:
        peer = broker.accept()
        peer.welcome()
        peer.publish(range(1, 11))
        wait_until(lambda: gate.frames_begun == 1)
        peer.socket.close()
        with pytest.raises(TimeoutError):
            broker.accept(seconds=2)
        gate.let_through(100)
        broker.accept().welcome()

    async def scene() -> None:
        async with intake(broker, gate, IntakeSettings(held_messages=5)):
            await asyncio.to_thread(script)

    run(scene())

    assert len(payloads(inbox)) == 10


def test_a_commit_takes_at_most_half_of_the_window(
    broker: ScriptedBroker, inbox: SqliteLog
) -> None:
    """The broker gets acknowledgements while it still may send."""

    def script() -> None:
        peer = broker.accept()
        peer.welcome()
        peer.publish(range(1, 41))
        assert peer.pubacks(40) == list(range(1, 41))

    async def scene() -> None:
        async with intake(broker, inbox, IntakeSettings(frame_ms=5000), window=16):
            await asyncio.to_thread(script)

    run(scene())

    assert [len(frame) for frame in frames(inbox)] == [8] * 5


def test_messages_at_qos_2_go_through_paho(broker: ScriptedBroker, inbox: SqliteLog) -> None:
    """They are never asked for, but if sent are stored, and completed after the commit."""
    gate = Gate(inbox)

    def script() -> None:
        peer = broker.accept()
        peer.welcome()
        peer.socket.sendall(publish("v1/a/readings", b"twice", qos=2, mid=9))
        assert peer.next() == (PUBREC, b"\0\x09")
        peer.socket.sendall(packet(0x62, b"\0\x09"))
        assert peer.within(0.3) == []
        gate.let_through(1)
        assert peer.next() == (PUBCOMP, b"\0\x09")

    async def scene() -> None:
        async with intake(broker, gate):
            await asyncio.to_thread(script)

    run(scene())

    assert payloads(inbox) == [b"twice"]


def test_an_acknowledgement_does_not_split_what_paho_is_sending(inbox: SqliteLog) -> None:
    """A subscription of megabytes goes out in one piece while messages are acknowledged."""
    broker = ScriptedBroker(receive_bytes=4096)
    topics = tuple(f"v1/{number:02}{'x' * 60_000}/+" for number in range(60))

    def script() -> None:
        peer = broker.accept()
        peer.next()
        peer.socket.sendall(connack(session_present=True))
        time.sleep(0.3)
        peer.publish(range(1, 101))
        wait_until(lambda: len(payloads(inbox)) == 100)
        time.sleep(0.2)
        subscribe = peer.next()
        assert subscribe.kind == SUBSCRIBE
        wanted = b"".join(text(topic) + b"\x01" for topic in topics)
        assert subscribe.body[2:] == wanted
        assert peer.pubacks(100) == list(range(1, 101))

    async def scene() -> None:
        async with intake(broker, inbox, topics=topics):
            await asyncio.to_thread(script)

    run(scene())
    broker.close()


def test_the_largest_packet_there_is_costs_no_memory(
    broker: ScriptedBroker, inbox: SqliteLog
) -> None:
    """Of 256 MB the head is kept with the size, and it is acknowledged after its commit."""
    growth: list[int] = []
    whole = 268_435_455
    size = whole - len(text("v1/a/readings")) - 2

    def script() -> None:
        peer = broker.accept()
        peer.welcome()
        before = most = resident_bytes()
        block = b"z" * 1_000_000
        peer.socket.sendall(b"\x32" + variable(whole) + text("v1/a/readings") + b"\0\x07")
        left = size
        while left:
            peer.socket.sendall(block[:left])
            left -= min(left, len(block))
            most = max(most, resident_bytes())
        peer.publish(range(8, 9))
        assert peer.pubacks(2) == [7, 8]
        growth.append(most - before)

    async def scene() -> None:
        async with intake(broker, inbox):
            await asyncio.to_thread(script)

    run(scene())

    assert growth[0] < 10_000_000
    assert payloads(inbox) == [b"z" * 1024, b"8"]
    header = frames(inbox)[0].headers[0]
    assert header is not None
    assert json.loads(header) == {TOO_LARGE_HEADER: size}


def test_a_topic_alias_ends_the_connection_and_says_why(
    inbox: SqliteLog, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker is told of the protocol error, the log names the alias, and we come back."""
    broker = ScriptedBroker(speaks_5=True)

    def script() -> None:
        peer = broker.accept()
        peer.welcome()
        good = publish("v1/a/readings", b"good", qos=1, mid=1, properties=b"")
        alias = publish("v1/a/readings", b"bad", qos=1, mid=2, properties=b"\x23\x00\x01")
        peer.socket.sendall(good + alias)
        while (one := peer.next()).kind != DISCONNECT:
            assert one.kind == PUBACK
        assert one.body[0] == 0x82
        peer.socket.close()

    async def scene() -> None:
        async with intake(broker, inbox, protocol="5"):
            await asyncio.to_thread(script)
            again = await asyncio.to_thread(broker.accept)
            await asyncio.to_thread(again.welcome)

    with caplog.at_level(logging.WARNING, "lamppost"):
        run(scene())
    broker.close()

    assert "topic alias" in caplog.text
    assert payloads(inbox) == [b"good"]
