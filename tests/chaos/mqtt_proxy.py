# SPDX-License-Identifier: EUPL-1.2
"""A wire between Lamppost and the broker that passes everything on unchanged and takes notes.

What Lamppost has acknowledged is known from here: from the bytes, not from what it says.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from tests.chaos.mqtt_stream import PUBACK, PUBLISH, Packets, publication

_CHUNK = 1 << 16
_CONNECT, _CONNACK = 1, 2


@dataclass
class Passage:
    """One connection of Lamppost to the broker.

    Attributes:
        opened_at: monotonic seconds when it was made.
        welcomed_at: monotonic seconds when the broker accepted it, 0 while it has not.
        first_ack_at: monotonic seconds of the first PUBACK, 0 while there was none.
        published, acknowledged: how many messages came in and were acknowledged.
        stray: acknowledgements of identifiers that were not under way in this connection.
        reused: identifiers the broker gave to a message while another of that name was under way,
            as Mosquitto 2.0.11 does when it loses count of its window; acknowledged one by one.
        unordered: acknowledgements that left before that of an earlier message.
    """

    opened_at: float
    welcomed_at: float = 0.0
    first_ack_at: float = 0.0
    published: int = 0
    acknowledged: int = 0
    stray: list[int] = field(default_factory=list)
    unordered: int = 0
    speaks_5: bool = False
    reused: int = 0
    under_way: dict[int, bytes] = field(default_factory=dict)
    numbers: dict[int, deque[int]] = field(default_factory=dict)

    def come(self, mid: int, payload: bytes) -> None:
        """Note a message at QoS 1 that went to Lamppost."""
        waiting = self.numbers.setdefault(mid, deque())
        self.reused += bool(waiting)
        waiting.append(self.published)
        self.under_way[self.published] = payload

    def answered(self, mid: int) -> bytes | None:
        """Note an acknowledgement; return the payload, None where nothing of that name waits."""
        waiting = self.numbers.get(mid)
        if not waiting:
            self.stray.append(mid)
            return None
        number = waiting.popleft()
        self.unordered += number != next(iter(self.under_way))
        return self.under_way.pop(number)


class RecordingProxy:
    """Listens on a port of its own and connects on to the broker.

    Attributes:
        port: where Lamppost connects to.
        broker_port: where the broker is.
        passages: every connection, the newest last.
        sent: payloads in the order they first went to Lamppost.
        acknowledged: payloads Lamppost has sent a PUBACK for.
    """

    def __init__(self, broker_port: int) -> None:
        """Listen; pass on what comes."""
        self.passages: list[Passage] = []
        self.sent: dict[bytes, None] = {}
        self.acknowledged: dict[bytes, None] = {}
        self.broker_port = broker_port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._closed = False
        self._run(self._accept, self._server)

    @property
    def acknowledgements(self) -> int:
        """How many acknowledgements passed by, those of repeats too."""
        return sum(passage.acknowledged for passage in self.passages)

    def cut(self) -> None:
        """Break every connection there is."""
        with self._lock:
            sockets = list(self._sockets)
        for sock in sockets:
            _shut(sock)

    def shut(self) -> None:
        """Let nobody in any more, as if nothing listened, and break every connection there is."""
        _shut(self._server)
        self._server.close()
        self.cut()

    def reopen(self) -> None:
        """Listen again where it did."""
        self._server = socket.create_server(("127.0.0.1", self.port))
        self._run(self._accept, self._server)

    def stall(self, *, on: bool) -> None:
        """Pass nothing on, or go on; connections stay."""
        if on:
            self._flowing.clear()
        else:
            self._flowing.set()

    def close(self) -> None:
        """Break everything and end."""
        self._closed = True
        _shut(self._server)
        self._server.close()
        self._flowing.set()
        self.cut()
        for thread in list(self._threads):
            thread.join(20)

    def _run(self, work: object, *given: object) -> None:
        thread = threading.Thread(target=work, args=given, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, server: socket.socket) -> None:
        while not self._closed:
            try:
                ours, _ = server.accept()
            except OSError:
                return
            self._join(ours)

    def _join(self, ours: socket.socket) -> None:
        """Connect one accepted connection on to the broker; without a broker it is closed."""
        try:
            theirs = socket.create_connection(("127.0.0.1", self.broker_port), timeout=5)
        except OSError:
            _shut(ours)
            ours.close()
            return
        theirs.settimeout(None)
        for sock in (ours, theirs):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        passage = Passage(time.monotonic())
        with self._lock:
            self._sockets |= {ours, theirs}
            self.passages.append(passage)
        self._run(self._carry, ours, theirs, passage)

    def _carry(self, ours: socket.socket, theirs: socket.socket, passage: Passage) -> None:
        """Pass on both ways until one side is gone, then close both."""
        back = threading.Thread(target=self._pump, args=(ours, theirs, self._from_us, passage))
        back.start()
        self._pump(theirs, ours, self._from_broker, passage)
        back.join()
        with self._lock:
            self._sockets -= {ours, theirs}
        ours.close()
        theirs.close()

    def _pump(
        self,
        source: socket.socket,
        target: socket.socket,
        note: object,
        passage: Passage,
    ) -> None:
        packets = Packets()
        reading = writing = True
        while reading:
            self._flowing.wait()
            try:
                data = source.recv(_CHUNK)
            except OSError:
                data = b""
            reading = bool(data)
            for first, body in packets.feed(data):
                note(passage, first, body)  # type: ignore[operator]
            if data and writing:
                try:
                    target.sendall(data)
                except OSError:
                    # What the other side still has to say is noted all the same.
                    writing = False
        _shut(target)

    def _from_broker(self, passage: Passage, first: int, body: bytes) -> None:
        if first >> 4 == _CONNACK:
            passage.welcomed_at = 0.0 if body[1] else time.monotonic()
        if first >> 4 != PUBLISH:
            return
        mid, payload = publication(first, body, speaks_5=passage.speaks_5)
        passage.published += 1
        with self._lock:
            self.sent.setdefault(payload)
            if mid:
                passage.come(mid, payload)

    def _from_us(self, passage: Passage, first: int, body: bytes) -> None:
        if first >> 4 == _CONNECT:
            passage.speaks_5 = body[6] == 5
        if first >> 4 != PUBACK:
            return
        mid = int.from_bytes(body[:2])
        with self._lock:
            payload = passage.answered(mid)
            if payload is None:
                return
            self.acknowledged.setdefault(payload)
        passage.acknowledged += 1
        passage.first_ack_at = passage.first_ack_at or time.monotonic()


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
