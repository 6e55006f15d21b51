# SPDX-License-Identifier: EUPL-1.2
"""F13: certificates that are expired, of another authority or name, and files that change on disk.

Method: certificates made by openssl, a real Mosquitto behind a relay that notes every byte of ours.
Pass: refused with a sentence that says what, where and what to do, tried again with growing waits,
never a byte of MQTT in the clear; days before the expiry are said; changed files count from the
next connection on, while the present one lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Self

import pytest
import uvloop

from ingest.mqtt import MqttOptions
from ingest.mqtt_source import MqttSource
from ingest.mqtt_wire import Received
from lamppost.clock import SystemClock
from lamppost.errors import ConfigError, NotConnected
from lamppost_app.intake import run_intake
from lamppost_app.intake_status import read_status
from lamppost_app.settings import DataSettings, MqttSettings, Settings
from sinks.mqtt_client import BrokerSettings, Publisher
from tests.certificates import Authority
from tests.chaos.trial import Chaos
from tests.chaos.waits import Noted
from tests.services import Mosquitto, binary

SECURED = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
max_queued_messages 0
certfile {folder}/server.crt
keyfile {folder}/server.key
"""
CLIENTS = "cafile {folder}/clients.crt\nrequire_certificate true\n"
TLS_HANDSHAKE = 0x16


@pytest.fixture(autouse=True)
def _programs() -> None:
    """Skip without the programs."""
    binary("mosquitto")
    binary("openssl")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority everybody should trust."""
    return Authority(tmp_path)


@contextlib.contextmanager
def broker(
    folder: Path, certificate: tuple[Path, Path], more: str = "", clients: Path | None = None
) -> Iterator[Mosquitto]:
    """Run a Mosquitto with a certificate."""
    place = folder / "broker"
    place.mkdir(exist_ok=True)
    show(place, certificate)
    if clients is not None:
        shutil.copy(clients, place / "clients.crt")
    service = Mosquitto(place, SECURED + more)
    service.start()
    try:
        yield service
    finally:
        service.stop()


def show(place: Path, certificate: tuple[Path, Path]) -> None:
    """Give a broker another certificate; it counts from its next start."""
    shutil.copy(certificate[0], place / "server.crt")
    shutil.copy(certificate[1], place / "server.key")


class Relay:
    """Passes connections on to a port and keeps what the client sent."""

    def __init__(self, to_port: int) -> None:
        """Take where to."""
        self.sent: list[bytearray] = []
        self.port = 0
        self._to_port = to_port
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """End every connection."""
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        sent = bytearray()
        self.sent.append(sent)
        there, out = await asyncio.open_connection("127.0.0.1", self._to_port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, out, sent))
                both.create_task(self._pump(there, writer, bytearray()))
        except* OSError:
            pass
        finally:
            for one in (out, writer):
                one.close()
                with contextlib.suppress(OSError):
                    await one.wait_closed()

    @staticmethod
    async def _pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray
    ) -> None:
        while data := await reader.read(65_536):
            kept += data
            writer.write(data)
            await writer.drain()
        writer.close()


def options(port: int, ca: Path | None, **changes: object) -> MqttOptions:
    """Return how to reach the broker."""
    given = {"host": "127.0.0.1", "topics": ("v1/+/readings",), "client_id": "tls", "tls": True}
    return MqttOptions(**(given | {"port": port, "ca_file": ca} | changes))  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def door(
    given: MqttOptions,
) -> AsyncIterator[tuple[MqttSource, Noted, list[Received]]]:
    """Run the MQTT door without an inbox behind it."""
    stop, backoff, came = asyncio.Event(), Noted(), list[Received]()
    source = MqttSource(given, SystemClock(), came.extend, backoff)
    running = asyncio.create_task(source.run(stop))
    try:
        yield source, backoff, came
    finally:
        assert not running.done(), "it has given up"
        stop.set()
        await running


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        await asyncio.sleep(0.02)


def run(scene: object) -> None:
    """Run a scene in the loop of the intake."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene)  # type: ignore[arg-type]


