# SPDX-License-Identifier: EUPL-1.2
"""The MQTT door against a real Mosquitto: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from ingest.mqtt import MqttOptions, PeeledPaho
from ingest.mqtt_source import MqttSource
from ingest.mqtt_wire import Received
from lamppost import log
from lamppost.clock import SystemClock
from lamppost.frames import Deliveries
from lamppost_app.intake import FrameWriter
from lamppost_app.settings import IntakeSettings
from lamppost_app.sqlite_log import SqliteLog
from sinks.mqtt_client import BrokerSettings, Publisher
from tests.installation import free_port
from tests.services import Mosquitto

TOPIC = "v1/sensor/readings"


def payload(number: int) -> bytes:
    """Return a message that can be told from all others."""
    return json.dumps({"sensor": f"s{number}", "values": {"pm2_5": number}}).encode()


def publish(broker: Mosquitto, numbers: range) -> None:
    """Publish numbered messages at QoS 1 and wait for the broker's acknowledgements."""
    publisher = Publisher(BrokerSettings(port=broker.port))
    publisher.publish_all([(TOPIC, payload(number)) for number in numbers], 1)
    publisher.close()


def stored(path: Path) -> list[bytes]:
    """Return every payload in an inbox, in order."""
    entries = SqliteLog(path).read(0, 100_000)
    frames = [entry for entry in entries if entry.kind == log.FRAME]
    return [body for frame in frames for body in Deliveries.from_bytes(frame.body).payloads]


def options(port: int, name: str, **changes: object) -> MqttOptions:
    """Return options for a broker on this machine."""
    given: dict[str, object] = {
        "host": "127.0.0.1",
        "port": port,
        "topics": ("v1/+/readings",),
        "client_id": name,
        "keepalive_s": 5,
        "max_payload_bytes": 1024,
    }
    return MqttOptions(**(given | changes))  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def intake(given: MqttOptions, inbox: SqliteLog) -> AsyncIterator[MqttSource]:
    """Run an intake in this loop."""
    stop = asyncio.Event()
    writer = FrameWriter(inbox, SystemClock(), IntakeSettings())
    source = MqttSource(given, SystemClock(), writer.add)
    writer.acknowledge = source.acknowledge
    tasks = [asyncio.create_task(source.run(stop)), asyncio.create_task(writer.run(stop))]
    try:
        yield source
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("protocol", ["5", "3.1.1", "auto"])
def test_published_messages_are_stored_in_order(
    tmp_path: Path, mosquitto: Mosquitto, protocol: str
) -> None:
    """Every message of a sensor arrives once and in order, with both protocol versions."""
    inbox = SqliteLog(tmp_path / "inbox.db")

    async def scene() -> None:
        given = options(mosquitto.port, f"order-{protocol}", protocol=protocol)
        async with intake(given, inbox) as source:
            await until(lambda: source.connected)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(publish, mosquitto, range(500))
            await until(lambda: len(stored(tmp_path / "inbox.db")) >= 500)

    asyncio.run(scene())

    assert stored(tmp_path / "inbox.db") == [payload(number) for number in range(500)]


