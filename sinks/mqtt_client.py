# SPDX-License-Identifier: EUPL-1.2
"""Publishing over MQTT: many messages, each acknowledged, with a bounded number under way.

The caller's own thread drives the network, so there is no thread that could die unnoticed.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from pydantic import Field, SecretStr

from lamppost.backoff import Backoff
from lamppost.component import Settings
from lamppost.errors import ConfigError, NotConnected, PartialWrite
from lamppost.tls import TlsFiles, explain, secured

_UNSUPPORTED_VERSION: Final = 132
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 5.0
_PROTOCOLS: Final[dict[str, tuple[Any, ...]]] = {
    "auto": (MQTTv5, MQTTv311),
    "5": (MQTTv5,),
    "3.1.1": (MQTTv311,),
}

Progress = Callable[[int], None]


class BrokerSettings(Settings):
    """How to reach a broker.

    Attributes:
        host, port: address of the broker.
        protocol: "auto" tries MQTT 5 first and falls back to 3.1.1.
        username, password: credentials, if the broker asks for any.
        tls: encrypt and verify the broker.
        ca_file: authority to verify it against, if not the system's.
        cert_file, key_file: our own certificate and its key, where the broker asks for one.
        client_id: our name there; empty lets the broker choose.
        keepalive_s: longest silence before a ping.
        in_flight: messages sent and not yet acknowledged.
        timeout_s: longest time without any progress.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=1883, ge=1, le=65_535)
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    username: str = ""
    password: SecretStr = SecretStr("")
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    client_id: str = ""
    keepalive_s: int = Field(default=60, ge=5, le=3600)
    in_flight: int = Field(default=100, ge=1, le=65_000)
    timeout_s: float = Field(default=30.0, gt=0)


class _Message(NamedTuple):
    number: int
    topic: str
    payload: bytes


class _Answers:
    """What paho's callbacks leave behind; they only take notes, so they cannot fail."""

    def __init__(self) -> None:
        self.connected: Any = None
        self.window: int | None = None
        self.acknowledged: list[tuple[int, str]] = []

    def on_connect(
        self,
        _client: Client,
        _userdata: object,
        _flags: object,
        reason: Any,  # noqa: ANN401 - paho's reason codes
        properties: object,
    ) -> None:
        self.connected = reason
        self.window = getattr(properties, "ReceiveMaximum", None)

    def on_publish(
        self,
        _client: Client,
        _userdata: object,
        mid: int,
        reason: Any,  # noqa: ANN401 - paho's reason codes
        _properties: object,
    ) -> None:
        self.acknowledged.append((mid, str(reason) if reason.is_failure else ""))


class _Paho(Client):
    """paho, which would leave the socket of a failed handshake to the garbage collector."""

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        if self._ssl_context is None:
            return super()._ssl_wrap_socket(tcp_sock)
        return secured(tcp_sock, self._ssl_context, self._host, self.connect_timeout)


class Publisher:
    """A connection to a broker that is there when needed and comes back when lost."""

    def __init__(self, settings: BrokerSettings) -> None:
        """Connect to nothing yet.

        Raises:
            ConfigError: a file that TLS needs cannot be used.
        """
        self._settings = settings
        self._protocols = _PROTOCOLS[settings.protocol]
        self._files = TlsFiles(settings.ca_file, settings.cert_file, settings.key_file)
        if settings.tls:
            self._files.context()
        self._client: Client | None = None
        self._answers = _Answers()
        self._served_at = 0.0
        longest_s = min(_LONGEST_PAUSE_S, settings.timeout_s / 2)
        self._backoff = Backoff(min(_FIRST_PAUSE_S, longest_s), longest_s)

    def publish_all(
        self,
        messages: Iterable[tuple[str, bytes]],
        qos: int = 1,
        on_progress: Progress | None = None,
    ) -> int:
        """Publish messages in order and wait until the broker has acknowledged every one.

        After a lost connection, what was not acknowledged is sent again, so a message can arrive
        twice.

        Args:
            messages: topic and payload of each.
            qos: 0 (handed to the network) or 1 (acknowledged by the broker).
            on_progress: called now and then with the number acknowledged so far.

        Returns:
            How many messages were acknowledged.

        Raises:
            NotConnected: the broker could not be reached, or stayed silent, for ``timeout_s``.
            PartialWrite: the broker or the protocol refused some, by their position.
        """
        transfer = _Transfer(messages, qos)
        progress_at = time.monotonic()
        while not transfer.finished():
            client = self._connection(progress_at)
            before = transfer.acknowledged
            alive = transfer.step(client, self._answers, self._window())
            now = time.monotonic()
            self._served_at = now
            if transfer.acknowledged > before:
                progress_at = now
                self._backoff.reset()
                if on_progress is not None:
                    on_progress(transfer.acknowledged)
            if not alive or now - progress_at > self._settings.timeout_s:
                self._drop()
                transfer.start_over()
                self._hold_on(progress_at, "it does not acknowledge")
        if transfer.refused:
            raise PartialWrite(transfer.refused)
        return transfer.acknowledged

    def close(self) -> None:
        """Say goodbye to the broker."""
        client, self._client = self._client, None
        if client is not None and client.disconnect() == MQTTErrorCode.MQTT_ERR_SUCCESS:
            client.loop(0.1)

    def _window(self) -> int:
        return min(self._settings.in_flight, self._answers.window or self._settings.in_flight)

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            _end(client)

    def _hold_on(self, progress_at: float, problem: str) -> None:
        """Wait before the next attempt, or raise when there has been no progress for too long."""
        if time.monotonic() - progress_at > self._settings.timeout_s:
            place = f"{self._settings.host}:{self._settings.port}"
            raise NotConnected(f"the MQTT broker at {place} cannot be used: {problem}")
        time.sleep(self._backoff.next_s())

    def _connection(self, progress_at: float) -> Client:
        """Return the connection, making a new one where it is gone or slept too long."""
        slept_s = time.monotonic() - self._served_at
        if self._client is not None and slept_s > self._settings.keepalive_s:
            self._drop()
        while self._client is None:
            problem = self._connect()
            if problem:
                self._hold_on(progress_at, problem)
        return self._client

    def _connect(self) -> str:
        """Try each protocol once and return what went wrong, empty when connected."""
        problem = ""
        for protocol in self._protocols:
            problem = self._connect_with(protocol)
            if not problem:
                self._protocols = (protocol, *(p for p in self._protocols if p != protocol))
                return ""
        return problem

    def _connect_with(self, protocol: Any) -> str:  # noqa: ANN401 - paho's protocol numbers
        settings, answers = self._settings, _Answers()
        client = _Paho(CallbackAPIVersion.VERSION2, settings.client_id, protocol=protocol)
        client.on_connect = answers.on_connect
        client.on_publish = answers.on_publish
        # The window is ours; paho's own costs a walk over all messages per acknowledgement.
        client.max_inflight_messages_set(0)
        client.connect_timeout = min(settings.timeout_s, 10.0)
        if settings.username:
            client.username_pw_set(settings.username, settings.password.get_secret_value())
        try:
            if settings.tls:
                client.tls_set_context(self._files.context())
            client.connect(settings.host, settings.port, settings.keepalive_s)
        except (OSError, ValueError, ConfigError) as error:
            return explain(error, f"{settings.host}:{settings.port}", self._files)
        problem = _greeting(client, answers, client.connect_timeout)
        if problem:
            _end(client)
            return problem
        self._client, self._answers = client, answers
        self._served_at = time.monotonic()
        return ""


