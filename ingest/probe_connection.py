# SPDX-License-Identifier: EUPL-1.2
"""A small blocking MQTT client that shows what a broker does: windows, reasons, limits.

paho hides just that: it acknowledges by itself, queues what does not fit, and comes back unasked.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Self

from lamppost.tls import expires_at, secured

from .mqtt import MqttOptions
from .mqtt_wire import Peeler, Received, ViolationError, pubacks, variable_integer

CONNECTION_REFUSED_VERSION: Final = frozenset({0x01, 0x84})
NOT_AUTHORIZED: Final = frozenset({0x05, 0x87})

SESSION_EXPIRY: Final = 0x11
SERVER_KEEP_ALIVE: Final = 0x13
RECEIVE_MAXIMUM: Final = 0x21
TOPIC_ALIAS_MAXIMUM: Final = 0x22
MAXIMUM_QOS: Final = 0x24
RETAIN_AVAILABLE: Final = 0x25
MAXIMUM_PACKET_SIZE: Final = 0x27
WILDCARDS_AVAILABLE: Final = 0x28
SHARED_AVAILABLE: Final = 0x2A

# MQTT 5, table 2-4: how values are laid out in a CONNACK.
_NUMBERS: Final = {
    SESSION_EXPIRY: 4,
    SERVER_KEEP_ALIVE: 2,
    RECEIVE_MAXIMUM: 2,
    TOPIC_ALIAS_MAXIMUM: 2,
    MAXIMUM_QOS: 1,
    RETAIN_AVAILABLE: 1,
    MAXIMUM_PACKET_SIZE: 4,
    WILDCARDS_AVAILABLE: 1,
    0x29: 1,
    SHARED_AVAILABLE: 1,
}
_TEXTS: Final = {0x12: 1, 0x15: 1, 0x16: 1, 0x1A: 1, 0x1C: 1, 0x1F: 1, 0x26: 2}

_CONNACK, _PUBACK, _SUBACK, _DISCONNECT = 2, 4, 9, 14
_SLICE_S: Final = 0.2
_KEEPALIVE_S: Final = 600
_LONGEST_SEND_S: Final = 10.0


class ProbeError(Exception):
    """The broker did not do what was asked of it; the text says what it did instead."""


class Patience:
    """How long a look at a broker may take in all, and whether it is still wanted."""

    def __init__(self, seconds: float, stopped: Callable[[], bool] = lambda: False) -> None:
        """Start the clock."""
        self._until = time.monotonic() + seconds
        self._stopped = stopped

    def left_s(self) -> float:
        """Return how much time is left.

        Raises:
            ProbeError: none is, or nobody waits any more.
        """
        left = self._until - time.monotonic()
        if left <= 0 or self._stopped():
            raise ProbeError("stopped before the end: there was no time left")
        return left


class Greeting(NamedTuple):
    """A CONNACK."""

    session_present: bool
    code: int
    properties: dict[int, int]


class ProbeConnection:
    """One connection with a name of its own; its block ends it.

    Attributes:
        greeting: what the broker said to the connection.
        granted: what it said to the subscription, 128 and more for a refusal.
        certificate_expires_at: seconds since 1970, None without TLS.
    """

    def __init__(
        self,
        options: MqttOptions,
        patience: Patience,
        *,
        name: str,
        speaks_5: bool,
        clean: bool = True,
        expiry_s: int = 0,
    ) -> None:
        """Connect and wait for the greeting.

        Raises:
            OSError: the broker cannot be reached.
            ConfigError: a file that TLS needs cannot be used.
            ProbeError: it did not answer, or not with a greeting.
        """
        self._options = options
        self._patience = patience
        self._speaks_5 = speaks_5
        self._peeler = Peeler(1, speaks_5=speaks_5, max_payload_bytes=options.max_payload_bytes)
        self._mid = 0
        self.granted = 0
        self.certificate_expires_at: float | None = None
        self._came: list[Received] = []
        self._packets: list[tuple[int, bytes]] = []
        self._socket = self._connected()
        try:
            self._send(self._connect(name, clean=clean, expiry_s=expiry_s))
            self.greeting = self._greeted()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        """Return the connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Say goodbye."""
        self.close()

    def subscribe(self, topic: str) -> None:
        """Subscribe at QoS 1."""
        mid = self._next_mid()
        properties = b"\0" if self._speaks_5 else b""
        self._send(_packet(0x82, struct.pack("!H", mid) + properties + _text(topic) + b"\x01"))
        self.granted = (self._wait_for(_SUBACK) or b"\x80")[-1]

    def publish(
        self, topic: str, payloads: Sequence[bytes], *, qos: int = 1, retain: bool = False
    ) -> set[int]:
        """Publish within the window the broker allows and return the reasons it answered with.

        Raises:
            OSError: the connection broke.
            ProbeError: the broker ended it or did not answer in time.
        """
        usual = 500 if self._speaks_5 else 20
        window = min(self.greeting.properties.get(RECEIVE_MAXIMUM, usual), usual)
        reasons: set[int] = set()
        first = 0x30 | qos << 1 | int(retain)
        sent = answered = 0
        while answered < (len(payloads) if qos else 0) or sent < len(payloads):
            part = payloads[sent : answered + window if qos else len(payloads)]
            if part:
                self._send(b"".join(self._publish(first, topic, one, qos) for one in part))
                sent += len(part)
            for body in self._pubacks() if qos else ():
                reasons.add(body[2] if len(body) > 2 else 0)
                answered += 1
        return reasons

    def receive(
        self, most: int, quiet_s: float, *, acknowledge: bool, until: bytes = b""
    ) -> list[Received]:
        """Return messages: so many, or those that come before it is quiet, or one payload comes.

        Raises:
            OSError: the connection broke.
            ProbeError: the time is over.
        """
        found: list[Received] = []
        last = time.monotonic()
        while True:
            came, self._came = self._came, []
            if came:
                found, last = found + came, time.monotonic()
                if acknowledge:
                    self._send(pubacks([one.mid for one in came if one.qos]))
            ended = bool(until) and any(one.payload == until for one in came)
            if len(found) >= most or ended or time.monotonic() - last > quiet_s:
                return found
            self._read_some()

    def acknowledge(self, messages: Sequence[Received]) -> None:
        """Acknowledge messages that were received without."""
        self._send(pubacks([one.mid for one in messages if one.qos]))

    def close(self) -> None:
        """Say goodbye, as far as that is possible."""
        with contextlib.suppress(OSError, ProbeError):
            self._send(b"\xe0\x00")
        self._socket.close()

    def _connected(self) -> socket.socket:
        options = self._options
        context = options.tls_files.context() if options.tls else None
        timeout_s = min(self._patience.left_s(), 10.0)
        sock = socket.create_connection((options.host, options.port), timeout_s)
        # Small packets in turns: waiting to join them would cost 40 ms a turn.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is None:
            return sock
        encrypted = secured(sock, context, options.host, timeout_s)
        self.certificate_expires_at = expires_at(encrypted)
        return encrypted

    def _connect(self, name: str, *, clean: bool, expiry_s: int) -> bytes:
        options = self._options
        flags = 0x02 if clean else 0
        fields = [_text(name)]
        if options.username:
            flags |= 0x80
            fields.append(_text(options.username))
            if options.password:
                flags |= 0x40
                fields.append(_text(options.password))
        head = _text("MQTT") + bytes([5 if self._speaks_5 else 4, flags])
        head += struct.pack("!H", _KEEPALIVE_S)
        if self._speaks_5:
            properties = struct.pack("!BIBH", 0x11, expiry_s, 0x21, options.receive_maximum)
            head += bytes([len(properties)]) + properties
        return _packet(0x10, head + b"".join(fields))

    def _greeted(self) -> Greeting:
        body = self._wait_for(_CONNACK)
        if len(body) < 2:
            raise ProbeError("the answer to the connection is malformed")
        try:
            properties = _properties(body[2:]) if self._speaks_5 and len(body) > 2 else {}
        except (IndexError, ViolationError) as error:
            raise ProbeError("the answer to the connection is malformed") from error
        return Greeting(bool(body[0] & 1), body[1], properties)

    def _publish(self, first: int, topic: str, payload: bytes, qos: int) -> bytes:
        mid = struct.pack("!H", self._next_mid()) if qos else b""
        return _packet(first, _text(topic) + mid + (b"\0" if self._speaks_5 else b"") + payload)

    def _next_mid(self) -> int:
        self._mid = self._mid % 65_535 + 1
        return self._mid

    def _send(self, data: bytes) -> None:
        self._socket.settimeout(min(self._patience.left_s(), _LONGEST_SEND_S))
        self._socket.sendall(data)

    def _pubacks(self) -> list[bytes]:
        """Return the bodies of all acknowledgements that are there, at least one."""
        found = [self._wait_for(_PUBACK)]
        found += [body for kind, body in self._packets if kind == _PUBACK]
        self._packets = [one for one in self._packets if one[0] != _PUBACK]
        return found

    def _wait_for(self, kind: int) -> bytes:
        """Return the body of the next packet of a kind."""
        while True:
            for position, (found, body) in enumerate(self._packets):
                if found == kind:
                    del self._packets[position]
                    return body
                if found == _DISCONNECT:
                    reason = f"reason 0x{body[0]:02x}" if body else "no reason given"
                    raise ProbeError(f"the broker ended the connection ({reason})")
            self._read_some()

    def _read_some(self) -> None:
        """Read what comes within a moment."""
        self._socket.settimeout(min(self._patience.left_s(), _SLICE_S))
        try:
            data = self._socket.recv(65_536)
        except TimeoutError:
            return
        if not data:
            raise ProbeError("the broker ended the connection")
        self._came += self._peeler.feed(data, 0)
        if self._peeler.violation:
            raise ProbeError(f"the broker sent {self._peeler.violation}")
        left = bytes(self._peeler.left)
        self._peeler.left.clear()
        while left:
            length, start = variable_integer(left, 1)
            self._packets.append((left[0] >> 4, left[start : start + length]))
            left = left[start + length :]


def _packet(first: int, body: bytes) -> bytes:
    length, rest = bytearray(), len(body)
    while True:
        rest, low = divmod(rest, 128)
        length.append(low | (128 if rest else 0))
        if not rest:
            return bytes([first]) + bytes(length) + body


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("!H", len(raw)) + raw


def _properties(data: bytes) -> dict[int, int]:
    """Return the numbers among the properties of a CONNACK."""
    length, at = variable_integer(data, 0)
    end, found = at + length, {}
    while at < end:
        identifier, at = data[at], at + 1
        if identifier in _NUMBERS:
            size = _NUMBERS[identifier]
            found[identifier] = int.from_bytes(data[at : at + size])
            at += size
            continue
        for _ in range(_TEXTS.get(identifier, 0)):
            at += 2 + int.from_bytes(data[at : at + 2])
        if identifier not in _TEXTS:
            raise ProbeError(f"property {identifier} in the answer to the connection")
    return found
