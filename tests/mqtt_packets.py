# SPDX-License-Identifier: EUPL-1.2
"""MQTT packets made by hand, random streams of them, and what stock paho makes of such a stream."""

from __future__ import annotations

import itertools
import select
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import paho.mqtt.client as paho_client
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

Message = tuple[str, bytes, int, int]
"""Topic, payload, QoS and packet identifier."""

PINGRESP = b"\xd0\x00"


def variable(number: int) -> bytes:
    """Return a variable byte integer."""
    out = b""
    while True:
        number, byte = divmod(number, 128)
        out += bytes([byte | (128 if number else 0)])
        if not number:
            return out


def text(value: str | bytes) -> bytes:
    """Return a string with its length in front."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(raw)) + raw


def packet(first: int, body: bytes) -> bytes:
    """Return a packet: first byte, length, body."""
    return bytes([first]) + variable(len(body)) + body


def publish(
    topic: str | bytes,
    payload: bytes,
    *,
    qos: int = 0,
    mid: int = 0,
    properties: bytes | None = None,
    flags: int = 0,
) -> bytes:
    """Return a PUBLISH; ``properties`` (without their length) make it one of MQTT 5."""
    body = text(topic) + (struct.pack("!H", mid) if qos else b"")
    if properties is not None:
        body += variable(len(properties)) + properties
    return packet(0x30 | qos << 1 | flags, body + payload)


def connack(*, session_present: bool = False, speaks_5: bool = False) -> bytes:
    """Return the acceptance of a connection."""
    return packet(0x20, bytes([session_present, 0]) + (b"\0" if speaks_5 else b""))


@dataclass(frozen=True)
class Stream:
    """Bytes of a broker, what they mean, and where reads cut them.

    Attributes:
        left: the packets that are not PUBLISH at QoS 0 or 1.
        peeled: the messages at QoS 0 and 1.
    """

    speaks_5: bool
    data: bytes
    left: bytes
    peeled: list[Message]
    cuts: list[int]

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes as they are read."""
        yield from cut(self.data, self.cuts)


def cut(data: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    """Yield the pieces between positions."""
    edges = [0, *sorted(at % (len(data) + 1) for at in cuts), len(data)]
    for start, stop in itertools.pairwise(edges):
        if stop > start:
            yield data[start:stop]


_TOPICS = st.sampled_from(
    ["v1/a/readings", "v1/b/readings", "t", "gr\u00fc\u00dfe/\U0001f600", "x" * 300]
)
_PAYLOADS = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([90, 125, 126, 127, 200, 5_000, 16_383, 20_000]).map(lambda size: b"p" * size),
)
_WORDS = st.sampled_from(["", "a", "text/plain", "\u00e9" * 40]).map(text)
_PROPERTY = st.one_of(
    st.tuples(_WORDS, _WORDS).map(lambda pair: b"\x26" + pair[0] + pair[1]),
    st.integers(1, 268_435_455).map(lambda number: b"\x0b" + variable(number)),
)
_ONCE = st.fixed_dictionaries(
    {},
    optional={
        0x01: st.sampled_from([b"\x00", b"\x01"]),
        0x02: st.integers(0, 2**32 - 1).map(lambda number: struct.pack("!L", number)),
        0x03: _WORDS,
        0x08: _WORDS,
        0x09: st.binary(max_size=200).map(text),
    },
)


@st.composite
def _properties(draw: st.DrawFn) -> bytes:
    once = [bytes([name]) + value for name, value in draw(_ONCE).items()]
    return b"".join(once + draw(st.lists(_PROPERTY, max_size=3)))


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Draw what a broker that keeps to the rules may send after its CONNACK."""
    speaks_5 = draw(st.booleans())
    data, left, peeled = b"", b"", []
    for kind in draw(st.lists(st.sampled_from("0011122prs"), max_size=25)):
        mid = draw(st.integers(1, 65_535)) if kind in "1s" else draw(st.integers(1, 3))
        if kind in "012":
            qos, topic, payload = int(kind), draw(_TOPICS), draw(_PAYLOADS)
            properties = draw(_properties()) if speaks_5 else None
            flags = draw(st.sampled_from([0, 1, 8, 9] if qos else [0, 1]))
            one = publish(topic, payload, qos=qos, mid=mid, properties=properties, flags=flags)
            if qos < 2:
                peeled.append((topic, payload, qos, mid if qos else 0))
                data += one
                continue
        elif kind == "p":
            one = PINGRESP
        elif kind == "r":
            one = packet(0x62, struct.pack("!H", mid))
        else:
            one = packet(0x90, struct.pack("!H", mid) + (b"\0" if speaks_5 else b"") + b"\x01")
        data, left = data + one, left + one
    cuts = draw(st.lists(st.integers(0, 2**20), max_size=30))
    if data and draw(st.booleans()):
        cuts += range(min(len(data), 400))
    return Stream(speaks_5, data, left, peeled, cuts)


class SocketPaho(paho_client.Client):
    """paho on one end of a pair of sockets, with its CONNECT sent."""

    def __init__(self, sock: paho_client.SocketLike, *, speaks_5: bool) -> None:
        """Take the socket paho shall read from."""
        super().__init__(
            CallbackAPIVersion.VERSION2,
            protocol=MQTTProtocolVersion.MQTTv5 if speaks_5 else MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        self._given = sock
        self.messages: list[Message] = []
        self.on_message = self._take
        self.connect("broker", 1)

    def _create_socket(self) -> paho_client.SocketLike:
        return self._given

    def _take(self, _client: object, _userdata: object, message: paho_client.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "\ufffd"
        mid = message.mid if message.qos else 0
        self.messages.append((topic, bytes(message.payload), message.qos, mid))


def through_paho(chunks: Iterator[bytes], *, speaks_5: bool) -> tuple[list[Message], bool]:
    """Return the messages stock paho finds in a stream, and whether it accepted all of it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = SocketPaho(theirs, speaks_5=speaks_5)
        for chunk in chunks:
            for part in cut(chunk, range(0, len(chunk), 30_000)):
                ours.sendall(part)
                if not _read_all(client, theirs):
                    return client.messages, False
        return client.messages, True


def _read_all(client: SocketPaho, sock: socket.socket) -> bool:
    while select.select([sock], [], [], 0)[0]:
        if client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS or client.socket() is None:
            return False
    return True
