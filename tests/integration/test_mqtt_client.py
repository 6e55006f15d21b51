# SPDX-License-Identifier: EUPL-1.2
"""Everything published arrives: at speed, in order, through a broker that dies on the way."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamppost.errors import ConfigError, NotConnected, PartialWrite
from sinks.mqtt_client import BrokerSettings, Publisher
from tests.services import Mosquitto
from tests.subscriber import Subscriber


@pytest.fixture
def publisher(mosquitto: Mosquitto) -> Iterator[Publisher]:
    """A publisher to the real broker."""
    made = Publisher(BrokerSettings(port=mosquitto.port))
    yield made
    made.close()


@pytest.mark.integration
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("qos", [0, 1])
def test_all_messages_arrive_in_order(mosquitto: Mosquitto, protocol: str, qos: int) -> None:
    """Both protocols, both qualities of service, more messages than the window holds."""
    subscriber = Subscriber(mosquitto, "in-order")
    publisher = Publisher(BrokerSettings(port=mosquitto.port, protocol=protocol, in_flight=50))
    seen: list[int] = []
    sent = [("in-order", str(number).encode()) for number in range(2000)]
    assert publisher.publish_all(iter(sent), qos, seen.append) == 2000
    assert subscriber.received(2000) == sent
    assert seen == sorted(seen)
    assert seen[-1] == 2000
    publisher.close()
    subscriber.close()


@pytest.mark.integration
def test_a_broker_that_dies_on_the_way_gets_the_rest_later(
    mosquitto: Mosquitto, publisher: Publisher
) -> None:
    """Every message is acknowledged once the broker is back, without an error."""
    acknowledged: list[int] = []

    def messages() -> Iterator[tuple[str, bytes]]:
        for number in range(3000):
            if number == 1500:
                mosquitto.kill()
                threading.Timer(0.3, mosquitto.start).start()
            yield "dying", str(number).encode()

    assert publisher.publish_all(messages(), on_progress=acknowledged.append) == 3000
    assert acknowledged[-1] == 3000


@pytest.mark.integration
def test_a_connection_the_broker_gave_up_is_made_again(mosquitto: Mosquitto) -> None:
    """Between two calls nobody pings, so a long pause may cost the connection."""
    publisher = Publisher(BrokerSettings(port=mosquitto.port))
    publisher.publish_all([("again", b"1")])
    mosquitto.stop()
    mosquitto.start()
    assert publisher.publish_all([("again", b"2")]) == 1
    publisher.close()


@pytest.mark.integration
def test_a_topic_that_cannot_be_published_harms_only_itself(publisher: Publisher) -> None:
    """Its neighbours go out; the refusal names its position."""
    messages = [("fine", b"1"), ("no/+/wildcards", b"2"), ("fine", b"3")]
    with pytest.raises(PartialWrite) as caught:
        publisher.publish_all(messages)
    assert set(caught.value.refused) == {1}
    assert "no/+/wildcards" in caught.value.refused[1]


@pytest.mark.integration
@pytest.mark.slow
def test_publishing_is_fast(mosquitto: Mosquitto) -> None:
    """A simulated city of 10,000 messages a second needs one publisher."""
    publisher = Publisher(BrokerSettings(port=mosquitto.port))
    started = time.perf_counter()
    publisher.publish_all(("v1/aq/readings", b"x" * 120) for _ in range(20_000))
    # Half the rate that is aimed at: shared machines are noisy.
    assert 20_000 / (time.perf_counter() - started) > 5_000
    publisher.close()


def test_a_broker_that_is_away_is_reported_in_time() -> None:
    """The address and what went wrong stand in the message."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    publisher = Publisher(BrokerSettings(port=port, timeout_s=0.5))
    started = time.monotonic()
    with pytest.raises(NotConnected, match=rf"127\.0\.0\.1:{port}.*nobody listens"):
        publisher.publish_all([("a", b"1")])
    assert 0.4 < time.monotonic() - started < 3
    publisher.close()


def test_a_name_nobody_knows_is_an_outage() -> None:
    """Name resolution fails like everything else: later again."""
    publisher = Publisher(BrokerSettings(host="no-such-host.invalid", timeout_s=0.1))
    with pytest.raises(NotConnected, match=r"no-such-host\.invalid"):
        publisher.publish_all([("a", b"1")])


def test_a_missing_authority_file_is_a_wrong_setting(tmp_path: Path) -> None:
    """Said at start, not at the first connection."""
    with pytest.raises(ConfigError, match=r"mqtt\.ca_file"):
        Publisher(BrokerSettings(tls=True, ca_file=tmp_path / "missing.pem"))


class OldBroker(threading.Thread):
    """A scripted broker that speaks 3.1.1 only, acknowledges what it gets and keeps the bytes."""

    def __init__(self, *, silent: bool = False) -> None:
        """Listen; when silent, say yes to the connection and never acknowledge anything."""
        super().__init__()
        self._silent = silent
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self.port = self._listener.getsockname()[1]
        self.levels: list[int] = []

    def run(self) -> None:
        """Serve connections until the listener is closed."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._serve(connection)

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.join()

    def _serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        with stream:
            while head := stream.read(2):
                packet = stream.read(head[1])
                if head[0] >> 4 == 1:
                    self.levels.append(packet[6])
                    known = packet[6] == 4
                    connection.sendall(b"\x20\x02\x00\x00" if known else b"\x20\x02\x00\x01")
                    if not known:
                        return
                elif head[0] >> 4 == 3 and not self._silent:
                    topic = 2 + int.from_bytes(packet[:2])
                    connection.sendall(b"\x40\x02" + packet[topic : topic + 2])


def test_a_broker_without_mqtt_5_is_spoken_to_in_its_own_language() -> None:
    """The first try is MQTT 5, the second 3.1.1, and the choice is remembered."""
    broker = OldBroker()
    broker.start()
    publisher = Publisher(BrokerSettings(port=broker.port, timeout_s=10))
    assert publisher.publish_all([("a", b"1"), ("a", b"2")]) == 2
    assert broker.levels == [5, 4]
    publisher.close()
    broker.close()


def test_a_broker_that_never_acknowledges_is_an_outage() -> None:
    """Connected is not enough; without progress the caller hears of it."""
    broker = OldBroker(silent=True)
    broker.start()
    publisher = Publisher(BrokerSettings(port=broker.port, protocol="3.1.1", timeout_s=0.5))
    with pytest.raises(NotConnected, match="does not acknowledge"):
        publisher.publish_all([("a", b"1")])
    publisher.close()
    broker.close()
