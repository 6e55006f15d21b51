# SPDX-License-Identifier: EUPL-1.2
"""``lamppost demo``: a broker, a simulated city, the pipeline and the portal, in one command."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from lamppost import events
from lamppost.errors import NotConnected
from lamppost.log import FRAME
from lamppost_app import settings as installation
from lamppost_app.roles import ROLES
from lamppost_app.sqlite_log import SqliteLog
from lamppost_app.supervisor import Supervisor, role_command
from sensor_sim.fleet import build_fleet, to_geojson
from sensor_sim.messages import Message
from sinks.mqtt_client import BrokerSettings, Publisher

from .run import prepare
from .simulate import history, make_city, publish, publish_live

SEED: Final = 1
_USUAL_PORT: Final = 8642
_USUAL_BROKER_PORT: Final = 1883
_HISTORY_H: Final = 26.0
_BROKER_STARTS_S: Final = 30.0


def add_to(app: typer.Typer) -> None:
    """Add the command and the two processes of its own that it starts."""
    app.command(name="demo")(demo)
    app.command(name="demo-broker", hidden=True)(demo_broker)
    app.command(name="demo-city", hidden=True)(demo_city)


def demo(
    port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Port of the portal; default: 8642.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Keep the data here; default: gone when you stop.")
    ] = None,
    air_quality: Annotated[int, typer.Option(min=1, help="Air-quality stations.")] = 150,
    traffic: Annotated[int, typer.Option(min=1, help="Traffic stations.")] = 100,
) -> None:
    """Run everything on this machine, fed by a simulated city with faults. Stop with Ctrl-C."""
    if data is not None:
        raise typer.Exit(_run(data, port, air_quality, traffic))
    with tempfile.TemporaryDirectory(prefix="lamppost-demo-") as folder:
        code = _run(Path(folder), port, air_quality, traffic)
    raise typer.Exit(code)


def demo_broker(port: Annotated[int, typer.Option()]) -> None:
    """Serve MQTT for the demo."""
    from lamppost_app.demo_broker import run_broker

    run_broker(port)


def demo_city(
    broker: Annotated[int, typer.Option()],
    inbox: Annotated[Path, typer.Option()],
    air_quality: Annotated[int, typer.Option()],
    traffic: Annotated[int, typer.Option()],
) -> None:
    """Publish the demo's city: what its devices kept since yesterday, then live."""
    publisher = Publisher(BrokerSettings(port=broker, protocol="3.1.1"))
    city = make_city(SEED, air_quality, traffic, 60.0)
    past = history(city, _HISTORY_H)
    _wait_for_intake(publisher, past[0], SqliteLog(inbox))
    publish(publisher, past, "the last 26 hours of the city")
    publish_live(publisher, city, None)


def _wait_for_intake(publisher: Publisher, message: Message, inbox: SqliteLog) -> None:
    """Send one message until it has come through: a broker drops what nobody has subscribed to."""
    while not any(entry.kind == FRAME for entry in inbox.read(0, 1000)):
        publisher.publish_all([(message.topic, message.payload)], 1)
        time.sleep(0.2)


def _run(folder: Path, port: int | None, air_quality: int, traffic: int) -> int:
    port, broker = port or _free_port(_USUAL_PORT), _free_port(_USUAL_BROKER_PORT)
    config = _write_configuration(folder, port, broker, air_quality, traffic)
    settings = installation.load(config)
    events.configure("WARNING", "demo")
    prepare(settings)
    own = [sys.executable, "-m", "lamppost_app"]
    inbox = str(settings.inbox_path)
    fleet = ["--air-quality", str(air_quality), "--traffic", str(traffic)]
    commands = {
        **{name: role_command(name, str(config)) for name in ROLES},
        "city": [*own, "demo-city", "--broker", str(broker), "--inbox", inbox, *fleet],
    }
    url = f"http://127.0.0.1:{port}"
    typer.echo(f"Lamppost demo: {air_quality} air-quality and {traffic} traffic stations, starting")
    threading.Thread(target=_announce, args=(url, broker), daemon=True).start()
    with _broker([*own, "demo-broker", "--port", str(broker)], broker):
        return Supervisor(commands).run()


@contextlib.contextmanager
def _broker(command: list[str], port: int) -> Iterator[None]:
    """Serve MQTT: before the intake looks for it, until the intake is gone.

    Raises:
        NotConnected: it does not start.
    """
    # A session of its own: Ctrl-C reaches the demo alone, which stops everything in order.
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            until = time.monotonic() + _BROKER_STARTS_S
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise NotConnected("the demo's broker did not start")
                time.sleep(0.1)
            yield
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    # The broker would take a connection without a word in it for a broken client, and say so.
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _write_configuration(
    folder: Path, port: int, broker: int, air_quality: int, traffic: int
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    stations = to_geojson(build_fleet(SEED, air_quality, traffic))
    (folder / "stations.geojson").write_text(json.dumps(stations), encoding="utf-8")
    config = folder / "lamppost.toml"
    config.write_text(
        'stations = "stations.geojson"\nlog_level = "WARNING"\n'
        '[data]\ndir = "."\n'
        f'[mqtt]\nport = {broker}\nprotocol = "3.1.1"\n'
        # The embedded broker forgets what comes while a subscriber is away.
        'self_check = "off"\n'
        f"[http]\nport = {port}\n"
        "[open_data]\nevery_s = 10\n",
        encoding="utf-8",
    )
    return config


def _announce(url: str, broker: int) -> None:
    """Say where the portal is as soon as it answers."""
    while not _answers(url):
        time.sleep(0.2)
    typer.echo(
        f"\n  The console is at {url}\n"
        f"  Devices may publish to 127.0.0.1:{broker}, topic v1/<sensor>/readings\n"
        "  Stop with Ctrl-C.\n"
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2.0):  # noqa: S310 - our own address
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _free_port(wanted: int) -> int:
    """Return the wanted port when it is free, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise NotConnected("no free port on 127.0.0.1")
