# SPDX-License-Identifier: EUPL-1.2
"""``lamppost simulate``: publish a simulated city, or a recording, over MQTT."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lamppost.errors import ConfigError
from lamppost.times import HOUR_NS, SECOND_NS
from lamppost_app.wiring import broker
from sensor_sim.city import City
from sensor_sim.fleet import build_fleet
from sensor_sim.messages import Message
from sensor_sim.programme import standard_programme
from sensor_sim.recordings import open_recording
from sinks.mqtt_client import BrokerSettings, Publisher

from .options import ConfigOption, load_settings
from .replay import columns_of

BrokerOption = Annotated[
    str | None, typer.Option("--mqtt", help="HOST:PORT of the broker; default: the settings'.")
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="simulate")(simulate)


def simulate(  # noqa: PLR0913, PLR0917 - each argument is an option of the command line
    replay: Annotated[
        Path | None, typer.Option(help="Recording to publish; default: a simulated city.")
    ] = None,
    mqtt: BrokerOption = None,
    sensor: Annotated[str, typer.Option(help="Sensor name for a recording.")] = "recording",
    time_column: Annotated[str | None, typer.Option(help="Column that holds the time.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="SRC=QUANTITY of a recording; may be repeated.")
    ] = None,
    zone: Annotated[str, typer.Option(help="Time zone of times that name none.")] = "UTC",
    batch: Annotated[int, typer.Option(min=1, help="Times in one message of a recording.")] = 1,
    air_quality: Annotated[int, typer.Option(min=0, help="Air-quality stations.")] = 150,
    traffic: Annotated[int, typer.Option(min=0, help="Traffic stations.")] = 100,
    period_s: Annotated[float, typer.Option(min=1, help="Seconds between readings.")] = 60.0,
    history_h: Annotated[float, typer.Option(min=0, help="Hours to send before going live.")] = 0.0,
    duration_s: Annotated[
        float | None, typer.Option(min=0, help="Seconds to stay live; default: for ever.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which city.")] = 1,
    config: ConfigOption = None,
) -> None:
    """Publish readings at QoS 1, every message acknowledged by the broker."""
    publisher = Publisher(_broker(mqtt, config))
    if replay is not None:
        columns = columns_of(column) if column else None
        opened = open_recording(replay, zone=zone, time_column=time_column, columns=columns)
        publish(publisher, list(opened.messages(sensor, batch)), replay.name)
    else:
        city = make_city(seed, air_quality, traffic, period_s)
        if history_h:
            publish(publisher, history(city, history_h), "history")
        publish_live(publisher, city, duration_s)
    publisher.close()


def make_city(seed: int, air_quality: int, traffic: int, period_s: float) -> City:
    """Return the simulated city, its faults and events scheduled from now on."""
    fleet = build_fleet(seed, air_quality, traffic, period_s)
    return City(fleet, seed, standard_programme(fleet, seed, time.time_ns()))


def history(city: City, hours: float) -> list[Message]:
    """Return the messages of the past: the newest two hours dense, those before in five minutes."""
    now = time.time_ns()
    start = now - round(hours * HOUR_NS)
    dense = max(start, now - 2 * HOUR_NS)
    messages = [*city.history(start, dense, 300.0), *city.history(dense, now, 60.0)]
    return sorted(messages, key=lambda message: message.due_at_ns)


def publish(publisher: Publisher, messages: list[Message], what: str) -> None:
    """Publish messages as fast as the broker takes them, with a progress bar."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=len(messages))
        pairs = ((message.topic, message.payload) for message in messages)
        publisher.publish_all(
            pairs, 1, on_progress=lambda done: progress.update(task, completed=done)
        )


def publish_live(publisher: Publisher, city: City, duration_s: float | None) -> None:
    """Publish each message when it is due, until the time is over."""
    for messages in _due(city, duration_s):
        publisher.publish_all(((message.topic, message.payload) for message in messages), 1)


def _due(city: City, duration_s: float | None) -> Iterator[list[Message]]:
    """Yield the messages that fell due since the last call, twice a second."""
    begun = since = time.time_ns()
    for _ in itertools.count():
        time.sleep(0.5)
        now = time.time_ns()
        if duration_s is not None and now - begun >= duration_s * SECOND_NS:
            return
        yield city.messages_between(since, now)
        since = now


def _broker(mqtt: str | None, config: Path | None) -> BrokerSettings:
    given = load_settings(config).mqtt
    if mqtt is None:
        return broker(given)
    host, _, port = mqtt.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"{mqtt!r} is not HOST:PORT", where="--mqtt")
    return broker(given, host=host, port=int(port))
