# SPDX-License-Identifier: EUPL-1.2
"""A TCP server that treats each connection as a test tells it, down to single bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

Treatment = Callable[[socket.socket, threading.Event], None]


class RawServer:
    """Listens on a free port of this machine until closed, and closes what it opened."""

    def __init__(self, treat: Treatment) -> None:
        """Hand each connection to ``treat``, with the signal that the test is over."""
        self._treat = treat
        self._over = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.connections = 0
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def __enter__(self) -> Self:
        """Be usable with ``with``."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening, cut every connection and wait for the end of the treatments."""
        self._over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listening.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._treat(connection, self._over)


def read_request(connection: socket.socket) -> bytes:
    """Read a request with its body; empty when the client has gone."""
    held = b""
    while b"\r\n\r\n" not in held:
        data = connection.recv(65_536)
        if not data:
            return b""
        held += data
    head, _, body = held.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        data = connection.recv(65_536)
        if not data:
            return b""
        body += data
    return head + b"\r\n\r\n" + body


def is_write(request: bytes) -> bool:
    """Return whether a request brings points."""
    return request.startswith(b"POST ")


def reset(connection: socket.socket) -> None:
    """Break a connection off."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
