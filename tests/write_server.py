# SPDX-License-Identifier: EUPL-1.2
"""A small HTTP server that takes InfluxDB v2 writes and does what a script tells it.

Real sockets and real requests: only the database behind them is missing.
"""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says to one write.

    Attributes:
        status: HTTP status.
        body: text of the answer.
        headers: headers beside the usual ones.
        after_s: how long it keeps the client waiting.
    """

    status: int = 204
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """One write as it arrived, decompressed."""

    path: str
    headers: dict[str, str]
    lines: list[str]
    size: int


class WriteServer:
    """Listens on a free port of this machine until closed."""

    def __init__(self, script: Callable[[Request], Answer] | None = None) -> None:
        """Answer every write with 204, or as a script says."""
        self.script = script or (lambda _: Answer())
        self.requests: list[Request] = []
        self.stored: dict[tuple[str, int], dict[str, float]] = {}
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        self._thread.start()

    def __enter__(self) -> Self:
        """Be usable with ``with``."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, request: Request) -> Answer:
        """Answer a write and keep its points if the answer is yes; later fields replace earlier."""
        self.requests.append(request)
        answer = self.script(request)
        if answer.status == 204:
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


def _handler(owner: WriteServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Otherwise each answer with a body waits 40 ms for the client's system.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            size = len(body)
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            lines = body.decode().splitlines()
            answer = owner.take(Request(self.path, dict(self.headers.items()), lines, size))
            time.sleep(answer.after_s)
            self._say(answer)

        def do_GET(self) -> None:
            self._say(Answer(404, '{"code":"not found","message":"no such API"}'))

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
                self.wfile.write(data)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Keep the test output readable."""

    return Handler
