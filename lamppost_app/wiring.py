# SPDX-License-Identifier: EUPL-1.2
"""Which sinks an installation has, built from its settings."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from lamppost.component import Sink
from sinks.influxdb import InfluxdbSink
from sinks.influxdb import InfluxSettings as InfluxSinkSettings
from sinks.mqtt_out import MqttOutSettings as MqttSinkSettings
from sinks.mqtt_out import MqttOutSink
from sinks.open_data.sink import OpenDataSettings as OpenDataSinkSettings
from sinks.open_data.sink import OpenDataSink

from .delivery import SinkRunner, start_runners
from .settings import Settings
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
        found.append(Destination(InfluxdbSink(_influx(settings))))
    if settings.open_data.enabled:
        open_data = OpenDataSinkSettings(dir=settings.open_data_path)
        found.append(Destination(OpenDataSink(open_data), settings.open_data.every_s))
    if settings.mqtt_out.enabled:
        found.append(Destination(MqttOutSink(_mqtt(settings))))
    return found


def run_deliver(settings: Settings, stop: threading.Event) -> None:
    """Run every sink of the deliver role until told to stop."""
    outbox_path, cursors_path = settings.outbox_path, settings.cursors_path
    runners = [
        SinkRunner(
            destination.sink,
            SqliteLog(outbox_path),
            SqliteLog(cursors_path),
            stop,
            every_s=destination.every_s,
        )
        for destination in destinations(settings)
    ]
    for thread in start_runners(runners):
        thread.join()
    stop.wait()


def _influx(settings: Settings) -> InfluxSinkSettings:
    given = settings.influxdb
    return InfluxSinkSettings(
        url=given.url,
        org=given.org,
        bucket=given.bucket,
        token=given.token,
        readings=given.readings,
        timeout_s=given.timeout_s,
    )


def _mqtt(settings: Settings) -> MqttSinkSettings:
    broker = settings.mqtt
    return MqttSinkSettings(
        host=broker.host,
        port=broker.port,
        username=broker.username,
        password=broker.password,
        tls=broker.tls,
        ca_file=broker.ca_file,
        client_id=f"{broker.client_id}-out",
        prefix=settings.mqtt_out.prefix,
    )