def publish(port: int, ca: Path, payload: bytes, **changes: object) -> None:
    """Publish one message as a device with TLS does."""
    settings = BrokerSettings(port=port, tls=True, ca_file=ca, **changes)  # type: ignore[arg-type]
    publisher = Publisher(settings)
    publisher.publish_all([("v1/s/readings", payload)])
    publisher.close()


BAD = {
    "expired": ("IP:127.0.0.1", -1.0, "authority", "has expired: renew it"),
    "another name": ("DNS:elsewhere.city", 90.0, "authority", "is for another name"),
    "another authority": ("IP:127.0.0.1", 90.0, "stranger", "not vouched for by"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_certificate_that_is_wrong_is_refused_and_said(
    chaos: Chaos, tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Tried over again, never in the clear, by the door and by what publishes."""
    subject, days, issuer, sentence = BAD[fault]
    known = {name: Authority(tmp_path, name) for name in ("authority", "stranger")}
    certificate = known[issuer].issue("server", subject, days=days)
    trusted = known["authority"].ca
    attempts = chaos.pick(6, 100)

    async def scene(port: int) -> tuple[list[bytearray], list[float]]:
        async with Relay(port) as relay, door(options(relay.port, trusted)) as (source, waits, _):
            await until(lambda: len(waits.waits) >= attempts, 120.0)
            assert not source.connected
            publisher = Publisher(
                BrokerSettings(port=relay.port, tls=True, ca_file=trusted, timeout_s=0.2)
            )
            with pytest.raises(NotConnected, match=sentence):
                await asyncio.to_thread(publisher.publish_all, [("a", b"b")])
            return relay.sent, waits.waits

    async def whole() -> None:
        with broker(tmp_path, certificate) as service, caplog.at_level(logging.WARNING):
            found.append(await scene(service.port))

    found: list[tuple[list[bytearray], list[float]]] = []
    run(whole())

    sent, waits = found[0]
    in_words = [one.message for one in caplog.records if "mqtt_disconnected" in one.message]
    assert all(sentence in one for one in in_words)
    assert "127.0.0.1:" in in_words[0]
    assert len(sent) >= attempts
    assert all(not one or one[0] == TLS_HANDSHAKE for one in sent)
    assert not any(b"MQTT" in one for one in sent)
    assert all(1.0 <= wait <= 30.0 for wait in waits)
    assert max(waits) > max(waits[:1])
    chaos.report(
        fault="F13", did=f"a certificate that is {fault}", attempts=len(sent), in_the_clear=0
    )


def test_a_listener_without_tls_gets_no_byte_of_mqtt(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """The sentence says where the TLS port usually is."""
    plain = Mosquitto(tmp_path)

    async def scene() -> None:
        async with (
            Relay(plain.port) as relay,
            door(options(relay.port, authority.ca)) as (source, waits, _),
        ):
            await until(lambda: len(waits.waits) >= 3)
            assert not source.connected
        assert not any(b"MQTT" in one for one in relay.sent)

    plain.start()
    with caplog.at_level(logging.WARNING):
        run(scene())
    plain.stop()

    assert "TLS" in caplog.text


def test_another_authority_counts_from_the_next_connection_on(
    chaos: Chaos, tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """The present connection goes on through any state of the file, and nothing is restarted."""
    other = Authority(tmp_path, "other")
    first, second = authority.issue("first"), other.issue("second")
    trusted = tmp_path / "trusted.crt"
    shutil.copy(authority.ca, trusted)

    async def scene(service: Mosquitto) -> None:
        async with door(options(service.port, trusted)) as (source, waits, came):
            await until(lambda: source.connected)
            for state in (b"not a certificate", None, other.ca.read_bytes()):
                trusted.unlink(missing_ok=True)
                if state is not None:
                    trusted.write_bytes(state)
                await until_received(service.port, authority.ca, came)
            assert waits.waits == []
            await asyncio.to_thread(service.stop)
            trusted.unlink()
            await until(lambda: "trusted.crt" in caplog.text)
            shutil.copy(other.ca, trusted)
            show(service.folder, second)
            await asyncio.to_thread(service.start)
            await until(lambda: source.connected)
            await until_received(service.port, other.ca, came)

    async def until_received(port: int, ca: Path, came: list[Received]) -> None:
        before = len(came)
        while len(came) == before:  # the subscription may still be under way
            await asyncio.to_thread(publish, port, ca, b"x")
            await asyncio.sleep(0.1)

    with broker(tmp_path, first) as service, caplog.at_level(logging.WARNING):
        run(scene(service))
    chaos.report(fault="F13", did="the authority's file broken, gone and changed", lost=0)


def test_our_own_certificate_is_shown_and_renewed_without_a_restart(
    chaos: Chaos, tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker that asks for one refuses none and a stranger's; the sentence names the file."""
    clients = Authority(tmp_path, "clients")
    strangers = Authority(tmp_path, "strangers")
    server = authority.issue("server")
    wrong, right = strangers.issue("wrong"), clients.issue("right")
    own = tmp_path / "own.crt", tmp_path / "own.key"

    def put(pair: tuple[Path, Path]) -> None:
        for source, target in zip(pair, own, strict=True):
            shutil.copy(source, target)

    async def scene(service: Mosquitto) -> None:
        port, ca = service.port, authority.ca
        async with door(options(port, ca)) as (source, waits, _):
            await until(lambda: len(waits.waits) >= 3)
            assert not source.connected
        put(wrong)
        given = options(port, ca, cert_file=own[0], key_file=own[1])
        async with door(given) as (source, waits, came):
            await until(lambda: len(waits.waits) >= 3)
            assert not source.connected
            put(right)
            await until(lambda: source.connected)
            pair = {"cert_file": own[0], "key_file": own[1]}
            while not came:
                await asyncio.to_thread(publish, port, ca, b"x", **pair)
                await asyncio.sleep(0.1)

    with broker(tmp_path, server, CLIENTS, clients.ca) as service, caplog.at_level(logging.WARNING):
        run(scene(service))

    assert "refuses our certificate" in caplog.text
    assert "own.crt" in caplog.text
    chaos.report(fault="F13", did="our own certificate missing, wrong, renewed", restarts=0)


@pytest.mark.parametrize(("days", "level"), [(25.0, "WARNING"), (2.5, "ERROR")])
def test_days_before_the_expiry_are_said(
    chaos: Chaos,
    tmp_path: Path,
    authority: Authority,
    days: float,
    level: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In the log, and in the file the portal reads, while readings go on."""
    certificate = authority.issue("server", days=days)
    data = tmp_path / "data"
    data.mkdir()

    async def scene(port: int) -> None:
        mqtt = MqttSettings(
            host="127.0.0.1", port=port, tls=True, ca_file=authority.ca, self_check="off"
        )
        settings = Settings(data=DataSettings(dir=data), mqtt=mqtt)
        stop = asyncio.Event()
        running = asyncio.create_task(run_intake(settings, stop))
        await until(lambda: "mqtt_certificate_expires" in caplog.text)
        stop.set()
        await running

    with broker(tmp_path, certificate) as service, caplog.at_level(logging.WARNING):
        run(scene(service.port))

    said = [one for one in caplog.records if "mqtt_certificate_expires" in one.message]
    assert [one.levelname for one in said] == [level]
    status = read_status(data / "intake.json")
    assert status is not None
    left = status.certificate_days(time.time_ns())
    assert left is not None
    assert days - 1 < left <= days
    chaos.report(fault="F13", did=f"a certificate with {days} days left", said=level)


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"ca_file": "missing.crt"}, "mqtt.ca_file"),
        ({"ca_file": "garbage"}, "mqtt.ca_file"),
        ({"cert_file": "missing.crt"}, "mqtt.cert_file"),
        ({"cert_file": "authority.crt", "key_file": "other.key"}, "mqtt.key_file"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_at_once(
    tmp_path: Path, authority: Authority, files: dict[str, str], named: str
) -> None:
    """With its setting, its path, and what is wrong with it."""
    Authority(tmp_path, "other")
    (tmp_path / "garbage").write_text("no certificate")
    given = {name: tmp_path / path for name, path in files.items()}

    with pytest.raises(ConfigError, match=named) as raised:
        Publisher(BrokerSettings(tls=True, **given))  # type: ignore[arg-type]

    assert str(tmp_path) in str(raised.value)
