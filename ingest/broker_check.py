# SPDX-License-Identifier: EUPL-1.2
"""Looks at a real broker, as a device and as an absent subscriber, for what would lose readings.

Everything happens under client identifiers and a topic of its own, which nobody else knows, and
nothing of it stays at the broker.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lamppost.errors import ConfigError, NotConnected
from lamppost.tls import explain

from . import probe_connection as wire
from .broker_findings import Finding, Severity
from .mosquitto_conf import check_configuration
from .mqtt import MqttOptions
from .mqtt_wire import Received
from .probe_connection import Patience, ProbeConnection, ProbeError

TOPIC: Final = "lamppost/self-check"
"""Below this topic the check publishes; access lists have to allow it."""

ABSENCE_MESSAGES: Final = 2500
CHECK_S: Final = 60.0

_ALLOW: Final = f"topic readwrite {TOPIC}/#"
_ACCESS_FILE: Final = "the broker's access list"
_SHORT_ABSENCE_S: Final = 3600
_OWN_EXPIRY_S: Final = 120
_SOON_DAYS: Final = 30
_NARROW: Final = 200
_QUIET_S: Final = 1.0
_PATIENT_QUIET_S: Final = 10.0
_LARGEST_PROBE: Final = 4_194_304
_TOPIC_ROOM: Final = 1024


class _NoAccessError(ProbeError):
    """The broker does not let the check use its topic."""


class _Look:
    """One look at one broker: its names, its protocol, and the steps."""

    def __init__(self, options: MqttOptions, patience: Patience) -> None:
        unique = secrets.token_hex(6)
        self.topic = f"{TOPIC}/{unique}"
        self._options = options
        self._patience = patience
        self._name = f"lamppost-check-{unique}"
        self._speaks_5 = options.protocol != "3.1.1"
        self._greeting: wire.Greeting | None = None

    def greet(self) -> list[Finding]:
        """Connect as the intake does and read what the broker says about itself.

        Raises:
            ProbeError: it does not let us in.
        """
        expiry_s = self._options.session_expiry_s
        connection = self._connect(f"{self._name}-a", expiry_s=expiry_s, check=False)
        if connection.greeting.code in wire.CONNECTION_REFUSED_VERSION and self._may_fall_back():
            connection.close()
            self._speaks_5 = False
            connection = self._connect(f"{self._name}-a", check=False)
        greeting = connection.greeting
        connection.close()
        self._forget(f"{self._name}-a")
        if greeting.code:
            raise ProbeError(f"the broker refuses the connection (code 0x{greeting.code:02x})")
        self._greeting = greeting
        findings = _certificate(connection.certificate_expires_at)
        return findings + _greeting_findings(greeting, self._options, speaks_5=self._speaks_5)

    def echo(self) -> list[Finding]:
        """Publish one message to ourselves: the way everything else goes.

        Raises:
            ProbeError: it does not come back, which an access list may be the reason of.
        """
        with self._subscribed() as subscriber:
            if subscriber.granted >= 0x80:
                raise _NoAccessError(f"the broker refuses to subscribe to {self.topic}")
            with self._connect(f"{self._name}-p") as publisher:
                reasons = publisher.publish(self.topic, [b"echo"])
            if reasons & wire.NOT_AUTHORIZED:
                raise _NoAccessError(f"the broker refuses to let us publish to {self.topic}")
            came = subscriber.receive(1, _PATIENT_QUIET_S, acknowledge=True)
        if not came:
            raise _NoAccessError(f"what we publish to {self.topic} does not come back")
        if subscriber.granted == 0 or came[0].qos == 0:
            why = "At QoS 0 the broker sends a message once, and forgets it if we are away."
            found = "messages at QoS 1 come at QoS 0"
            return [Finding("quality of service", Severity.LOSES_DATA, found, why, "max_qos 1")]
        return [Finding("quality of service", Severity.RIGHT, "QoS 1 comes at QoS 1")]

    def absence(self) -> list[Finding]:
        """Stay away while messages come, return, and count."""
        with self._subscribed():
            pass
        with self._connect(f"{self._name}-p") as publisher:
            wanted = [b"%d" % number for number in range(ABSENCE_MESSAGES)]
            publisher.publish(self.topic, wanted)
            with self._session(clean=False) as returned:
                if not returned.greeting.session_present:
                    return [_session_lost()]
                enough = min(self._options.receive_maximum, ABSENCE_MESSAGES) + 1
                window = returned.receive(enough, _QUIET_S, acknowledge=False)
                returned.acknowledge(window)
                came = window + self._rest(returned, publisher, len(window))
        kept = len({one.payload for one in came} & set(wanted))
        return [_queue(kept), *(self._window(window) if window else [])]

    def payload_size(self) -> list[Finding]:
        """Find the largest message that passes, up to what Lamppost would read."""
        wanted = min(self._options.max_payload_bytes, _LARGEST_PROBE)
        size, reached = wanted, "passes"
        with self._subscribed() as subscriber:
            while size >= 128:
                outcome = self._passes(subscriber, size)
                if outcome == "passes":
                    break
                reached, size = outcome, size // 2
        return [_size(wanted, size, reached)]

    def retained(self) -> list[Finding]:
        """Leave a retained message, look for it, and take it away again."""
        if self._greeting is not None and not self._greeting.properties.get(
            wire.RETAIN_AVAILABLE, 1
        ):
            return [_no_retained("the broker says that it keeps none")]
        try:
            with self._connect(f"{self._name}-r") as publisher:
                publisher.publish(self.topic, [b"kept"], retain=True)
                with self._subscribed() as subscriber:
                    came = subscriber.receive(1, _QUIET_S, acknowledge=True)
                publisher.publish(self.topic, [b""], retain=True)
        except (ProbeError, ConnectionError):
            return [_no_retained("the broker ends the connection of who sends one")]
        if not came:
            return [_no_retained("the broker keeps none")]
        return [Finding("retained messages", Severity.RIGHT, "kept")]

    def clean_up(self) -> None:
        """Leave nothing at the broker."""
        self._forget(self._name)

    def _may_fall_back(self) -> bool:
        return self._speaks_5 and self._options.protocol == "auto"

    def _connect(
        self, name: str, *, clean: bool = True, expiry_s: int = 0, check: bool = True
    ) -> ProbeConnection:
        try:
            connection = self._opened(name, clean=clean, expiry_s=expiry_s)
        except ProbeError:
            # Brokers of old end the connection instead of saying that they do not speak MQTT 5.
            if check or not self._may_fall_back():
                raise
            self._speaks_5 = False
            connection = self._opened(name, clean=clean, expiry_s=expiry_s)
        if check and connection.greeting.code:
            connection.close()
            raise ProbeError(f"refused with code 0x{connection.greeting.code:02x}")
        return connection

    def _opened(self, name: str, *, clean: bool, expiry_s: int) -> ProbeConnection:
        return ProbeConnection(
            self._options,
            self._patience,
            name=name,
            speaks_5=self._speaks_5,
            clean=clean,
            expiry_s=expiry_s,
        )

    def _session(self, *, clean: bool) -> ProbeConnection:
        return self._connect(self._name, clean=clean, expiry_s=_OWN_EXPIRY_S)

    def _subscribed(self) -> ProbeConnection:
        """Return a connection with an empty session that stays, and its subscription."""
        # With 3.1.1 "clean" also means that nothing stays: come once to begin anew.
        if not self._speaks_5:
            self._forget(self._name)
        connection = self._session(clean=self._speaks_5)
        try:
            connection.subscribe(self.topic)
        except BaseException:
            connection.close()
            raise
        return connection

    def _rest(
        self, returned: ProbeConnection, publisher: ProbeConnection, already: int
    ) -> list[Received]:
        """Return what else comes; a last message tells "nothing more" from "not yet"."""
        missing = ABSENCE_MESSAGES - already
        came = returned.receive(missing, _QUIET_S, acknowledge=True) if missing > 0 else []
        if len(came) >= missing:
            return came
        publisher.publish(self.topic, [b"end"])
        came += returned.receive(missing + 1, _PATIENT_QUIET_S, acknowledge=True, until=b"end")
        if not any(one.payload == b"end" for one in came):
            raise ProbeError("the broker was too slow to tell what it kept")
        return came

    def _window(self, window: list[Received]) -> list[Finding]:
        """Return what the number of messages without acknowledgement means."""
        size, asked = len(window), self._options.receive_maximum
        protocol = "5" if self._speaks_5 else "3.1.1"
        found = f"{size} messages before the first acknowledgement (MQTT {protocol})"
        if self._speaks_5 and size > asked:
            why = f"More than the {asked} asked for; Lamppost stops reading where it has enough."
            return [Finding("window", Severity.NOTE, found, why)]
        if size >= min(_NARROW, asked, ABSENCE_MESSAGES):
            return [Finding("window", Severity.RIGHT, found)]
        why = "The broker waits for our disk after each so many messages."
        if self._speaks_5 and asked < _NARROW:
            line = "receive_maximum = 2000"
            return [Finding("window", Severity.LIMITS, found, why, line, "lamppost.toml, [mqtt]")]
        return [Finding("window", Severity.LIMITS, found, why, "max_inflight_messages 2000")]

    def _passes(self, subscriber: ProbeConnection, size: int) -> str:
        """Return what became of one message of a size."""
        try:
            with self._connect(f"{self._name}-p") as publisher:
                reasons = publisher.publish(self.topic, [b"." * size])
        except (ProbeError, ConnectionError):
            return "is refused with the end of the connection"
        if any(reason >= 0x80 for reason in reasons):
            return "is refused"
        with self._connect(f"{self._name}-p") as publisher:
            publisher.publish(self.topic, [b"end"])
        came = subscriber.receive(2, _PATIENT_QUIET_S, acknowledge=True, until=b"end")
        if any(one.size == size for one in came):
            return "passes"
        if not any(one.payload == b"end" for one in came):
            raise ProbeError("the broker was too slow to tell what passes")
        return "is confirmed and then dropped"

    def _forget(self, name: str) -> None:
        """Have the broker end a session."""
        self._connect(name, clean=True, check=False).close()


def check_broker(
    options: MqttOptions,
    configuration: Path | None = None,
    *,
    seconds: float = CHECK_S,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Finding]:
    """Return everything that could be found out about a broker within a time.

    Args:
        options: how the intake reaches it.
        configuration: the broker's own configuration file, if it can be read from here.
        seconds: longest time all of it may take.
        stopped: asked now and then whether nobody waits for the answer any more.

    Raises:
        NotConnected: it cannot be reached; the text says why.
        ConfigError: the configuration file cannot be read.
    """
    findings = _from_file(options, configuration)
    look = _Look(options, Patience(seconds, stopped))
    try:
        findings += look.greet()
    except ProbeError as problem:
        return [*findings, _unchecked("broker", problem)]
    except OSError as error:
        raise NotConnected(explain(error, options.place, options.tls_files)) from error
    try:
        findings += _steps(look)
    finally:
        _quietly(look.clean_up)
    return findings


def _from_file(options: MqttOptions, configuration: Path | None) -> list[Finding]:
    if configuration is not None:
        return check_configuration(configuration, options)
    found = "how often the broker writes its queue to disk cannot be seen from outside"
    why = "Name its configuration file: mqtt.broker_config, or doctor --mosquitto-conf FILE."
    return [Finding("queue on disk", Severity.UNCHECKED, found, why)]


def _steps(look: _Look) -> list[Finding]:
    """Take the steps after the greeting; what one cannot find out, the next may."""
    try:
        findings = look.echo()
    except (ProbeError, OSError) as problem:
        return [_unchecked("delivery, queue, sizes, retained messages", problem)]
    steps: dict[str, Callable[[], list[Finding]]] = {
        "queue while away": look.absence,
        "size of messages": look.payload_size,
        "retained messages": look.retained,
    }
    for subject, step in steps.items():
        try:
            findings += step()
        except (ProbeError, OSError) as problem:
            findings.append(_unchecked(subject, problem))
    return findings


def _quietly(clean_up: Callable[[], None]) -> None:
    """Clean up; a broker that does not let us forgets the session by itself."""
    with contextlib.suppress(ProbeError, OSError, ConfigError):
        clean_up()


def _unchecked(subject: str, problem: Exception) -> Finding:
    found = f"could not check: {problem}"
    if not isinstance(problem, _NoAccessError):
        return Finding(subject, Severity.UNCHECKED, found)
    why = "Allow the check its own topic to have this looked at."
    return Finding(subject, Severity.UNCHECKED, found, why, _ALLOW, _ACCESS_FILE)


def _greeting_findings(
    greeting: wire.Greeting, options: MqttOptions, *, speaks_5: bool
) -> list[Finding]:
    if not speaks_5:
        return [Finding("broker", Severity.NOTE, "speaks MQTT 3.1.1, and tells no limits")]
    told = greeting.properties
    findings = [_summary(told)]
    if told.get(wire.MAXIMUM_QOS, 2) < 1:
        why = "At QoS 0 nothing is confirmed, so nothing is sent again."
        found = "the broker offers QoS 0 only"
        findings.append(Finding("quality of service", Severity.LOSES_DATA, found, why, "max_qos 1"))
    wildcards = any("+" in topic or "#" in topic for topic in options.topics)
    if wildcards and not told.get(wire.WILDCARDS_AVAILABLE, 1):
        why = "Nothing comes in: the broker refuses the subscription."
        found = "the broker takes no wildcards, and mqtt.topics has some"
        line = 'topics = ["v1/aq-017/readings"]'
        findings.append(
            Finding("wildcards", Severity.LOSES_DATA, found, why, line, "lamppost.toml, [mqtt]")
        )
    return [*findings, *_expiry(told, options)]


def _certificate(expires_at: float | None) -> list[Finding]:
    if expires_at is None:
        return []
    days = (expires_at - time.time()) / 86_400
    found = f"the broker's expires in {days:.0f} days"
    if days > _SOON_DAYS:
        return [Finding("certificate", Severity.RIGHT, found)]
    return [Finding("certificate", Severity.NOTE, found, "Past that no connection is made.")]


def _summary(told: dict[int, int]) -> Finding:
    """Return a note of what the broker says of itself and nothing depends on."""
    packet = told.get(wire.MAXIMUM_PACKET_SIZE)
    keep_alive = told.get(wire.SERVER_KEEP_ALIVE)
    shared = "takes" if told.get(wire.SHARED_AVAILABLE, 1) else "takes no"
    parts = [
        f"takes {told.get(wire.RECEIVE_MAXIMUM, 65_535)} unconfirmed messages from us",
        "packets of any size" if packet is None else f"packets up to {packet:,} bytes",
        f"{told.get(wire.TOPIC_ALIAS_MAXIMUM, 0)} topic aliases",
        f"{shared} shared subscriptions",
        *([] if keep_alive is None else [f"wants a sign of life every {keep_alive} s"]),
    ]
    return Finding("broker", Severity.NOTE, "speaks MQTT 5; " + ", ".join(parts))


def _expiry(told: dict[int, int], options: MqttOptions) -> list[Finding]:
    wanted = options.session_expiry_s
    granted = told.get(wire.SESSION_EXPIRY, wanted)
    why = "An absence that is longer loses everything that came meanwhile."
    if wanted < _SHORT_ABSENCE_S:
        found = f"we ask the broker to keep our session for {wanted} s only"
        line = "session_expiry_s = 604800"
        where = "lamppost.toml, [mqtt]"
        return [Finding("session", Severity.LOSES_DATA, found, why, line, where)]
    if granted >= wanted:
        return [Finding("session", Severity.RIGHT, f"kept for {granted} s")]
    severity = Severity.LOSES_DATA if granted < _SHORT_ABSENCE_S else Severity.NOTE
    found = f"the broker keeps it for {granted} s, not the {wanted} s asked for"
    return [Finding("session", severity, found, why, "persistent_client_expiration 30d")]


def _session_lost() -> Finding:
    found = "the broker has forgotten it when we come back"
    why = "Everything that comes while Lamppost restarts is lost."
    line = "persistent_client_expiration 30d"
    return Finding("session", Severity.LOSES_DATA, found, why, line)


def _queue(kept: int) -> Finding:
    subject = "queue while away"
    if kept == ABSENCE_MESSAGES:
        return Finding(subject, Severity.RIGHT, f"all of {kept:,} messages kept while away")
    found = f"{kept:,} of {ABSENCE_MESSAGES:,} messages kept while away, all of them confirmed"
    why = "What comes past the limit while Lamppost restarts is lost without a word."
    return Finding(subject, Severity.LOSES_DATA, found, why, "max_queued_messages 2000000")


def _size(wanted: int, passes: int, otherwise: str) -> Finding:
    subject = "size of messages"
    if passes == wanted:
        return Finding(subject, Severity.RIGHT, f"{wanted:,} bytes pass")
    most = f"{passes:,} bytes pass" if passes >= 128 else "nothing passes"
    found = f"{most}; one of {max(2 * passes, 128):,} bytes {otherwise}"
    if "dropped" in otherwise:
        why = "The device takes it for delivered."
        line = f"message_size_limit {wanted}"
        return Finding(subject, Severity.LOSES_DATA, found, why, line)
    why = f"Lamppost reads up to {wanted:,} bytes; devices with larger messages are shut out."
    return Finding(subject, Severity.LIMITS, found, why, f"max_packet_size {wanted + _TOPIC_ROOM}")


def _no_retained(found: str) -> Finding:
    why = "Lamppost needs none; others who read its results may."
    return Finding("retained messages", Severity.NOTE, found, why, "retain_available true")
