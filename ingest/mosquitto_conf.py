# SPDX-License-Identifier: EUPL-1.2
"""Mosquitto's configuration file: what it says about keeping messages, which no probe can see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from lamppost.errors import ConfigError

from .broker_findings import Finding, Severity
from .mqtt import MqttOptions

_LONGEST_AUTOSAVE_S: Final = 60
_MOST_CHANGES: Final = 1000
_FEWEST_QUEUED: Final = 10_000
_FEW_QUEUED: Final = 100_000
_FEWEST_BYTES: Final = 16_000_000
_DEEPEST_INCLUDE: Final = 5
_UNIT_S: Final = {"h": 3600, "d": 86_400, "w": 604_800, "m": 2_592_000, "y": 31_536_000}

# What mosquitto.conf(5) says counts where a key is absent.
_DEFAULTS: Final = {
    "persistence": "false",
    "autosave_interval": "1800",
    "autosave_on_changes": "false",
    "max_queued_messages": "1000",
    "max_queued_bytes": "0",
    "max_inflight_messages": "20",
    "message_size_limit": "0",
    "max_packet_size": "0",
    "queue_qos0_messages": "false",
    "retain_available": "true",
    "max_qos": "2",
    "use_username_as_clientid": "false",
}
_OF_A_LISTENER: Final = frozenset({"max_qos", "use_username_as_clientid", "mount_point"})


class Line(NamedTuple):
    """One setting and where it stands."""

    key: str
    value: str
    where: str


class Configuration:
    """The settings that count for one listener."""

    def __init__(self, lines: list[Line], port: int) -> None:
        """Take the lines of all files in order, and the port we connect to."""
        self._set: dict[str, Line] = {}
        self.plugins: list[str] = []
        self.number_of_lines = len(lines)
        listener = ""
        for line in lines:
            if line.key in {"listener", "port"}:
                listener = line.value.split()[0] if line.value else ""
            if line.key in {"plugin", "global_plugin"}:
                self.plugins.append(line.value)
            elsewhere = listener not in {"", str(port)}
            if line.key in _OF_A_LISTENER and elsewhere:
                continue
            self._set[line.key] = line

    def text(self, key: str) -> str:
        """Return a value, or what counts where it is not set."""
        line = self._set.get(key)
        return _DEFAULTS.get(key, "") if line is None else line.value

    def flag(self, key: str) -> bool:
        """Return whether something is on."""
        return self.text(key).lower() in {"true", "1"}

    def number(self, key: str) -> int:
        """Return a number.

        Raises:
            ConfigError: it is none.
        """
        try:
            return int(self.text(key))
        except ValueError as error:
            raise ConfigError(f"not a number: {self.text(key)}", where=self.place(key)) from error

    def place(self, key: str) -> str:
        """Return where a key stands, or that it is not set."""
        line = self._set.get(key)
        return "not set" if line is None else line.where

    def shown(self, key: str) -> str:
        """Return key, value and place for a person."""
        return f"{key} {self.text(key)} ({self.place(key)})"


def read_configuration(path: Path, port: int) -> Configuration:
    """Return what a file and the folders it includes say.

    Raises:
        ConfigError: a file cannot be read.
    """
    return Configuration(list(_lines(path, 0)), port)


def check_configuration(path: Path, options: MqttOptions) -> list[Finding]:
    """Return what a configuration file would lose, and what it limits.

    Raises:
        ConfigError: a file cannot be read.
    """
    given = read_configuration(path, options.port)
    return [finding for look in _LOOKS for finding in look(given, options)]


def _lines(path: Path, depth: int) -> Iterator[Line]:
    if depth > _DEEPEST_INCLUDE:
        raise ConfigError("include_dir includes itself", where=str(path))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        hint = "mqtt.broker_config names the broker's configuration file"
        raise ConfigError(f"cannot be read: {error}", where=str(path), hint=hint) from error
    for number, raw in enumerate(text.splitlines(), 1):
        key, _, value = raw.strip().partition(" ")
        if not key or key.startswith("#"):
            continue
        if key == "include_dir":
            folder = Path(value.strip())
            for included in sorted(folder.glob("*.conf")):
                yield from _lines(included, depth + 1)
            continue
        yield Line(key, value.strip(), f"{path}:{number}")


def _persistence(given: Configuration, _: MqttOptions) -> list[Finding]:
    if any("persist" in plugin for plugin in given.plugins):
        found = "a plugin writes them: " + ", ".join(given.plugins)
        return [Finding("queue on disk", Severity.NOTE, found)]
    if not given.flag("persistence"):
        why = "A restart of the broker drops every queued message it has already confirmed."
        shown = given.shown("persistence")
        return [Finding("queue on disk", Severity.LOSES_DATA, shown, why, "persistence true")]
    return [_autosave(given)]


def _autosave(given: Configuration) -> Finding:
    interval = given.number("autosave_interval")
    changes = given.flag("autosave_on_changes")
    shown = given.shown("autosave_interval")
    line = "autosave_interval 10"
    if changes and 0 < interval <= _MOST_CHANGES:
        found = f"written every {interval} changes"
        why = "The whole file is written each time, ever longer as the queue grows."
        return Finding("queue on disk", Severity.NOTE, found, why, "autosave_on_changes false")
    if changes or interval == 0 or interval > _LONGEST_AUTOSAVE_S:
        unit = ", counted in changes" if changes else " s"
        span = "only when the broker stops" if interval == 0 else f"every {interval}{unit}"
        why = f"A broker that is killed or loses power forgets the queue: it is written {span}."
        return Finding("queue on disk", Severity.LOSES_DATA, shown, why, line)
    found = f"written every {interval} s; a broker that is killed loses what came since"
    return Finding("queue on disk", Severity.RIGHT, found)


def _queue(given: Configuration, _: MqttOptions) -> list[Finding]:
    why = "Past the limit, messages for us are dropped while we are away, although confirmed."
    findings = []
    most = given.number("max_queued_messages")
    if 0 < most < _FEW_QUEUED:
        severity = Severity.LOSES_DATA if most < _FEWEST_QUEUED else Severity.NOTE
        shown = given.shown("max_queued_messages")
        line = "max_queued_messages 2000000"
        findings.append(Finding("length of the queue", severity, shown, why, line))
    most_bytes = given.number("max_queued_bytes")
    if 0 < most_bytes < _FEWEST_BYTES:
        shown = given.shown("max_queued_bytes")
        line = "max_queued_bytes 1073741824"
        findings.append(Finding("bytes of the queue", Severity.LOSES_DATA, shown, why, line))
    if not findings:
        found = f"{given.shown('max_queued_messages')}"
        findings.append(Finding("length of the queue", Severity.RIGHT, found))
    if not given.flag("queue_qos0_messages"):
        why = "What devices send at QoS 0 while Lamppost is away is not kept."
        shown = given.shown("queue_qos0_messages")
        line = "queue_qos0_messages true"
        findings.append(Finding("messages at QoS 0", Severity.NOTE, shown, why, line))
    return findings


def _session(given: Configuration, options: MqttOptions) -> list[Finding]:
    text = given.text("persistent_client_expiration")
    if not text:
        return []
    unit = _UNIT_S.get(text[-1:])
    if unit is None or not text[:-1].isdigit():
        where = given.place("persistent_client_expiration")
        raise ConfigError(f"not a duration: {text}", where=where)
    kept_s = int(text[:-1]) * unit
    if kept_s >= options.session_expiry_s:
        return []
    why = "An absence that is longer loses everything that came meanwhile."
    severity = Severity.LOSES_DATA if kept_s < 86_400 else Severity.NOTE
    shown = given.shown("persistent_client_expiration")
    return [Finding("session", severity, shown, why, "persistent_client_expiration 30d")]


def _window(given: Configuration, options: MqttOptions) -> list[Finding]:
    window = given.number("max_inflight_messages")
    if options.protocol == "5" or window == 0 or window >= 200:
        return []
    why = "With MQTT 3.1.1 the broker waits for us after each so many messages."
    shown = given.shown("max_inflight_messages")
    severity = Severity.LIMITS if options.protocol == "3.1.1" else Severity.NOTE
    return [Finding("window", severity, shown, why, "max_inflight_messages 2000")]


def _sizes(given: Configuration, options: MqttOptions) -> list[Finding]:
    findings = []
    limit = given.number("message_size_limit")
    if 0 < limit < options.max_payload_bytes:
        why = "Larger messages are confirmed to MQTT 3.1.1 devices and then dropped."
        shown = given.shown("message_size_limit")
        line = f"message_size_limit {options.max_payload_bytes}"
        findings.append(Finding("size of messages", Severity.LOSES_DATA, shown, why, line))
    packet = given.number("max_packet_size")
    if 0 < packet < options.max_payload_bytes:
        why = "Devices that send larger messages are disconnected, and try the same again."
        shown = given.shown("max_packet_size")
        line = f"max_packet_size {options.max_payload_bytes + 1024}"
        findings.append(Finding("size of packets", Severity.LIMITS, shown, why, line))
    return findings


def _doors(given: Configuration, _: MqttOptions) -> list[Finding]:
    findings = []
    if given.number("max_qos") < 1:
        why = "At QoS 0 nothing is confirmed, so nothing is sent again."
        shown = given.shown("max_qos")
        findings.append(Finding("quality of service", Severity.LOSES_DATA, shown, why, "max_qos 1"))
    if given.flag("use_username_as_clientid"):
        why = "Two connections of one user throw each other out: intake and publishing of results."
        shown = given.shown("use_username_as_clientid")
        line = "use_username_as_clientid false"
        findings.append(Finding("client identifiers", Severity.NOTE, shown, why, line))
    return findings


_LOOKS: Final[tuple[Callable[[Configuration, MqttOptions], list[Finding]], ...]] = (
    _persistence,
    _queue,
    _session,
    _window,
    _sizes,
    _doors,
)
