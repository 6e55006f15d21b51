# SPDX-License-Identifier: EUPL-1.2
"""One MQTT connection in an asyncio loop: from connect to loss, whichever way its messages come."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from lamppost import events
from lamppost.clock import Clock
from lamppost.errors import ConfigError
from lamppost.tls import explain

from .mqtt import PAHO_VERSION, MqttOptions, PeeledPaho
from .mqtt_socket import PeelingSocket
from .mqtt_takeover import SESSION_TAKEN_OVER
from .mqtt_watch import SocketWatch
from .mqtt_wire import Received, ViolationError

# What paho hands to callbacks and we do not use, or know by its attributes only.
_Paho = Any

_CHUNKS_PER_WAKE: Final = 4
_PACKETS_PER_WAKE: Final = 256
_WATCH_S: Final = 1.0


class Connection:
    """One connection: from connect to loss.

    Attributes:
        reached: whether there was a connection at all.
        was_up: whether the broker accepted us.
        unheard: whether the machine answered that nobody listens there.
        reads_in_bulk: whether messages are taken out before paho reads; None until connected.
        taken_over: whether the broker said that another client took our session.
    """

    def __init__(
        self,
        options: MqttOptions,
        clock: Clock,
        on_messages: Callable[[list[Received]], None],
        epoch: int,
        *,
        speaks_5: bool,
    ) -> None:
        """Take where to connect, who gets the messages, and the number of the connection."""
        self.was_up = False
        self.reached = False
        self.unheard = False
        self.reads_in_bulk: bool | None = None
        self.taken_over = False
        self._options = options
        self._clock = clock
        self._on_messages = on_messages
        self._epoch = epoch
        self._paused = False
        self._speaks_5 = speaks_5
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._lost: asyncio.Future[str] = self._loop.create_future()
        self._socket: _Paho = None
        self._wire: _Paho = None
        self._lane: PeelingSocket | None = None
        self._watch: SocketWatch | None = None
        self._last_read = self._up_since = self._loop.time()
        self._from_paho: list[Received] = []
        self._client = self._make_client()

    async def live(self, stop: asyncio.Event) -> str:
        """Connect, serve and return why it ended."""
        try:
            await asyncio.to_thread(self._client.open)
        except (OSError, ValueError, ConfigError) as error:
            self.unheard = isinstance(error, ConnectionRefusedError)
            self._detach()
            return self._explained(error)
        self.reached = True
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while not self._lost.done() and not stopping.done():
                ended: set[asyncio.Future[Any]] = {self._lost, stopping}
                await asyncio.wait(ended, timeout=_WATCH_S, return_when=asyncio.FIRST_COMPLETED)
                self._keep_alive()
        finally:
            stopping.cancel()
            if not self._lost.done():
                self._client.part()
            self._detach()
        return self._lost.result() if self._lost.done() else "stopped"

    def acknowledge(self, messages: Sequence[Received]) -> None:
        """Send acknowledgements in the order given."""
        if self._lost.done():
            return
        mids = [one.mid for one in messages if one.qos == 1]
        if self._lane is None:
            for mid in mids:
                self._client.ack(mid, 1)
        else:
            try:
                self._lane.acknowledge(mids)
            except (OSError, ViolationError) as error:
                self._lose(str(error))
        for message in messages:
            if message.qos == 2:
                self._client.ack(message.mid, 2)
        self._watch_writes()

    def pause(self, *, on: bool) -> None:
        """Leave the socket alone, or read again; the answer to a CONNECT is always read."""
        self._paused = on
        if self._watch is None or not self.was_up:
            return
        if not on and not self._watch.reading:
            self._last_read = self._loop.time()
        self._watch.read(on=not on)

    @property
    def up(self) -> bool:
        """Whether the broker has accepted us and not gone since."""
        return self.was_up and not self._lost.done()

    @property
    def lived_s(self) -> float:
        """How long ago the broker accepted us."""
        return self._loop.time() - self._up_since

    @property
    def certificate_expires_at(self) -> float | None:
        """When the broker's certificate expires, seconds since 1970; None without TLS."""
        return self._client.certificate_expires_at

    def _explained(self, error: Exception) -> str:
        return explain(error, self._options.place, self._options.tls_files)

    def _make_client(self) -> PeeledPaho:
        client = PeeledPaho(self._options, self._epoch, speaks_5=self._speaks_5)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_write_change
        client.on_socket_unregister_write = self._on_write_change
        return client

    def _keep_alive(self) -> None:
        """Let paho ping, and notice a connection that has gone silent.

        paho gives up when its ping is not answered in time, and its clock does not see what we take
        past it. While messages come in, or while we leave the socket alone and could not see an
        answer, it gets one from us; a peer that is gone is then noticed by what we send.
        """
        if self._lost.done():
            return
        silent = self._loop.time() - self._last_read
        if self._lane is not None and self.was_up:
            if self._paused or silent < 2 * _WATCH_S:
                self._lane.answer_ping()
            self._serve_paho(self._lane)
        self._client.loop_misc()
        reading = self._watch is not None and self._watch.reading
        if reading and silent > 1.5 * self._options.keepalive_s + _WATCH_S:
            self._lose(f"no byte for {silent:.0f} s")

    def _read(self) -> bool:
        """Read what is there, within reason, and return whether to look again soon."""
        return self._read_plain() if self._lane is None else self._read_in_bulk(self._lane)

    def _read_in_bulk(self, lane: PeelingSocket) -> bool:
        came = False
        for _ in range(_CHUNKS_PER_WAKE):
            try:
                messages = lane.read(self._clock.now_ns())
            except OSError as error:
                self._lose(self._explained(error))
                return came
            if messages is not None:
                came, self._last_read = True, self._loop.time()
            if messages:
                self._on_messages(messages)
            self._serve_paho(lane)
            if lane.violation:
                self._lose(lane.violation)
                self._client.part(protocol_error=True)
                break
            if not lane.more or self._paused or self._lane is not lane:
                break
        return came

    def _serve_paho(self, lane: PeelingSocket) -> None:
        """Let paho read all that was left for it."""
        while waiting := lane.pending():
            problem = self._client.read_some()
            if problem:
                self._lose(problem)
            if problem or lane.pending() == waiting:
                break
        self._hand_over()

    def _read_plain(self) -> bool:
        """Read through paho alone, packet by packet."""
        self._last_read = self._loop.time()
        for _ in range(_PACKETS_PER_WAKE):
            problem = self._client.read_some()
            # paho says SUCCESS for "one packet done" and for "nothing there" alike.
            taken = self._hand_over()
            if problem:
                self._lose(problem)
                return False
            if not (taken or self._decrypted()) or self._paused:
                return False
        return True

    def _hand_over(self) -> bool:
        """Pass on what came through paho and return whether anything did."""
        messages, self._from_paho = self._from_paho, []
        if messages:
            self._on_messages(messages)
        return bool(messages)

    def _decrypted(self) -> bool:
        """Whether TLS holds decrypted bytes that no readiness event will announce."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def _on_writable(self) -> None:
        try:
            if self._lane is not None:
                self._lane.flush()
            problem = self._client.write_some()
            if self._lane is not None:
                self._lane.flush()
        except OSError as error:
            self._lose(f"cannot write: {error}")
            return
        if problem:
            self._lose(f"cannot write: {problem}")
        self._watch_writes()

    def _watch_writes(self) -> None:
        """Watch for room to write while anything waits for it."""
        ours = self._lane is not None and self._lane.wants_write()
        if self._watch is not None and not self._lost.done():
            self._watch.write(on=ours or self._client.want_write())

    def _on_write_change(self, *_: _Paho) -> None:
        self._loop.call_soon_threadsafe(self._watch_writes)

    def _on_socket_open(self, _client: _Paho, _userdata: _Paho, sock: _Paho) -> None:
        self._socket = self._wire = sock
        self._loop.call_soon_threadsafe(self._begin, sock)

    def _begin(self, sock: _Paho) -> None:
        if self._lost.done() or sock is not self._socket:
            return
        self._lane = sock if isinstance(sock, PeelingSocket) else None
        self.reads_in_bulk = self._lane is not None
        if not self.reads_in_bulk:
            events.warning(
                "mqtt_fast_lane_missing",
                paho=PAHO_VERSION,
                problem="this paho-mqtt does not ask us for its socket; intake is slower",
            )
        self._watch = SocketWatch(sock, self._read, self._on_writable)
        self._watch.read(on=True)
        self._watch_writes()

    def _on_socket_close(self, *_: _Paho) -> None:
        # paho closes the socket itself on an error, and a closed one must not stay in the loop.
        if threading.get_ident() == self._thread:
            self._forget()
        else:
            self._loop.call_soon_threadsafe(self._forget)

    def _forget(self) -> None:
        if self._watch is not None:
            self._watch.close()
        self._socket = self._watch = self._lane = None

    # paho gives: client, userdata, flags or packet identifier, reason or reasons, properties.
    def _on_connect(self, *given: _Paho) -> None:
        flags, reason = given[2:4]
        if reason.is_failure:
            self._lose(f"refused: {reason}")
            return
        self.was_up = True
        self._up_since = self._loop.time()
        self.pause(on=self._paused)
        self._client.subscribe_all()
        events.info(
            "mqtt_connected",
            broker=self._options.place,
            protocol="5" if self._speaks_5 else "3.1.1",
            session_kept=flags.session_present,
        )

    def _on_subscribe(self, *given: _Paho) -> None:
        for topic, reason in zip(self._options.topics, given[3], strict=False):
            if reason.is_failure:
                events.error("mqtt_subscription_refused", topic=topic, reason=reason)

    def _on_disconnect(self, *given: _Paho) -> None:
        self.taken_over = given[3].value == SESSION_TAKEN_OVER
        failure = getattr(self._wire, "failure", None)
        by_broker = given[2].is_disconnect_packet_from_server
        said = f"the broker ended the connection: {given[3]}" if by_broker else "the line broke off"
        self._lose(self._explained(failure) if failure is not None else said)

    def _on_message(self, _client: _Paho, _userdata: _Paho, message: _Paho) -> None:
        # No exception may leave a callback: it would end paho's reading, not the connection.
        self._from_paho.append(self._client.received(message, self._clock.now_ns()))

    def _lose(self, problem: str) -> None:
        if not self._lost.done():
            self._loop.call_soon_threadsafe(self._finish, problem)

    def _finish(self, problem: str) -> None:
        if not self._lost.done():
            self._lost.set_result(problem)

    def _detach(self) -> None:
        """Take the socket out of the loop and close it; paho must not call us any more."""
        self._client.on_socket_close = None
        self._client.on_socket_register_write = None
        self._client.on_socket_unregister_write = None
        self._client.on_disconnect = None
        sock = self._socket
        self._forget()
        if sock is not None:
            sock.close()
