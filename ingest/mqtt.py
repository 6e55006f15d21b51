# SPDX-License-Identifier: EUPL-1.2
"""paho-mqtt as we use it: it connects, encrypts, subscribes and pings, over a socket of ours.

Messages never reach its reader, which takes three system calls for each: our socket takes them out
in bulk (see `mqtt_socket`).
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import paho.mqtt.client as paho
from paho.mqtt import __version__ as version
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from lamppost.tls import TlsFiles, expires_at, secured

from .mqtt_socket import PeelingSocket
from .mqtt_wire import UNREADABLE_TOPIC, Peeler, Received, bounded

PAHO_VERSION: Final = version

_PROTOCOL_ERROR: Final = 0x82


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
    cert_file: Path | None = None
    key_file: Path | None = None
    keepalive_s: int = 30
    session_expiry_s: int = 7 * 86_400
    receive_maximum: int = 2000
    max_payload_bytes: int = 65_536

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return f"{self.host}:{self.port}"

    @property
    def tls_files(self) -> TlsFiles:
        """The files TLS needs."""
        return TlsFiles(self.ca_file, self.cert_file, self.key_file)


class PeeledPaho(paho.Client):
    """One paho client for one connection, with our socket between it and its own.

    Attributes:
        certificate_expires_at: when the broker's certificate expires, seconds since 1970; None
            without TLS and before the connection.
    """

    def __init__(self, options: MqttOptions, epoch: int, *, speaks_5: bool) -> None:
        """Take where to connect and the number of the connection."""
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if speaks_5 else MQTTProtocolVersion.MQTTv311,
            clean_session=None if speaks_5 else False,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        self._options = options
        self._epoch = epoch
        self._speaks_5 = speaks_5
        self.certificate_expires_at: float | None = None
        if options.username:
            self.username_pw_set(options.username, options.password or None)

    def open(self) -> None:
        """Connect and send CONNECT; blocks.

        Raises:
            OSError: the broker cannot be reached or is not who it should be.
            ValueError: paho cannot use the options.
            ConfigError: a file that TLS needs cannot be used.
        """
        options = self._options
        if options.tls:
            self.tls_set_context(options.tls_files.context())
        if not self._speaks_5:
            self.connect(options.host, options.port, options.keepalive_s)
            return
        # Without an expiry an MQTT 5 session ends with the connection, and paho's default wipes it
        # at the first connect of a process: both would lose what waits for us.
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho is not typed here
        properties.SessionExpiryInterval = options.session_expiry_s
        properties.ReceiveMaximum = options.receive_maximum
        self.connect(
            options.host,
            options.port,
            options.keepalive_s,
            clean_start=False,
            properties=properties,
        )

    def subscribe_all(self) -> None:
        """Subscribe to the topics of the options, at QoS 1."""
        self.subscribe([(topic, 1) for topic in self._options.topics])

    def read_some(self) -> str:
        """Let paho read, a packet at least if there is one; return what went wrong, if anything."""
        return _problem(self.loop_read())

    def write_some(self) -> str:
        """Let paho write what waits; return what went wrong, if anything."""
        return _problem(self.loop_write())

    def part(self, *, protocol_error: bool = False) -> None:
        """Say goodbye, as far as that can be sent at once."""
        wrong = protocol_error and self._speaks_5
        self.disconnect(
            ReasonCode(PacketTypes.DISCONNECT, identifier=_PROTOCOL_ERROR) if wrong else None
        )
        self.loop_write()

    def received(self, message: paho.MQTTMessage, received_at: int) -> Received:
        """Return a message that came through paho in our words."""
        whole = bytes(message.payload)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = UNREADABLE_TOPIC
        payload = bounded(whole, self._options.max_payload_bytes)
        mid = message.mid if message.qos else 0
        return Received(topic, payload, received_at, self._epoch, mid, message.qos, len(whole))

    def _create_socket(self) -> paho.SocketLike:
        """Wrap the connected socket; paho's hook for this is private, so its absence is noticed."""
        inner = super()._create_socket()
        if not isinstance(inner, socket.socket):
            return inner
        limit = self._options.max_payload_bytes
        peeler = Peeler(self._epoch, speaks_5=self._speaks_5, max_payload_bytes=limit)
        return PeelingSocket(inner, peeler)

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        """Shake hands; paho would leave the socket of a failure to the garbage collector."""
        if self._ssl_context is None:
            return super()._ssl_wrap_socket(tcp_sock)
        sock = secured(tcp_sock, self._ssl_context, self._options.host, self.connect_timeout)
        self.certificate_expires_at = expires_at(sock)
        return sock


def _problem(code: MQTTErrorCode) -> str:
    return "" if code == MQTTErrorCode.MQTT_ERR_SUCCESS else paho.error_string(code)
