# SPDX-License-Identifier: EUPL-1.2
"""F16: the broker has lost our session, uses packet identifiers again, or gives it to another.

Method: a scripted broker that forgets, repeats and reuses as chance says, with commits that end
when chance says; a real broker and a whole installation whose session others take over. Pass: no
acknowledgement of an earlier connection is ever on the wire, every connection subscribes, repeats
are harmless, and two clients with one name are noticed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from benchmarks.raw_mqtt import RawClient
from ingest.mqtt import MqttOptions
from ingest.mqtt_source import MqttSource
from lamppost import log
from lamppost.clock import SystemClock
from lamppost.frames import Deliveries
from lamppost_app.intake import FrameWriter
from lamppost_app.settings import IntakeSettings
from lamppost_app.sqlite_log import SqliteLog
from tests.chaos.conftest import KeyedDatabase
from tests.chaos.evidence import Evidence
from tests.chaos.invariants import check
from tests.chaos.mqtt_proxy import RecordingProxy
from tests.chaos.publisher import City, Publisher
from tests.chaos.settling import settle
from tests.chaos.trial import Chaos
from tests.chaos.waits import Noted
from tests.installation import Installation
from tests.integration.scripted_broker import PUBACK, Peer, ScriptedBroker
from tests.mqtt_packets import packet, publish
from tests.services import Mosquitto

TOPIC = "v1/a/readings"


class SlowInbox:
    """An inbox whose commits take as long as chance says: past the end of a connection, too."""

    def __init__(self, inner: SqliteLog, chaos: Chaos) -> None:
        """Take the real one."""
        self._inner = inner
        self._chance = chaos.random

    def append(self, records: list[log.Record]) -> int:
        """Store, and take some time before or after it."""
        time.sleep(self._chance.choice([0.0, 0.0, 0.01, 0.05]))
        last = self._inner.append(records)
        time.sleep(self._chance.choice([0.0, 0.0, 0.01, 0.05]))
        return last


class Forgetful:
    """What a broker does that cannot be relied on, and what the client answers."""

    def __init__(self, chaos: Chaos, broker: ScriptedBroker, *, speaks_5: bool) -> None:
        """Take chance and the listener."""
        self.acknowledged: set[bytes] = set()
        self.sent: list[bytes] = []
        self.reused = self.repeated = 0
        self._chance = chaos.random
        self._broker = broker
        self._speaks_5 = speaks_5
        self._number = 0
        self._open: list[bytes] = []
        self._used: set[int] = set()

    def connection(self) -> None:
        """Welcome the client, send, listen, and end it in the middle of something."""
        peer = self._broker.accept()
        kept = self._chance.random() < 0.5
        peer.welcome(session_present=kept)
        # A session that was kept repeats what is open; a lost one has forgotten it.
        under_way: dict[int, bytes] = {}
        again = self._open if kept else []
        self.repeated += len(again)
        fresh = [self._fresh() for _ in range(self._chance.randrange(1, 40))]
        mids = self._chance.sample(range(1, 60), min(len(again) + len(fresh), 59))
        for mid, payload in zip(mids, [*again, *fresh], strict=False):
            under_way[mid] = payload
            self.reused += mid in self._used
        self._used |= set(under_way)
        properties = b"" if self._speaks_5 else None
        for mid, payload in under_way.items():
            one = publish(TOPIC, payload, qos=1, mid=mid, properties=properties)
            peer.socket.sendall(one)
        self.sent += [payload for payload in under_way.values() if payload not in self.sent]
        self._listen(peer, under_way)
        peer.socket.close()

    def settle(self) -> None:
        """Keep the last connection until everything that is open is acknowledged."""
        peer = self._broker.accept()
        peer.welcome(session_present=True)
        under_way = dict(enumerate(self._open, 1))
        properties = b"" if self._speaks_5 else None
        for mid, payload in under_way.items():
            one = publish(TOPIC, payload, qos=1, mid=mid, properties=properties)
            peer.socket.sendall(one)
        while under_way:
            self._note(peer.next().mid, under_way)
        assert [one for one in peer.within(0.3) if one.kind == PUBACK] == []

    def _fresh(self) -> bytes:
        self._number += 1
        return b"%d" % self._number

    def _listen(self, peer: Peer, under_way: dict[int, bytes]) -> None:
        """Take some of the answers: each must be for this connection, in the order sent."""
        most = self._chance.randrange(len(under_way) + 1)
        with contextlib.suppress(TimeoutError, ConnectionError):
            for _ in range(most):
                one = peer.next(1.0)
                if one.kind == PUBACK:
                    self._note(one.mid, under_way)
        self._open = list(under_way.values())

    def _note(self, mid: int, under_way: dict[int, bytes]) -> None:
        assert under_way, f"{mid} is acknowledged, and nothing is under way"
        first = next(iter(under_way))
        assert mid == first, f"{mid} is acknowledged before {first}, or is of another connection"
        self.acknowledged.add(under_way.pop(mid))


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_no_answer_ever_crosses_into_another_connection(
    chaos: Chaos, tmp_path: Path, protocol: str
) -> None:
    """With identifiers reused at once and commits that outlast connections; nothing is lost."""
    rounds = chaos.pick(15, 300)
    inner = SqliteLog(tmp_path / "inbox.db")
    broker = ScriptedBroker(speaks_5=protocol == "5")
    script = Forgetful(chaos, broker, speaks_5=protocol == "5")

    def play() -> None:
        for _ in range(rounds):
            script.connection()
        script.settle()

    async def scene() -> None:
        stop = asyncio.Event()
        given = MqttOptions("127.0.0.1", broker.port, (TOPIC,), "scripted", protocol=protocol)  # type: ignore[arg-type]
        writer = FrameWriter(SlowInbox(inner, chaos), SystemClock(), IntakeSettings(frame_ms=5))  # type: ignore[arg-type]
        source = MqttSource(given, SystemClock(), writer.add, Noted())
        writer.acknowledge = source.acknowledge
        writer.hold = lambda on: source.pause() if on else source.resume()
        tasks = [asyncio.create_task(source.run(stop)), asyncio.create_task(writer.run(stop))]
        try:
            await asyncio.to_thread(play)
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())
    broker.close()

    frames = [
        Deliveries.from_bytes(one.body) for one in inner.read(0, 10**6) if one.kind == log.FRAME
    ]
    stored = Counter(payload for frame in frames for payload in frame.payloads)
    inner.close()
    assert script.acknowledged <= stored.keys()
    assert stored.keys() <= set(script.sent)
    chaos.report(
        fault="F16",
        did=f"{rounds} connections of MQTT {protocol}, sessions kept and lost",
        acknowledged=len(script.acknowledged),
        repeated=script.repeated,
        identifiers_reused=script.reused,
        stale_acknowledgements=0,
        lost=0,
    )


@pytest.mark.chaos_full
@pytest.mark.timeout(900)
def test_a_session_taken_over_costs_nothing_that_was_acknowledged(
    chaos: Chaos, installation: Installation, proxy: RecordingProxy, database: KeyedDatabase
) -> None:
    """Others take the session of a whole installation, and throw it away; it is said who."""
    takeovers = chaos.pick(3, 12)
    city = City.ending_now(50, 1_000_000)
    name = f"lamppost-{installation.folder.name}"
    installation.start()
    publisher = Publisher(proxy.broker_port, map(city, range(1_000_000)), rate=300.0).start()
    for number in range(takeovers):
        passages = len(proxy.passages)
        time.sleep(chaos.random.random())
        with RawClient(proxy.broker_port, name, clean=number % 2 == 0):
            time.sleep(0.1)
        installation.wait_until(lambda before=passages: acknowledging(proxy, before), 120)
    publisher.stop()
    # What a thrown-away session held is the broker's to lose; what we acknowledged is ours.
    seen = -1
    while seen != len(proxy.acknowledged):
        seen = len(proxy.acknowledged)
        time.sleep(3.0)
    settle(installation, proxy, list(proxy.acknowledged))

    figures = check(
        Evidence(
            installation.folder / "data",
            acknowledged=proxy.acknowledged,
            database=database,
        )
    )
    assert not any(passage.stray for passage in proxy.passages)
    assert not any(passage.unordered for passage in proxy.passages)
    chaos.report(
        fault="F16",
        did=f"{takeovers} takeovers of the session of an installation",
        acknowledged=len(proxy.acknowledged),
        repeats_in_the_inbox=figures["duplicates"],
        stale_acknowledgements=0,
        lost=0,
    )


def acknowledging(proxy: RecordingProxy, before: int) -> bool:
    """Return whether a connection after so many has acknowledged something."""
    return any(passage.acknowledged for passage in proxy.passages[before:])


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_two_installations_with_one_name_are_noticed(
    chaos: Chaos, broker: Mosquitto, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each says it once, with the name and what to do, and waits longer from then on."""
    stop_after = 60.0

    async def scene() -> None:
        stop = asyncio.Event()
        given = MqttOptions("127.0.0.1", broker.port, (TOPIC,), "twin", protocol=protocol)  # type: ignore[arg-type]
        waits = [Noted(share=0.05, most_s=10), Noted(share=0.05, most_s=10)]
        twins = [MqttSource(given, SystemClock(), lambda _: None, one) for one in waits]
        running = [asyncio.create_task(twin.run(stop)) for twin in twins]
        await until(lambda: caplog.text.count("mqtt_client_id_shared") >= 2, stop_after)
        before = [len(one.waits) for one in waits]
        await until(
            lambda: all(len(one.waits) >= n + 4 for one, n in zip(waits, before, strict=True)),
            stop_after,
        )
        stop.set()
        await asyncio.gather(*running)
        assert all(max(one.waits[n:]) > 1.5 for one, n in zip(waits, before, strict=True))

    with (
        caplog.at_level(logging.WARNING, "lamppost"),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(scene())

    said = [one.message for one in caplog.records if "mqtt_client_id_shared" in one.message]
    assert len(said) == 2
    assert all("another client uses the client_id twin" in one for one in said)
    assert all("mqtt.client_id of its own" in one for one in said)
    chaos.report(fault="F16", did=f"two clients with one name, MQTT {protocol}", said=len(said))


def test_a_broker_that_says_so_is_believed(chaos: Chaos, caplog: pytest.LogCaptureFixture) -> None:
    """An MQTT 5 broker may give the reason; then nothing is "probably"."""
    broker = ScriptedBroker(speaks_5=True)

    def play() -> None:
        for _ in range(3):
            peer = broker.accept()
            peer.welcome()
            peer.socket.sendall(packet(0xE0, b"\x8e\x00"))

    async def scene() -> None:
        stop = asyncio.Event()
        given = MqttOptions("127.0.0.1", broker.port, (TOPIC,), "twin", protocol="5")
        source = MqttSource(given, SystemClock(), lambda _: None, Noted())
        running = asyncio.create_task(source.run(stop))
        await asyncio.to_thread(play)
        await until(lambda: "mqtt_client_id_shared" in caplog.text, 30.0)
        stop.set()
        await running

    with (
        caplog.at_level(logging.WARNING, "lamppost"),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(scene())
    broker.close()

    assert "Session taken over" in caplog.text
    assert "certain=True" in caplog.text
    chaos.report(fault="F16", did="a broker says that the session was taken over", said=1)


async def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        await asyncio.sleep(0.02)
