# SPDX-License-Identifier: EUPL-1.2
"""Which sinks an installation has, built from its settings."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lamppost.component import Sink
from sinks.mqtt_client import BrokerSettings

from .components import sink_settings
from .cursors import Cursors
from .delivery import SinkRunner, start_runners
from .settings import MqttSettings, Settings
from .sqlite_log import SqliteLog


@dataclass(frozen=True, slots=True)
class Destination:
    """A sink and how often it is written to."""

    sink: Sink
    every_s: float = 0.0


def destinations(settings: Settings) -> list[Destination]:
    """Return the sinks the deliver role runs (the portal runs the store itself)."""
    found: list[Destination] = []
    if settings.influxdb.enabled:
        found.append(Destination(_influxdb(settings)))
    if settings.open_data.enabled:
        found.append(Destination(_open_data(settings), settings.open_data.every_s))
    if settings.mqtt_out.enabled:
        found.append(Destination(_mqtt_out(settings)))
    return [*found, *(_named(name, raw) for name, raw in settings.sinks.items())]


def _named(name: str, raw: Mapping[str, Any]) -> Destination:
    """Build a sink from its own table of the settings.

    Raises:
        ConfigError: there is no such sink, or a wrong setting.
    """
    component, own = sink_settings(name, raw, f"sinks.{name}")
    return Destination(component.cls(own), float(raw.get("every_s", 0.0)))


def run_deliver(settings: Settings, stop: threading.Event) -> None:
    """Run every sink of the deliver role until told to stop."""
    runners = [
        SinkRunner(
            destination.sink,
            SqliteLog(settings.outbox_path),
            Cursors(settings.cursors_path),
            stop,
            every_s=destination.every_s,
            inbox=SqliteLog(settings.inbox_path),
        )
        for destination in destinations(settings)
    ]
    for thread in start_runners(runners):
        thread.join()
    for runner in runners:
        if runner.failure is not None:
            raise runner.failure
    stop.wait()


# The library of a destination is imported where that destination is in use: it may take longer than
# all the rest of a start.
def _influxdb(settings: Settings) -> Sink:
    from sinks.influxdb import InfluxdbSink

    return InfluxdbSink(settings.influxdb)


def _open_data(settings: Settings) -> Sink:
    from sinks.open_data.handed_over import FOLDER
    from sinks.open_data.sink import OpenDataSettings, OpenDataSink

    own = OpenDataSettings(
        dir=settings.open_data_path,
        windows=settings.open_data.windows,
        handed_over=settings.data.dir / FOLDER,
    )
    return OpenDataSink(own)


def _mqtt_out(settings: Settings) -> Sink:
    from sinks.mqtt_out import MqttOutSettings, MqttOutSink

    reached = broker(settings.mqtt, client_id=f"{settings.mqtt.client_id}-out")
    return MqttOutSink(MqttOutSettings(**reached.model_dump(), prefix=settings.mqtt_out.prefix))


def broker(given: MqttSettings, **changes: object) -> BrokerSettings:
    """Return how to publish to the broker of the settings."""
    reached = BrokerSettings(
        host=given.host,
        port=given.port,
        protocol=given.protocol,
        username=given.username,
        password=given.password,
        tls=given.tls,
        ca_file=given.ca_file,
        cert_file=given.cert_file,
        key_file=given.key_file,
        keepalive_s=given.keepalive_s,
    )
    return reached.model_copy(update=changes)
