# SPDX-License-Identifier: EUPL-1.2
"""Just enough MQTT 3.1.1 over a socket to load a broker faster than any client library could."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Sequence
from typing import Final, Self

_CONNECT: Final = 0x10
_PUBLISH: Final = 0x30
_PUBACK: Final = b"\x40\x02"
_SUBSCRIBE: Final = 0x82
_DISCONNECT: Final = b"\xe0\x00"
_MIDS: Final = 65_535
_WINDOW: Final = 1_000
_CHUNK: Final = 250


class RawClient:
    """One connection; messages go out as fast as the broker acknowledges them."""

    def __init__(self, port: int, client_id: str, *, clean: bool) -> None:
        """Connect and wait until the broker agrees.

        Raises:
            ConnectionError: it does not.
        """
        self._socket = socket.create_connection(("127.0.0.1", port))
        body = b"\x00\x04MQTT\x04" + bytes([2 if clean else 0]) + b"\x00\x00" + _text(client_id)
        self._socket.sendall(_packet(_CONNECT, body))
        answer = self._socket.recv(4, socket.MSG_WAITALL)
        if answer[:1] != b"\x20" or answer[3:] != b"\x00":
            raise ConnectionError(f"the broker answered {answer!r}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendall(_DISCONNECT)
        self._socket.close()

    def subscribe(self, topic: str, qos: int) -> None:
        """Subscribe and wait for the answer."""
        self._socket.sendall(_packet(_SUBSCRIBE, b"\x00\x01" + _text(topic) + bytes([qos])))
        self._socket.recv(5, socket.MSG_WAITALL)

    def publish(self, messages: Sequence[tuple[str, bytes]], qos: int) -> None:
        """Publish everything; at QoS 1 return when the broker has acknowledged it."""
        packets = [
            _publication(topic, payload, qos, number % _MIDS + 1)
            for number, (topic, payload) in enumerate(messages)
        ]
        window = threading.Semaphore(_WINDOW // _CHUNK)
        chunks = [b"".join(packets[at : at + _CHUNK]) for at in range(0, len(packets), _CHUNK)]
        reader = threading.Thread(target=self._take_acks, args=(len(packets), window), daemon=True)
        if qos:
            reader.start()
        for chunk in chunks:
            if qos:
                window.acquire()
            self._socket.sendall(chunk)
        if qos:
            reader.join()

    def _take_acks(self, count: int, window: threading.Semaphore) -> None:
        taken = released = 0
        wanted = count * (len(_PUBACK) + 2)
        while taken < wanted:
            answer = self._socket.recv(65_536)
            if not answer:
                raise ConnectionError("the broker closed the connection")
            taken += len(answer)
            while released < taken // (4 * _CHUNK):
                window.release()
                released += 1


def _publication(topic: str, payload: bytes, qos: int, mid: int) -> bytes:
    head = _text(topic) + (struct.pack("!H", mid) if qos else b"")
    return _packet(_PUBLISH | qos << 1, head + payload)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("!H", len(data)) + data


def _packet(kind: int, body: bytes) -> bytes:
    length, size = bytearray(), len(body)
    while True:
        size, low = divmod(size, 128)
        length.append(low | (0x80 if size else 0))
        if not size:
            return bytes([kind]) + bytes(length) + body