class _Transfer:
    """One call of :meth:`Publisher.publish_all`: what waits, what is under way, what is done."""

    def __init__(self, messages: Iterable[tuple[str, bytes]], qos: int) -> None:
        self._source: Iterator[tuple[str, bytes]] = iter(messages)
        self._qos = qos
        self._read = 0
        self._exhausted = False
        self._again: deque[_Message] = deque()
        self._under_way: dict[int, _Message] = {}
        self.acknowledged = 0
        self.refused: dict[int, str] = {}

    def finished(self) -> bool:
        return self._exhausted and not self._again and not self._under_way

    def step(self, client: Client, answers: _Answers, window: int) -> bool:
        """Send up to the window, serve the network once, and say whether the connection lives."""
        alive = True
        while alive and len(self._under_way) < window:
            message = self._next()
            if message is None:
                break
            alive = self._send(client, message)
            if answers.acknowledged:
                self._settle(answers)
        if self._under_way and alive:
            alive = client.loop(1.0) == MQTTErrorCode.MQTT_ERR_SUCCESS
        self._settle(answers)
        return alive

    def start_over(self) -> None:
        """Queue what was under way again, in its order."""
        lost = sorted(self._under_way.values())
        self._again.extendleft(reversed(lost))
        self._under_way.clear()

    def _next(self) -> _Message | None:
        if self._again:
            return self._again.popleft()
        following = next(self._source, None)
        if following is None:
            self._exhausted = True
            return None
        self._read += 1
        return _Message(self._read - 1, *following)

    def _send(self, client: Client, message: _Message) -> bool:
        try:
            info = client.publish(message.topic, message.payload, self._qos)
        except ValueError as error:
            self.refused[message.number] = f"{message.topic}: {error}"
            return True
        self._under_way[info.mid] = message
        return info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def _settle(self, answers: _Answers) -> None:
        for mid, problem in answers.acknowledged:
            message = self._under_way.pop(mid, None)
            if message is None:
                continue
            if problem:
                self.refused[message.number] = f"{message.topic}: {problem}"
            else:
                self.acknowledged += 1
        answers.acknowledged.clear()


def _greeting(client: Client, answers: _Answers, timeout_s: float) -> str:
    """Wait for the broker's answer to the connection and return what is wrong with it."""
    until = time.monotonic() + timeout_s
    alive = True
    while answers.connected is None and alive and time.monotonic() < until:
        alive = client.loop(0.1) == MQTTErrorCode.MQTT_ERR_SUCCESS
    if answers.connected is None:
        gone = "it ends the connection: another protocol, or a certificate of ours it wants to see"
        return "it does not answer" if alive else gone
    return f"it says {answers.connected}" if answers.connected.is_failure else ""


def _end(client: Client) -> None:
    """Say goodbye as far as that can be sent at once, and leave no socket open."""
    sock = client.socket()
    client.disconnect()
    if sock is not None:
        sock.close()
