# SPDX-License-Identifier: EUPL-1.2
"""Connections to the portal: bounded in number, and cut when the other side does not keep up."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_BYTES: Final = 32_768
KEEP_ALIVE_S: Final = 30
_SLOWEST_BYTES_PER_S: Final = 512
_RESET: Final = struct.pack("ii", 1, 0)

Cause = Literal["slow_head", "slow_body", "slow_reader", "made_room", "full"]


@dataclass(slots=True)
class Doorkeeper:
    """What clients may ask of the portal's connections, and how often they asked too much.

    Attributes:
        patience_s: how long a client may stall. Each connection is looked at once in this time, so
            it may stay up to twice as long.
        most: connections at a time.
        cut: connections that were cut, by cause.
    """

    patience_s: float = 20.0
    most: int = 500
    cut: Counter[Cause] = field(default_factory=Counter)

    def protocol(self) -> type[asyncio.Protocol]:
        """Return the protocol for a server that keeps to this."""
        keeper = self

        class Connection(PatientConnection):
            doorkeeper = keeper

        return Connection


class PatientConnection(H11Protocol):
    """An HTTP connection that ends when the other side neither sends nor takes in time.

    uvicorn itself waits for ever for the end of a head or a body, and for a client that does not
    read its answer.
    """

    doorkeeper: ClassVar[Doorkeeper]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Begin to watch a connection, in the place of an idle one when there are too many."""
        super().connection_made(transport)
        self._received = 0
        self._pauses = 0
        self._writing_paused = False
        self._answered = False
        self.idle_since = self.loop.time()
        self._seen: tuple[object, int] | None = None
        self._look = self.loop.call_later(self.doorkeeper.patience_s, self._look_after)
        if len(self.connections) > self.doorkeeper.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes in."""
        self._received += len(data)
        super().data_received(data)

    def pause_writing(self) -> None:
        """Note that the client takes less than it is given."""
        self._writing_paused = True
        self._pauses += 1
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client has caught up."""
        self._writing_paused = False
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Wait for the next request from now on."""
        self._answered = True
        self.idle_since = self.loop.time()
        super().on_response_complete()

    @property
    def idle(self) -> bool:
        """Whether the head of a request is waited for."""
        return self.conn.their_state is h11.IDLE

    def _make_room(self) -> None:
        """Cut the connection that has been idle longest; ours is one of them."""
        others = (found for found in self.connections if isinstance(found, PatientConnection))
        idle = [found for found in others if found.idle and not found.transport.is_closing()]
        oldest = min(idle, key=lambda found: found.idle_since, default=self)
        oldest.cut("full" if oldest is self else "made_room")

    def _look_after(self) -> None:
        cause = self._fault()
        if cause is not None:
            self.cut(cause)
            return
        self._look = self.loop.call_later(self.doorkeeper.patience_s, self._look_after)

    def _fault(self) -> Cause | None:
        """Return why the connection should end, None when nothing is wrong."""
        patience_s = self.doorkeeper.patience_s
        if self._writing_paused or self.transport.is_closing():
            left = self.transport.get_write_buffer_size()
            return "slow_reader" if self._too_little(("write", self._pauses), -left) else None
        if self.idle:
            silent_s = self.loop.time() - self.idle_since
            # A connection kept alive has its own time before this one counts.
            allowed_s = patience_s * 0.9 + (KEEP_ALIVE_S if self._answered else 0)
            return "slow_head" if silent_s >= allowed_s else None
        if self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused:
            return "slow_body" if self._too_little(self.cycle, self._received) else None
        self._seen = None
        return None

    def _too_little(self, what: object, amount: int) -> bool:
        """Return whether too little of the same has gone on since the last look."""
        before, self._seen = self._seen, (what, amount)
        least = _SLOWEST_BYTES_PER_S * self.doorkeeper.patience_s
        return before is not None and before[0] == what and amount - before[1] < least

    def cut(self, cause: Cause) -> None:
        """End the connection at once, without waiting for what is still to be sent."""
        self.doorkeeper.cut[cause] += 1
        opened = self.transport.get_extra_info("socket")
        if opened is not None:
            # A reset instead of a farewell: nothing that is not taken stays with the system.
            with socket.socket(fileno=os.dup(opened.fileno())) as twin:
                twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()
