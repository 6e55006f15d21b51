# SPDX-License-Identifier: EUPL-1.2
"""HTTP requests that end: each within a total time, with a bounded answer, believed if whole.

The time-outs of sockets begin anew with every byte, so a server that sends one byte a second keeps
a request for hours. And an answer is read even when the request could not be sent as a whole.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from collections.abc import Iterator
from typing import Any, Final

from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import TimeoutError as UrllibTimeoutError

from lamppost.errors import NotConnected

_ANSWER_BYTES: Final = 65_536
_TIMEOUTS: Final = (TimeoutError, UrllibTimeoutError)


class Exchange:
    """One request after the other, and what was noticed about each.

    Attributes:
        timed_out: whether the time was up before the answer was there.
        sent: whether the request was sent as a whole.
        content_type: what the answer says it is.
    """

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._lock = threading.Lock()
        self._twin: socket.socket | None = None
        self.timed_out = False
        self.sent = False
        self.content_type = ""

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut the connection when a request is not over after a time."""
        self.timed_out = False
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def late(self, error: Exception) -> bool:
        """Whether a request ended because its time was up, by our clock or by the socket's own.

        Both run at the same time; which of them is first is chance.
        """
        causes = (error, *error.args)
        return self.timed_out or any(isinstance(cause, _TIMEOUTS) for cause in causes)

    def watch(self, opened: socket.socket) -> None:
        """Take a new connection as the one to cut, and let go of the former."""
        # A twin reaches the connection whatever TLS or the HTTP client wrap around the socket.
        twin = opened.dup()
        with self._lock:
            former, self._twin = self._twin, twin
            cut = self.timed_out
        if former is not None:
            former.close()
        if cut:
            self._cut()

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            former, self._twin = self._twin, None
        if former is not None:
            former.close()

    def require_trust(self) -> None:
        """Refuse to believe a success that cannot be one.

        Raises:
            NotConnected: the request was not read to its end, or a page for people came back.
        """
        if not self.sent:
            raise NotConnected("it said yes before it had read the request, so nothing is certain")
        if self.is_page:
            raise NotConnected("a page for people came back, not the answer of a database")

    @property
    def is_page(self) -> bool:
        """Whether the answer is HTML: a proxy, a login page or another program speaks."""
        return self.content_type.partition(";")[0].strip().lower() == "text/html"

    def _cut(self) -> None:
        with self._lock:
            self.timed_out = True
            if self._twin is not None:
                with contextlib.suppress(OSError):  # closed by the other side already
                    self._twin.shutdown(socket.SHUT_RDWR)

    def pools(self) -> dict[str, type[HTTPConnectionPool]]:
        """Return the pool classes for a ``urllib3.PoolManager`` whose requests this watches."""
        exchange = self

        class Plain(_Watched, HTTPConnection):
            watching = exchange

        class Encrypted(_Watched, HTTPSConnection):
            watching = exchange

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class EncryptedPool(HTTPSConnectionPool):
            ConnectionCls = Encrypted

        return {"http": PlainPool, "https": EncryptedPool}


class _Watched(HTTPConnection):
    watching: Exchange

    def _new_conn(self) -> socket.socket:
        opened = super()._new_conn()
        self.watching.watch(opened)
        return opened

    # Any: urllib3's own types of bodies and headers are private.
    def request(self, *args: Any, **options: Any) -> None:
        # urllib3 passes over a connection that breaks while sending, for the sake of the answer.
        self.watching.sent = False
        super().request(*args, **{**options, "preload_content": False})
        self.watching.sent = True

    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # urllib3 has the same remark
        answer = super().getresponse()
        body = answer.read(_ANSWER_BYTES, decode_content=False)
        self.watching.content_type = answer.headers.get("Content-Type", "")
        if answer.length_remaining != 0:
            self.close()
        answer.close()
        return HTTPResponse(
            body=io.BytesIO(body),
            headers=answer.headers,
            status=answer.status,
            version=answer.version,
            reason=answer.reason,
            preload_content=False,
            enforce_content_length=False,
        )
