# SPDX-License-Identifier: EUPL-1.2
"""Before anything runs: check the configuration, enter policy and stations in the inbox."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.mosquitto_conf import read_configuration
from lamppost import log
from lamppost.clock import Clock
from lamppost.errors import ConfigError
from lamppost.log import Record
from lamppost.periods import resolution_name
from lamppost.policy import Policy, parse_layers
from lamppost.policy_layers import read_layers
from lamppost.sense import doubts_about
from lamppost.series import SeriesTable
from lamppost.stations import Station, load_stations
from lamppost.tls import TlsFiles

from .components import sink_settings
from .explanation import nonsense
from .pipeline import Pipeline
from .settings import Settings
from .sqlite_log import SqliteLog


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration that was checked in full.

    Attributes:
        settings: of the installation.
        policy: of the city.
        stations: of the registry.
        extended: folders of the policies that the city's extends, from the top down.
    """

    settings: Settings
    policy: Policy
    stations: list[Station]
    extended: tuple[Path, ...] = ()


def check_configuration(settings: Settings) -> Configuration:
    """Check policy and stations the way the engine will use them.

    Raises:
        ConfigError: naming the file and the key path.
    """
    layers = read_layers(settings.policy_path)
    policy = parse_layers(layers)
    stations = [] if settings.stations is None else load_stations(settings.stations)
    try:
        registered = {station.sensor: station for station in stations}
        windows = Pipeline(policy, SeriesTable(), registered).windows()
    except ConfigError as error:
        where = layers.where(error.where)
        raise ConfigError(error.problem, where=where, hint=error.hint) from error
    for doubt in doubts_about(settings):
        raise ConfigError(doubt.problem, where=".".join(doubt.keys))
    for where, problem in nonsense(policy):
        raise ConfigError(problem, where=layers.where(where))
    _check_sinks(settings, windows)
    _check_doors(settings)
    return Configuration(settings, policy, stations, layers.folders[1:])


def announce(
    configuration: Configuration, inbox: SqliteLog, clock: Clock, *, policy_again: bool = False
) -> list[str]:
    """Enter policy and stations in the inbox where they differ from what it says already.

    Args:
        configuration: that was checked.
        inbox: to enter them in.
        clock: tells the time.
        policy_again: whether the policy is entered even so, since the engine has set it aside.

    Returns:
        The kinds of what was entered, all in one transaction.
    """
    stations = [station.model_dump() for station in configuration.stations]
    wanted = {
        log.POLICY: configuration.policy.canonical().encode(),
        log.REGISTRATION: json.dumps(stations, sort_keys=True, ensure_ascii=False).encode(),
    }
    now = clock.now_ns()
    records = []
    for kind, body in wanted.items():
        entered = inbox.read_kinds([kind], inbox.last())
        again = policy_again and kind == log.POLICY
        if again or not entered or entered[-1].body != body:
            records.append(Record(kind, now, body))
    if records:
        inbox.append(records)
    return [record.kind for record in records]


def _check_sinks(settings: Settings, windows: Sequence[str]) -> None:
    """Refuse sinks that want windows the policy does not make, and wrong settings of a plugin's."""
    wanted: list[tuple[str, str]] = []
    if settings.open_data.enabled and "windows" in settings.open_data.model_fields_set:
        wanted += [("open_data.windows", name) for name in settings.open_data.windows]
    for name, raw in settings.sinks.items():
        where = f"sinks.{name}"
        _, own = sink_settings(name, raw, settings.located(where))
        needed = own.windows_needed().items()
        wanted += [(f"{where}.{key}", resolution_name(length)) for key, length in needed]
    for where, name in wanted:
        if name not in windows:
            problem = f"there is no window of {name}"
            hint = f"the policy makes {', '.join(windows)} (windows.event_time)"
            raise ConfigError(problem, where=settings.located(where), hint=hint)


def _check_doors(settings: Settings) -> None:
    local = settings.http.host in {"127.0.0.1", "::1", "localhost"}
    pushing = settings.http.enabled and settings.http.push
    if pushing and not local and not settings.http.push_token.get_secret_value():
        hint = "set LAMPPOST_HTTP__PUSH_TOKEN, or push = false, or listen on 127.0.0.1"
        problem = "readings from anybody would be accepted beyond this machine"
        raise ConfigError(problem, where="http.push_token", hint=hint)
    if settings.mqtt.enabled and settings.mqtt.tls:
        given = settings.mqtt
        TlsFiles(given.ca_file, given.cert_file, given.key_file).context()
    if settings.mqtt.enabled and settings.mqtt.broker_config is not None:
        read_configuration(settings.mqtt.broker_config, settings.mqtt.port)
    if not settings.mqtt.enabled and not pushing:
        raise ConfigError("neither MQTT nor HTTP push is on", where="mqtt.enabled")
