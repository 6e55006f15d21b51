# SPDX-License-Identifier: EUPL-1.2
"""A small HTTP server that takes InfluxDB v2 writes and does what a script tells it.

Real sockets and real requests: only the database behind them is missing.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says to one write.

    Attributes:
        status: HTTP status.
        body: text of the answer.
        headers: headers beside the usual ones.
        after_s: how long it keeps the client waiting.
        byte_s: how long each byte of the body takes; 0 sends it at once.
    """

    status: int = 204
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    byte_s: float = 0.0


NO_SUCH_API = Answer(404, '{"code":"not found","message":"no such API"}')


@dataclass(frozen=True, slots=True)
class Request:
    """One write as it arrived, decompressed."""

    path: str
    headers: dict[str, str]
    lines: list[str]
    size: int


class WriteServer:
    """Listens on a free port of this machine until closed."""

    def __init__(self, script: Callable[[Request], Answer] | None = None, port: int = 0) -> None:
        """Answer every write with 204, or as a script says; port 0 takes a free one."""
        self.script = script or (lambda _: Answer())
        self.requests: list[Request] = []
        self.accepted: list[Request] = []
        self.connections: set[socket.socket] = set()
        self.stored: dict[tuple[str, int], dict[str, float]] = {}
        server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        server.daemon_threads = True
        self.port = server.server_port
        self.url = f"http://127.0.0.1:{server.server_port}"
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        self._thread.start()

    def __enter__(self) -> Self:
        """Be usable with ``with``."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening, and break off the connections that are kept."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def take(self, request: Request) -> Answer:
        """Answer a write and keep its points if the answer is yes; later fields replace earlier."""
        self.requests.append(request)
        answer = self.script(request)
        if answer.status == 204:
            self.accepted.append(request)
            for line in request.lines:
                head, fields, at = _parts(line)
                point = self.stored.setdefault((head, int(at)), {})
                pairs = (pair.split("=") for pair in fields.split(","))
                point.update((name, float(value)) for name, value in pairs)
        return answer


def _parts(line: str) -> tuple[str, str, str]:
    head_and_fields, at = line.rsplit(" ", 1)
    head, fields = head_and_fields.rsplit(" ", 1)
    return head, fields, at


class _Noted(BaseHTTPRequestHandler):
    """Keeps its connection where it can be broken off."""

    open_ones: ClassVar[set[socket.socket]]

    def setup(self) -> None:
        super().setup()
        self.open_ones.add(self.connection)

    def finish(self) -> None:
        self.open_ones.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()


def _handler(owner: WriteServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Noted):
        open_ones = owner.connections
        protocol_version = "HTTP/1.1"
        # Otherwise each answer with a body waits 40 ms for the client's system.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            size = len(body)
            if not self.path.startswith("/api/v2/write"):
                self._say(NO_SUCH_API)
                return
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            lines = body.decode().splitlines()
            answer = owner.take(Request(self.path, dict(self.headers.items()), lines, size))
            time.sleep(answer.after_s)
            self._say(answer)

        def do_GET(self) -> None:
            self._say(NO_SUCH_API)

        def _say(self, answer: Answer) -> None:
            data = answer.body.encode()
            try:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.status != 204:
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                for place in range(len(data) if answer.byte_s else 0):
                    self.wfile.write(data[place : place + 1])
                    time.sleep(answer.byte_s)
                if not answer.byte_s:
                    self.wfile.write(data)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Keep the test output readable."""

    return Handler
