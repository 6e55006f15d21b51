# SPDX-License-Identifier: EUPL-1.2
"""The socket under paho, with real sockets: what each side reads, and whose bytes go out when."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator

import paho.mqtt.client as paho_client
import pytest
from hypothesis import given, settings
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from ingest.mqtt_socket import PeelingSocket
from ingest.mqtt_wire import Peeler, ViolationError, pubacks
from tests.mqtt_packets import (
    PINGRESP,
    Message,
    SocketPaho,
    Stream,
    connack,
    publish,
    streams,
    through_paho,
)


@contextlib.contextmanager
def pair(
    *, speaks_5: bool = False, buffer_bytes: int = 0
) -> Iterator[tuple[socket.socket, PeelingSocket]]:
    """Yield the broker's end and ours, which does not wait."""
    broker, inner = socket.socketpair()
    if buffer_bytes:
        inner.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
    lane = PeelingSocket(inner, Peeler(1, speaks_5=speaks_5, max_payload_bytes=65_536))
    lane.setblocking(False)
    with broker, inner:
        yield broker, lane


def drain(broker: socket.socket) -> bytes:
    """Return what has been sent so far."""
    broker.setblocking(False)
    data = b""
    with contextlib.suppress(BlockingIOError):
        while more := broker.recv(1 << 20):
            data += more
    return data


def through_lane(stream: Stream) -> tuple[list[Message], bytes]:
    """Return the messages paho and we find together, and the bytes paho read."""
    messages: list[Message] = []
    seen = bytearray()

    class Recorded(PeelingSocket):
        def recv(self, size: int) -> bytes:
            data = super().recv(size)
            seen.extend(data)
            return data

    broker, inner = socket.socketpair()
    with broker, inner:
        peeler = Peeler(1, speaks_5=stream.speaks_5, max_payload_bytes=65_536)
        lane = Recorded(inner, peeler)
        client = SocketPaho(lane, speaks_5=stream.speaks_5)
        for chunk in stream.chunks():
            broker.sendall(chunk)
            while select.select([inner], [], [], 0)[0]:
                found = lane.read(0) or []
                messages += [(one.topic, one.payload, one.qos, one.mid) for one in found]
                while lane.pending():
                    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
        assert lane.violation == ""
        return messages + client.messages, bytes(seen)


@given(streams())
@settings(deadline=None)
def test_messages_are_those_of_stock_paho(stream: Stream) -> None:
    """The same bytes through both give the same messages of each QoS, and paho reads the rest."""
    expected, accepted = through_paho(stream.chunks(), speaks_5=stream.speaks_5)
    messages, seen = through_lane(stream)

    assert accepted
    assert [one for one in messages if one[2] < 2] == [one for one in expected if one[2] < 2]
    assert [one for one in messages if one[2] == 2] == [one for one in expected if one[2] == 2]
    assert seen == stream.left


def test_nothing_for_paho_is_not_the_end() -> None:
    """Its recv raises while the connection stands, and gives b"" only after its end."""
    with pair() as (broker, lane):
        assert lane.read(0) is None
        with pytest.raises(BlockingIOError):
            lane.recv(1)
        broker.sendall(PINGRESP)
        broker.close()
        assert lane.read(0) == []
        assert lane.read(0) is None
        assert lane.recv(10) == PINGRESP
        assert lane.pending() == 1
        assert lane.recv(10) == b""


def test_acknowledgements_wait_until_pahos_packet_is_out() -> None:
    """They are sent behind a packet paho has begun, never inside it."""
    large = b"\x30" + b"p" * 500_000
    with pair(buffer_bytes=4096) as (broker, lane):
        sent = lane.send(large)
        assert 0 < sent < len(large)
        lane.acknowledge([1, 2, 3])
        data = drain(broker)
        while sent < len(large):
            with contextlib.suppress(BlockingIOError):
                sent += lane.send(large[sent:])
            data += drain(broker)
        lane.flush()
        data += drain(broker)

    assert data == large + pubacks([1, 2, 3])


def test_paho_waits_until_our_acknowledgements_are_out() -> None:
    """A short write of ours is finished before paho's packet begins."""
    mids = [number % 65_535 + 1 for number in range(60_000)]
    ping = b"\xc0\x00"
    with pair(buffer_bytes=4096) as (broker, lane):
        lane.acknowledge(mids)
        assert lane.wants_write()
        with pytest.raises(BlockingIOError):
            lane.send(ping)
        data = b""
        while lane.wants_write():
            data += drain(broker)
            lane.flush()
        data += drain(broker)
        assert lane.send(ping) == 2
        data += drain(broker)

    assert data == pubacks(mids) + ping


def test_a_packet_refused_at_first_keeps_its_turn() -> None:
    """TLS may hold a record of it, so nothing else is offered before it has gone."""
    with pair(buffer_bytes=4096) as (broker, lane):
        filler = b"f" * 10_000_000
        filled = lane._inner.send(filler)
        with pytest.raises(BlockingIOError):
            lane.send(b"\xc0\x00")
        drain(broker)
        lane.acknowledge([1])
        assert lane.wants_write()
        assert lane.send(b"\xc0\x00") == 2
        lane.flush()
        assert drain(broker) == b"\xc0\x00" + pubacks([1])
        assert filled


def test_a_broker_that_takes_no_acknowledgements_is_given_up() -> None:
    """What waits to be sent is bounded by the number of packet identifiers."""
    with pair(buffer_bytes=4096) as (_, lane):
        lane.acknowledge([1] * 60_000)
        with pytest.raises(ViolationError, match="does not read"):
            lane.acknowledge([1] * 60_000)


def test_an_answer_to_a_ping_stands_between_packets() -> None:
    """It is read as a whole, whatever half a packet has come before."""
    with pair() as (broker, lane):
        broker.sendall(connack() + b"\x90\x03")
        lane.read(0)
        lane.answer_ping()
        broker.sendall(b"\x00\x01\x01")
        lane.read(0)

        assert lane.recv(100) == connack() + PINGRESP + b"\x90\x03\x00\x01\x01"


def test_paho_asks_for_its_socket_at_every_connect_and_reads_from_it() -> None:
    """The private hook the fast lane hangs on is there, is called, and its socket is used."""
    made: list[PeelingSocket] = []

    class Hooked(paho_client.Client):
        def _create_socket(self) -> paho_client.SocketLike:
            peeler = Peeler(1, speaks_5=False, max_payload_bytes=1024)
            made.append(PeelingSocket(super()._create_socket(), peeler))
            return made[-1]

    connected: list[object] = []
    client = Hooked(CallbackAPIVersion.VERSION2, protocol=paho_client.MQTTv311)
    client.on_connect = lambda *_: connected.append(1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        for turn in (1, 2):
            if turn == 1:
                client.connect(*server.getsockname())
            else:
                client.reconnect()
            peer, _ = server.accept()
            with peer:
                peer.sendall(connack() + publish("t", b"x"))
                assert client.socket() is made[-1]
                assert len(made) == turn
                select.select([made[-1]], [], [], 5)
                messages = made[-1].read(0)
                while made[-1].pending():
                    client.loop_read()
                assert [one.payload for one in messages or []] == [b"x"]
                assert len(connected) == turn
        client.disconnect()
