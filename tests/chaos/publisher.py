# SPDX-License-Identifier: EUPL-1.2
"""Numbered messages of many sensors at QoS 1, from a raw socket that sees what is acknowledged."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from tests.chaos.mqtt_stream import PUBACK, Packets
from tests.mqtt_packets import publish, text

_CHUNK = 100
_MIDS = 65_535
_RETRY_S = 0.1

Numbered = Callable[[int], tuple[str, bytes]]
"""From a number to topic and payload."""


class City:
    """Messages of sensors that all report every second; number 0 is the first of the first sensor.

    A value is a whole number no check finds fault with, and tells neighbours apart.
    """

    def __init__(self, sensors: int, begin_s: int, *, quantity: str = "voc_index") -> None:
        """Take how many there are and when they begin, Unix seconds."""
        self._sensors = sensors
        self._begin_s = begin_s
        self._quantity = quantity

    def __call__(self, number: int) -> tuple[str, bytes]:
        """Return topic and payload of a message."""
        second, sensor = divmod(number, self._sensors)
        name = f"s{sensor:04d}"
        value = (7 * second + sensor) % 401 + 50
        payload = (
            f'{{"sensor":"{name}","time":{self._begin_s + second},'
            f'"values":{{"{self._quantity}":{value}}}}}'
        )
        return f"v1/{name}/readings", payload.encode()

    @classmethod
    def ending_now(cls, sensors: int, messages: int) -> City:
        """Return a city whose last messages are a minute old."""
        return cls(sensors, int(time.time()) - messages // sensors - 60)


class Publisher:
    """Publishes in a thread of its own; what the broker did not acknowledge is sent again.

    Attributes:
        acknowledged: payloads the broker has acknowledged, in order.
        rate: messages a second, 0 for as fast as the broker takes them; may be changed.
        reconnects: how often the connection was made anew.
    """

    def __init__(
        self,
        port: int,
        messages: Iterable[tuple[str, bytes]],
        *,
        rate: float = 0.0,
        window: int = 1000,
        client_id: str = "publisher",
    ) -> None:
        """Take where to and what; start with :meth:`start`."""
        self.acknowledged: list[bytes] = []
        self.rate = rate
        self.reconnects = -1
        self._port = port
        self._messages = iter(messages)
        self._window = window
        self._client_id = client_id
        self._under_way: dict[int, tuple[str, bytes]] = {}
        self._mid = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._problem = ""

    def start(self) -> Publisher:
        """Begin."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Send nothing more, and end."""
        self._stop.set()
        self._thread.join(30)

    def finish(self, seconds: float = 300.0) -> list[bytes]:
        """Wait until everything is acknowledged; return it."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"the broker takes no more ({self._problem})"
        return self.acknowledged

    @property
    def busy(self) -> bool:
        """Whether there is more to be sent or acknowledged."""
        return self._thread.is_alive()

    def _work(self) -> None:
        more = True
        while (more or self._under_way) and not self._stop.is_set():
            try:
                with contextlib.closing(self._connect()) as sock:
                    more = self._serve(sock)
            except OSError as error:
                self._problem = str(error)
                self._stop.wait(_RETRY_S)

    def _connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self._port), timeout=5)
        try:
            body = b"\x00\x04MQTT\x04\x02\x00\x00" + text(self._client_id)
            sock.sendall(bytes([0x10, len(body)]) + body)
            if sock.recv(4, socket.MSG_WAITALL)[:1] != b"\x20":
                raise ConnectionError("the broker does not welcome the publisher")
        except OSError:
            sock.close()
            raise
        self.reconnects += 1
        return sock

    def _serve(self, sock: socket.socket) -> bool:
        """Publish until all is acknowledged; return whether there was more when told to stop."""
        packets = Packets()
        for mid, (topic, payload) in list(self._under_way.items()):
            sock.sendall(publish(topic, payload, qos=1, mid=mid, flags=8))
        more, begun_at, sent = True, time.monotonic(), 0
        while (more or self._under_way) and not self._stop.is_set():
            allowed = self._allowed(begun_at, sent) if more else 0
            batch = list(self._batch(allowed))
            sent += len(batch)
            more = more and len(batch) == allowed
            if batch:
                sock.sendall(b"".join(batch))
            self._take_acks(sock, packets, wait=not batch)
        return more

    def _allowed(self, begun_at: float, sent: int) -> int:
        """Return how many may go out now."""
        room = min(self._window - len(self._under_way), _CHUNK)
        if not self.rate:
            return max(room, 0)
        due = int((time.monotonic() - begun_at) * self.rate) - sent
        return max(min(room, due), 0)

    def _batch(self, count: int) -> Iterator[bytes]:
        for _ in range(count):
            message = next(self._messages, None)
            if message is None:
                return
            self._mid = self._mid % _MIDS + 1
            while self._mid in self._under_way:
                self._mid = self._mid % _MIDS + 1
            self._under_way[self._mid] = message
            yield publish(*message, qos=1, mid=self._mid)

    def _take_acks(self, sock: socket.socket, packets: Packets, *, wait: bool) -> None:
        if not select.select([sock], [], [], 0.02 if wait else 0)[0]:
            return
        data = sock.recv(1 << 16)
        if not data:
            raise ConnectionError("the broker closed the connection")
        for first, body in packets.feed(data):
            if first >> 4 == PUBACK:
                (mid,) = struct.unpack("!H", body[:2])
                message = self._under_way.pop(mid, None)
                if message is not None:
                    self.acknowledged.append(message[1])
