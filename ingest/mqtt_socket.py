# SPDX-License-Identifier: EUPL-1.2
"""The socket between broker and paho: it reads in bulk, keeps messages, passes on the rest.

It stands above TLS. What paho writes and our acknowledgements leave through it, so that neither
ever lands inside a packet of the other.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from typing import Final

from .mqtt_wire import PINGRESP, Peeler, Received, ViolationError, pubacks

_CHUNK_BYTES: Final = 65_536
_NOT_NOW: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

# A peer cannot have more messages unacknowledged than there are packet identifiers.
_MOST_UNSENT_BYTES: Final = 4 * 65_535


class PeelingSocket:
    """What paho takes for its socket (the part of one it uses), and our own way in and out.

    Attributes:
        more: whether the last read left bytes that no readiness event may announce.
        failure: why sending failed, which paho keeps to itself.
    """

    def __init__(self, inner: socket.socket, peeler: Peeler) -> None:
        """Take the connected socket, with TLS if there is any, and what reads its bytes."""
        self._inner = inner
        self._peeler = peeler
        self._unsent = bytearray()
        self._inside_packet = False
        self._ended = False
        self.more = False
        self.failure: OSError | None = None

    def recv(self, size: int) -> bytes:
        """Give paho what was left for it.

        Raises:
            BlockingIOError: there is nothing now; to paho, b"" means that the connection is lost.
        """
        left = self._peeler.left
        if not left and not self._ended:
            raise BlockingIOError
        data = bytes(left[:size])
        del left[:size]
        return data

    def send(self, data: bytes | bytearray) -> int:
        """Send for paho, after what is left of our own.

        Raises:
            BlockingIOError: the peer takes no more now.
        """
        if not self._inside_packet:
            self.flush()
            if self._unsent:
                raise BlockingIOError
        # TLS may have made a record of a refused write, and must be offered the same bytes again:
        # from the first try to the last byte the line is paho's.
        self._inside_packet = True
        try:
            sent = self._inner.send(data)
        except _NOT_NOW:
            raise
        except OSError as error:
            self.failure = self._last_word(error)
            raise
        self._inside_packet = sent < len(data)
        return sent

    def _last_word(self, error: OSError) -> OSError:
        """Return what the peer said before it went, a TLS alert among others, else the error."""
        try:
            self._inner.recv(1)
        except _NOT_NOW:
            return error
        except ssl.SSLError as told:
            return told
        except OSError:
            return error
        return error

    def pending(self) -> int:
        """Return how many bytes wait for paho: whole packets, or the news that the peer is gone."""
        return len(self._peeler.left) or int(self._ended)

    def fileno(self) -> int:
        """Return the descriptor, -1 once closed."""
        return self._inner.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - the signature of a socket
        """Choose whether calls wait."""
        self._inner.setblocking(flag)

    def close(self) -> None:
        """Close, and forget what was not sent."""
        self._unsent.clear()
        self._inner.close()

    def read(self, received_at: int) -> list[Received] | None:
        """Read one chunk and return its messages, None when there was nothing to read.

        Raises:
            OSError: the connection is broken.
        """
        self.more = False
        try:
            data = self._inner.recv(_CHUNK_BYTES)
        except _NOT_NOW:
            return None
        if not data:
            self._ended = True
            return None
        inner = self._inner
        decrypted = inner.pending() if isinstance(inner, ssl.SSLSocket) else 0
        self.more = decrypted > 0 or len(data) == _CHUNK_BYTES
        return self._peeler.feed(data, received_at)

    @property
    def violation(self) -> str:
        """Why the stream cannot be read on; "" while it can."""
        return self._peeler.violation

    def acknowledge(self, mids: Sequence[int]) -> None:
        """Send acknowledgements at QoS 1 in the order given, as soon as no packet is under way.

        Raises:
            OSError: the connection is broken.
            ViolationError: the peer goes on sending and takes no acknowledgements.
        """
        self._unsent += pubacks(mids)
        if not self._inside_packet:
            self.flush()
        if len(self._unsent) > _MOST_UNSENT_BYTES:
            raise ViolationError("the broker does not read what is sent to it")

    def flush(self) -> None:
        """Send what is left of our own, as far as the peer takes it.

        Raises:
            OSError: the connection is broken.
        """
        while self._unsent and not self._inside_packet:
            try:
                sent = self._inner.send(self._unsent)
            except _NOT_NOW:
                return
            del self._unsent[:sent]

    def wants_write(self) -> bool:
        """Whether acknowledgements wait for the peer to take more."""
        return bool(self._unsent)

    def answer_ping(self) -> None:
        """Give paho a PINGRESP; the broker's own may stand behind messages we do not read yet."""
        self._peeler.left += PINGRESP
