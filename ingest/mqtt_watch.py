# SPDX-License-Identifier: EUPL-1.2
"""A socket in an asyncio loop: who is called when it can be read or written, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

# Mosquitto writes message by message. Waking for each costs more than reading it, and a frame is
# collected for longer than this anyway.
_POLL_S: Final = 0.002


class _HasDescriptor(Protocol):
    def fileno(self) -> int:
        """Return the descriptor, -1 once closed."""
        ...


class SocketWatch:
    """Watches one socket; must be used in the loop's thread, and closed before the socket is."""

    def __init__(
        self,
        sock: _HasDescriptor,
        on_readable: Callable[[], bool],
        on_writable: Callable[[], None],
    ) -> None:
        """Take what is called; ``on_readable`` returns whether anything had come."""
        self._loop = asyncio.get_running_loop()
        self._descriptor = sock.fileno()
        self._on_readable = on_readable
        self._on_writable = on_writable
        self._poll: asyncio.Handle | None = None
        self._writing = False
        self._closed = False
        self.reading = False

    def read(self, *, on: bool) -> None:
        """Watch for data, or leave what comes in the peer's hands."""
        if on == self.reading or self._closed:
            return
        self.reading = on
        if on:
            # No readiness event tells of bytes TLS has already decrypted: look first.
            self._poll = self._loop.call_soon(self._wake)
        else:
            self._stop_reading()

    def write(self, *, on: bool) -> None:
        """Watch for room to write, or stop."""
        if on == self._writing or self._closed:
            return
        self._writing = on
        if on:
            self._loop.add_writer(self._descriptor, self._on_writable)
        else:
            self._loop.remove_writer(self._descriptor)

    def close(self) -> None:
        """Take the socket out of the loop."""
        self.read(on=False)
        self.write(on=False)
        self._closed = True

    def _wake(self) -> None:
        """Read; while data keeps coming, look again every few milliseconds instead of waiting."""
        came = self._on_readable()
        if not self.reading:
            return
        if came:
            if self._poll is None:
                self._loop.remove_reader(self._descriptor)
            self._poll = self._loop.call_later(_POLL_S, self._wake)
        elif self._poll is not None:
            self._poll = None
            self._loop.add_reader(self._descriptor, self._wake)

    def _stop_reading(self) -> None:
        if self._poll is not None:
            self._poll.cancel()
            self._poll = None
        else:
            self._loop.remove_reader(self._descriptor)