def test_what_was_published_while_away_arrives_on_return(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    """The broker keeps our session, so a stop of the intake loses nothing."""
    inbox = SqliteLog(tmp_path / "inbox.db")

    async def scene() -> None:
        given = options(mosquitto.port, "away")
        async with intake(given, inbox) as source:
            await until(lambda: source.connected)
            await asyncio.sleep(0.3)
        await asyncio.to_thread(publish, mosquitto, range(100))
        async with intake(given, inbox):
            await until(lambda: len(stored(tmp_path / "inbox.db")) >= 100)

    asyncio.run(scene())

    assert stored(tmp_path / "inbox.db") == [payload(number) for number in range(100)]


class DeadDisk:
    """A log whose disk refuses until it is repaired."""

    def __init__(self, inner: SqliteLog) -> None:
        """Start broken."""
        self._inner = inner
        self.broken = True

    def append(self, records: list[log.Record]) -> int:
        """Store, or refuse as a full disk does."""
        if self.broken:
            raise OSError("no space left on device")
        return self._inner.append(records)


def test_nothing_is_acknowledged_while_the_disk_refuses(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    """The broker still holds every message after an intake that could not commit has gone."""
    inbox = SqliteLog(tmp_path / "inbox.db")
    disk = DeadDisk(inbox)

    async def scene() -> None:
        given = options(mosquitto.port, "dead-disk")
        writer = FrameWriter(disk, SystemClock(), IntakeSettings())  # type: ignore[arg-type]
        acknowledged: list[Received] = []
        source = MqttSource(given, SystemClock(), writer.add)
        writer.acknowledge = acknowledged.extend
        stop = asyncio.Event()
        tasks = [asyncio.create_task(source.run(stop)), asyncio.create_task(writer.run(stop))]
        await until(lambda: source.connected)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(publish, mosquitto, range(50))
        await asyncio.sleep(1.0)
        assert acknowledged == []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with intake(given, inbox):
            await until(lambda: len(stored(tmp_path / "inbox.db")) >= 50)

    asyncio.run(scene())

    assert stored(tmp_path / "inbox.db") == [payload(number) for number in range(50)]


def test_it_reconnects_after_the_broker_was_away(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A broker that is killed and comes back is found again by itself."""
    inbox = SqliteLog(tmp_path / "inbox.db")

    async def scene() -> None:
        async with intake(options(mosquitto.port, "return"), inbox) as source:
            await until(lambda: source.connected)
            await asyncio.to_thread(mosquitto.stop)
            await until(lambda: not source.connected)
            await asyncio.to_thread(mosquitto.start)
            await until(lambda: source.connected)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(publish, mosquitto, range(10))
            await until(lambda: len(stored(tmp_path / "inbox.db")) >= 10)

    asyncio.run(scene())


def test_an_oversized_message_costs_only_itself(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Its head is kept with its size, and its neighbours are whole."""
    inbox = SqliteLog(tmp_path / "inbox.db")

    async def scene() -> None:
        async with intake(options(mosquitto.port, "large"), inbox) as source:
            await until(lambda: source.connected)
            await asyncio.sleep(0.3)
            publisher = Publisher(BrokerSettings(port=mosquitto.port))
            bodies = [payload(1), b"x" * 5000, payload(2)]
            await asyncio.to_thread(publisher.publish_all, [(TOPIC, body) for body in bodies], 1)
            publisher.close()
            await until(lambda: len(stored(tmp_path / "inbox.db")) >= 3)

    asyncio.run(scene())

    assert stored(tmp_path / "inbox.db") == [payload(1), b"x" * 1024, payload(2)]


@contextlib.contextmanager
def speechless_peer() -> Iterator[tuple[int, list[socket.socket]]]:
    """Accept connections, answer CONNECT and fall silent; yields the port and the connections."""
    connections: list[socket.socket] = []
    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connections.append(server.accept()[0])
                connections[-1].recv(1024)
                connections[-1].sendall(b"\x20\x02\x00\x00")  # CONNACK of MQTT 3.1.1

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield server.getsockname()[1], connections
    finally:
        server.shutdown(socket.SHUT_RDWR)  # wakes accept(); closing alone does not
        accepting.join()
        for peer in (server, *connections):
            peer.close()


def test_a_connection_gone_silent_is_given_up(tmp_path: Path) -> None:
    """A peer that accepts and never says another byte does not keep us for ever."""
    inbox = SqliteLog(tmp_path / "inbox.db")

    async def scene(port: int, connections: list[socket.socket]) -> None:
        async with intake(options(port, "silent", protocol="3.1.1"), inbox):
            await until(lambda: len(connections) >= 2, 30)

    with speechless_peer() as (port, connections):
        asyncio.run(scene(port, connections))


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A Mosquitto that asks for TLS and a password; yields its port and its authority."""
    port = free_port()
    for name, command in (
        ("ca", ["-x509", "-subj", "/CN=test authority", "-days", "2"]),
        ("server", ["-x509", "-CA", "ca.crt", "-CAkey", "ca.key", "-subj", "/CN=localhost"]),
    ):
        names = ["-addext", "subjectAltName=IP:127.0.0.1"] if name == "server" else []
        subprocess.run(
            [
                "openssl",
                "req",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                f"{name}.key",
                "-out",
                f"{name}.crt",
                *command,
                *names,
            ],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", "passwords", "intake", "secret"], cwd=tmp_path, check=True
    )
    user = "user root\n" if os.geteuid() == 0 else ""
    (tmp_path / "mosquitto.conf").write_text(
        f"{user}listener {port} 127.0.0.1\npassword_file {tmp_path}/passwords\n"
        f"cafile {tmp_path}/ca.crt\ncertfile {tmp_path}/server.crt\nkeyfile {tmp_path}/server.key\n"
    )
    broker = subprocess.Popen(["mosquitto", "-c", str(tmp_path / "mosquitto.conf")])
    time.sleep(0.5)
    yield port, tmp_path / "ca.crt"
    broker.terminate()
    broker.wait()


def test_tls_and_password_are_used(
    tmp_path: Path, secured: tuple[int, Path], mosquitto: Mosquitto
) -> None:
    """It connects to a broker that wants both, and is verified by its authority."""
    assert mosquitto.port
    port, authority = secured
    inbox = SqliteLog(tmp_path / "inbox.db")
    given = options(
        port,
        "tls",
        tls=True,
        ca_file=authority,
        username="intake",
        password="secret",
    )

    async def scene() -> None:
        async with intake(given, inbox) as source:
            await until(lambda: source.connected)
            await asyncio.sleep(0.3)
            publisher = Publisher(
                BrokerSettings(
                    port=port,
                    tls=True,
                    ca_file=authority,
                    username="intake",
                    password="secret",
                )
            )
            messages = [(TOPIC, payload(number)) for number in range(200)]
            await asyncio.to_thread(publisher.publish_all, messages, 1)
            publisher.close()
            await until(lambda: len(stored(tmp_path / "inbox.db")) >= 200)

    asyncio.run(scene())

    assert stored(tmp_path / "inbox.db") == [payload(number) for number in range(200)]


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_of_another_authority_is_refused(
    tmp_path: Path, secured: tuple[int, Path], mosquitto: Mosquitto
) -> None:
    """Without the right authority there is no connection, and the reason says so."""
    assert mosquitto.port
    port, _ = secured
    inbox = SqliteLog(tmp_path / "inbox.db")

    async def scene() -> bool:
        async with intake(options(port, "stranger", tls=True), inbox) as source:
            await asyncio.sleep(2.0)
            return source.connected

    assert not asyncio.run(scene())


def test_without_the_hook_messages_come_one_by_one_through_paho(
    tmp_path: Path,
    mosquitto: Mosquitto,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A paho that no longer asks for its socket costs speed, not messages, and it is said."""
    monkeypatch.setattr(PeeledPaho, "_create_socket", paho.Client._create_socket)
    inbox = SqliteLog(tmp_path / "inbox.db")
    bodies = [payload(1), b"x" * 5000, *map(payload, range(2, 300))]

    async def scene() -> None:
        async with intake(options(mosquitto.port, "plain"), inbox) as source:
            await until(lambda: source.connected)
            assert source.reads_in_bulk is False
            await asyncio.sleep(0.3)
            publisher = Publisher(BrokerSettings(port=mosquitto.port))
            await asyncio.to_thread(publisher.publish_all, [(TOPIC, body) for body in bodies], 1)
            publisher.close()
            await until(lambda: len(stored(tmp_path / "inbox.db")) >= len(bodies))

    with caplog.at_level(logging.WARNING, "lamppost"):
        asyncio.run(scene())

    assert stored(tmp_path / "inbox.db") == [body[:1024] for body in bodies]
    assert caplog.text.count("mqtt_fast_lane_missing") == 1


def test_with_the_hook_messages_are_read_in_bulk(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """The paho installed here gives us its socket."""
    inbox = SqliteLog(tmp_path / "inbox.db")

    async def scene() -> None:
        async with intake(options(mosquitto.port, "bulk"), inbox) as source:
            await until(lambda: source.connected)
            assert source.reads_in_bulk is True

    asyncio.run(scene())
