# SPDX-License-Identifier: EUPL-1.2
"""A broker that does exactly what a test says, and shows what came over the wire."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterable
from typing import NamedTuple

from tests.mqtt_packets import connack, packet, publish

CONNECT, PUBACK, PUBREC, PUBCOMP = 1, 4, 5, 7
SUBSCRIBE, PINGREQ, DISCONNECT = 8, 12, 14


class Packet(NamedTuple):
    """A packet the client sent."""

    kind: int
    body: bytes

    @property
    def mid(self) -> int:
        """The packet identifier of a PUBACK or SUBSCRIBE."""
        return int.from_bytes(self.body[:2])


class Peer:
    """One connection of the client."""

    def __init__(self, sock: socket.socket, *, speaks_5: bool) -> None:
        """Take the accepted socket."""
        self.socket = sock
        self._speaks_5 = speaks_5
        self._buffer = b""

    def welcome(self, *, session_present: bool = True) -> None:
        """Answer CONNECT and SUBSCRIBE."""
        assert self.next().kind == CONNECT
        self.socket.sendall(connack(session_present=session_present, speaks_5=self._speaks_5))
        self.grant(self.next())

    def grant(self, subscribe: Packet) -> None:
        """Answer a SUBSCRIBE for one topic."""
        assert subscribe.kind == SUBSCRIBE
        granted = (b"\0" if self._speaks_5 else b"") + b"\x01"
        self.socket.sendall(packet(0x90, struct.pack("!H", subscribe.mid) + granted))

    def publish(self, mids: range, payload: str = "{mid}") -> None:
        """Send messages at QoS 1; ``{mid}`` in the payload becomes their identifier."""
        properties = b"" if self._speaks_5 else None
        self.socket.sendall(
            b"".join(
                publish(
                    "v1/a/readings",
                    payload.format(mid=mid).encode(),
                    qos=1,
                    mid=mid,
                    properties=properties,
                )
                for mid in mids
            )
        )

    def publish_all(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Send messages at QoS 1, their identifiers counted from 1."""
        properties = b"" if self._speaks_5 else None
        self.socket.sendall(
            b"".join(
                publish(topic, payload, qos=1, mid=mid, properties=properties)
                for mid, (topic, payload) in enumerate(messages, 1)
            )
        )

    def next(self, seconds: float = 20.0) -> Packet:
        """Wait for the next packet.

        Raises:
            TimeoutError: none came.
            ConnectionError: the client has closed the connection.
        """
        until = time.monotonic() + seconds
        while (found := self._parse()) is None:
            self.socket.settimeout(max(until - time.monotonic(), 0.001))
            data = self.socket.recv(1 << 20)
            if not data:
                raise ConnectionError("the client is gone")
            self._buffer += data
        self.socket.settimeout(None)
        return found

    def within(self, seconds: float) -> list[Packet]:
        """Return the packets that come within a time."""
        until = time.monotonic() + seconds
        found = []
        with contextlib.suppress(TimeoutError):
            while time.monotonic() < until:
                found.append(self.next(until - time.monotonic()))
        return found

    def pubacks(self, count: int) -> list[int]:
        """Wait for so many PUBACKs, past pings, and return their identifiers."""
        mids: list[int] = []
        while len(mids) < count:
            one = self.next()
            assert one.kind in {PUBACK, PINGREQ}
            mids += [one.mid] if one.kind == PUBACK else []
        return mids

    def _parse(self) -> Packet | None:
        length = shift = 0
        for index, byte in enumerate(self._buffer[1:5], 2):
            length += (byte & 127) << shift
            shift += 7
            if byte < 128:
                if len(self._buffer) < index + length:
                    return None
                one = Packet(self._buffer[0] >> 4, self._buffer[index : index + length])
                self._buffer = self._buffer[index + length :]
                return one
        return None


class ScriptedBroker:
    """Accepts connections one after the other, as the test asks for them."""

    def __init__(self, *, speaks_5: bool = False, receive_bytes: int = 0) -> None:
        """Listen; ``receive_bytes`` bounds what the kernel takes in unread."""
        self._server = socket.create_server(("127.0.0.1", 0))
        if receive_bytes:
            self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._speaks_5 = speaks_5
        self._peers: list[Peer] = []
        self.port: int = self._server.getsockname()[1]

    def accept(self, seconds: float = 20.0) -> Peer:
        """Wait for the client.

        Raises:
            TimeoutError: it did not come.
        """
        self._server.settimeout(seconds)
        sock, _ = self._server.accept()
        self._peers.append(Peer(sock, speaks_5=self._speaks_5))
        return self._peers[-1]

    def close(self) -> None:
        """Close everything."""
        self._server.close()
        for peer in self._peers:
            peer.socket.close()
