# SPDX-License-Identifier: EUPL-1.2
"""The MQTT door: paho-mqtt driven from one asyncio loop, acknowledging only what was committed."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from lamppost import events
from lamppost.clock import Clock

# What paho hands to callbacks and we do not use, or know by its attributes only.
_Paho = Any

_LONGEST_WAIT_S: Final = 30.0
_READS_PER_WAKE: Final = 256
_WATCH_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """How to reach the broker; the fields are those of the settings' section [mqtt]."""

    host: str
    port: int
    topics: tuple[str, ...]
    client_id: str
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    username: str = ""
    password: str = ""
    tls: bool = False
    ca_file: Path | None = None
    keepalive_s: int = 30
    session_expiry_s: int = 7 * 86_400
    receive_maximum: int = 2000


@dataclass(frozen=True, slots=True)
class Received:
    """One message, with what is needed to acknowledge it.

    Attributes:
        epoch: the connection it came over; an acknowledgement never crosses connections.
        mid: packet identifier, 0 at QoS 0.
    """

    topic: str
    payload: bytes
    received_at: int
    epoch: int
    mid: int


class MqttSource:
    """Subscribes and hands messages on; reconnects for ever.

    Every connection is a new paho client over the same broker session, so nothing of an old
    connection (partial packets, packet ids, pending acknowledgements) can leak into the next.
    """

    def __init__(
        self, options: MqttOptions, clock: Clock, on_message: Callable[[Received], None]
    ) -> None:
        """Take where to connect and who gets the messages (called in the loop's thread)."""
        self._options = options
        self._clock = clock
        self._on_message = on_message
        self._epoch = 0
        self._connection: _Connection | None = None
        self._paused = False
        self._speaks_5 = options.protocol != "3.1.1"
        self.connected = False

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until told to stop."""
        wait_s = 0.0
        while not stop.is_set():
            self._epoch += 1
            connection = _Connection(self, self._options, self._epoch, speaks_5=self._speaks_5)
            self._connection = connection
            problem = await connection.live(stop)
            self.connected = False
            if stop.is_set():
                break
            self._settle_protocol(connection)
            wait_s = 1.0 if connection.was_up else min(max(2 * wait_s, 1.0), _LONGEST_WAIT_S)
            where = f"{self._options.host}:{self._options.port}"
            events.warning("mqtt_disconnected", broker=where, problem=problem, retry_s=wait_s)
            await _wait(stop, wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret

    def acknowledge(self, messages: Sequence[Received]) -> None:
        """Acknowledge messages in the order given; those of an earlier connection are let be.

        The broker sends them again over the new connection, where they are duplicates.
        """
        if self._connection is not None:
            self._connection.acknowledge([one for one in messages if one.epoch == self._epoch])

    def pause(self) -> None:
        """Stop reading from the socket: the broker holds what it has."""
        self._paused = True
        if self._connection is not None:
            self._connection.watch_reads(on=False)

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        if self._connection is not None:
            self._connection.watch_reads(on=True)

    @property
    def paused(self) -> bool:
        """Whether reading is paused."""
        return self._paused

    def take(self, topic: str, payload: bytes, epoch: int, mid: int) -> None:
        """Pass on one message (called by the connection)."""
        self._on_message(Received(topic, payload, self._clock.now_ns(), epoch, mid))

    def _settle_protocol(self, connection: _Connection) -> None:
        """After a failed first try with MQTT 5, try 3.1.1; after a failure of that, 5 again."""
        if self._options.protocol == "auto" and not connection.was_up and connection.reached:
            self._speaks_5 = not self._speaks_5


class _Connection:
    """One connection: from connect to loss."""

    def __init__(
        self, source: MqttSource, options: MqttOptions, epoch: int, *, speaks_5: bool
    ) -> None:
        self._source = source
        self._options = options
        self._epoch = epoch
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._lost: asyncio.Future[str] = self._loop.create_future()
        self._socket: socket.socket | None = None
        self._reading = False
        self._last_read = self._loop.time()
        self._taken = 0
        self.was_up = False
        self.reached = False
        self._speaks_5 = speaks_5
        self._client = self._make_client()

    async def live(self, stop: asyncio.Event) -> str:
        """Connect, serve and return why it ended."""
        try:
            await asyncio.to_thread(self._connect)
        except (OSError, ValueError) as error:
            self._detach()
            return f"{type(error).__name__}: {error}"
        self.reached = True
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while not self._lost.done() and not stopping.done():
                ended: set[asyncio.Future[Any]] = {self._lost, stopping}
                await asyncio.wait(ended, timeout=_WATCH_S, return_when=asyncio.FIRST_COMPLETED)
                self._watch()
        finally:
            stopping.cancel()
            if not self._lost.done():
                self._client.disconnect()
            self._detach()
        return self._lost.result() if self._lost.done() else "stopped"

    def acknowledge(self, messages: Sequence[Received]) -> None:
        """Send PUBACKs in the order given."""
        for message in messages:
            if message.mid:
                self._client.ack(message.mid, 1)

    def watch_reads(self, *, on: bool) -> None:
        """Watch the socket for data, or leave what comes in the broker's hands."""
        if self._socket is None or on == self._reading or self._lost.done():
            return
        self._reading = on
        if on:
            self._last_read = self._loop.time()
            self._loop.add_reader(self._socket, self._on_readable)
        else:
            self._loop.remove_reader(self._socket)

    def _make_client(self) -> paho.Client:
        options = self._options
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if self._speaks_5 else MQTTProtocolVersion.MQTTv311,
            clean_session=None if self._speaks_5 else False,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        if options.username:
            client.username_pw_set(options.username, options.password or None)
        if options.tls:
            client.tls_set_context(ssl.create_default_context(cafile=options.ca_file))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = self._on_unregister_write
        return client

    def _connect(self) -> None:
        options = self._options
        if not self._speaks_5:
            self._client.connect(options.host, options.port, options.keepalive_s)
            return
        # Without an expiry an MQTT 5 session ends with the connection, and paho's default wipes it
        # at the first connect of a process: both would lose what waits for us.
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho is not typed here
        properties.SessionExpiryInterval = options.session_expiry_s
        properties.ReceiveMaximum = options.receive_maximum
        self._client.connect(
            options.host,
            options.port,
            options.keepalive_s,
            clean_start=False,
            properties=properties,
        )

    def _watch(self) -> None:
        """Let paho ping, and notice a connection that has gone silent."""
        if self._lost.done():
            return
        self._client.loop_misc()
        silent = self._loop.time() - self._last_read
        if self._reading and silent > 1.5 * self._options.keepalive_s + _WATCH_S:
            self._lose(f"no byte for {silent:.0f} s")

    def _on_readable(self) -> None:
        self._last_read = self._loop.time()
        for _ in range(_READS_PER_WAKE):
            before = self._taken
            code = self._client.loop_read()
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._lose(paho.error_string(code))
                return
            # paho says SUCCESS for "one packet done" and for "nothing there" alike.
            if self._taken == before and not self._pending():
                return
            if not self._reading:
                return

    def _pending(self) -> bool:
        """Whether TLS holds decrypted bytes that no readiness event will announce."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def _on_writable(self) -> None:
        if self._client.loop_write() != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._lose("cannot write")

    def _on_socket_open(self, _client: paho.Client, _userdata: _Paho, sock: _Paho) -> None:
        self._socket = sock
        self._loop.call_soon_threadsafe(self._begin_reading)

    def _begin_reading(self) -> None:
        if not self._source.paused:
            self.watch_reads(on=True)

    def _on_socket_close(self, _client: paho.Client, _userdata: _Paho, sock: _Paho) -> None:
        # paho closes the socket itself on an error, and a closed one must not stay in the loop.
        if threading.get_ident() == self._thread:
            self._forget(sock)
        else:
            self._loop.call_soon_threadsafe(self._forget, sock)

    def _forget(self, sock: _Paho) -> None:
        self._socket, self._reading = None, False
        if sock.fileno() >= 0:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)

    def _on_register_write(self, _client: paho.Client, _userdata: _Paho, sock: _Paho) -> None:
        self._loop.call_soon_threadsafe(self._watch_writes, sock)

    def _watch_writes(self, sock: socket.socket) -> None:
        if not self._lost.done() and sock.fileno() >= 0 and self._client.want_write():
            self._loop.add_writer(sock, self._on_writable)

    def _on_unregister_write(self, _client: paho.Client, _userdata: _Paho, sock: _Paho) -> None:
        if sock.fileno() >= 0:
            self._loop.call_soon_threadsafe(self._unwatch_writes, sock)

    def _unwatch_writes(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_writer(sock)

    def _on_connect(
        self,
        client: paho.Client,
        _userdata: _Paho,
        flags: _Paho,
        reason: ReasonCode,
        _properties: _Paho,
    ) -> None:
        if reason.is_failure:
            self._lose(f"refused: {reason}")
            return
        self.was_up = self._source.connected = True
        options = self._options
        client.subscribe([(topic, 1) for topic in options.topics])
        events.info(
            "mqtt_connected",
            broker=f"{options.host}:{options.port}",
            protocol="5" if self._speaks_5 else "3.1.1",
            session_kept=flags.session_present,
        )

    def _on_subscribe(
        self,
        _client: paho.Client,
        _userdata: _Paho,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: _Paho,
    ) -> None:
        for topic, reason in zip(self._options.topics, reasons, strict=False):
            if reason.is_failure:
                events.error("mqtt_subscription_refused", topic=topic, reason=reason)

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: _Paho,
        _flags: _Paho,
        reason: ReasonCode,
        _properties: _Paho,
    ) -> None:
        self._lose(str(reason))

    def _on_message(
        self, _client: paho.Client, _userdata: _Paho, message: paho.MQTTMessage
    ) -> None:
        self._taken += 1
        mid = message.mid if message.qos else 0
        try:
            topic = message.topic
        except UnicodeDecodeError:  # no exception may leave a paho callback
            topic = "\ufffd"
        self._source.take(topic, bytes(message.payload), self._epoch, mid)

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
        if sock is not None:
            self._forget(sock)
            sock.close()


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
