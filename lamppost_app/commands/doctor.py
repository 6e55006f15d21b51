# SPDX-License-Identifier: EUPL-1.2
"""``lamppost doctor``: is everything there that a run needs?"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import shutil
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from ingest.broker_check import check_broker
from ingest.broker_findings import as_table, losses
from lamppost.errors import ConfigError, LamppostError, NotConnected, StorageFailed
from lamppost.times import SECOND_NS
from lamppost.wording import duration
from lamppost_app.bootstrap import check_configuration
from lamppost_app.clock_reading import read_clocks
from lamppost_app.intake import mqtt_options
from lamppost_app.log_examination import examine as examine_log
from lamppost_app.log_salvage import kept
from lamppost_app.ownership import refuse_strangers
from lamppost_app.run_files import RunFiles, lost_files, names_by_snapshot
from lamppost_app.settings import Settings
from lamppost_app.sqlite_log import SqliteLog
from lamppost_app.store_care import look_through, rebuilt_from
from lamppost_app.wiring import broker
from sinks.mqtt_client import Publisher

from .options import ConfigOption, load_settings, printable

_FREE_BYTES = 1_000_000_000
_MOST_CLOCKS = 20

MosquittoOption = Annotated[
    Path | None,
    typer.Option(
        "--mosquitto-conf",
        help="The broker's configuration file, to look at what it keeps on disk.",
    ),
]


class Finding(NamedTuple):
    """One thing looked at.

    Attributes:
        what: was looked at.
        right: whether the installation can run with it.
        detail: what was found.
        more: further lines.
        note: whether somebody should look at it, although the installation can run with it.
    """

    what: str
    right: bool
    detail: str
    more: tuple[str, ...] = ()
    note: bool = False

    @property
    def mark(self) -> str:
        """The word it begins with."""
        return "WRONG" if not self.right else "look " if self.note else "right"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="doctor")(doctor)


def doctor(config: ConfigOption = None, mosquitto_conf: MosquittoOption = None) -> None:
    """Look at everything a run needs and say what is wrong and what to do."""
    settings = load_settings(config)
    findings = examine(settings, mosquitto_conf)
    for finding in findings:
        typer.echo(f"{finding.mark}  {finding.what}: {finding.detail}")
        for line in finding.more:
            typer.echo(f"         {line}")
    raise typer.Exit(0 if all(finding.right for finding in findings) else 1)


def examine(settings: Settings, mosquitto_conf: Path | None = None) -> list[Finding]:
    """Return what was found, in the order data flows."""
    looks: list[tuple[str, Callable[[Settings], str]]] = [
        ("python", _python),
        ("import names", _names),
        ("configuration", _configuration),
        ("data folder", _data),
    ]
    kept = [path for path in log_paths(settings) if path.is_file()]
    looks += [(path.name, functools.partial(_log, path)) for path in kept]
    if settings.store_path.is_file():
        looks.append((settings.store_path.name, _store))
    if settings.outbox_path.is_file():
        looks.append(("windows", _windows))
    if settings.mqtt.enabled:
        looks.append(("broker", _broker))
    found = [_look(what, look, settings) for what, look in looks]
    if settings.outbox_path.is_file():
        found += _device_clocks(settings)
    if settings.influxdb.enabled:
        found += _influxdb(settings)
    if settings.http.enabled:
        found.append(_look("portal port", _port, settings))
    names = [finding.what for finding in found if finding.right]
    if "broker" in names:
        place = [finding.what for finding in found].index("broker") + 1
        found.insert(place, _promises(settings, mosquitto_conf))
    return found


def _look(what: str, look: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(what, right=True, detail=look(settings))
    except (LamppostError, OSError) as error:
        return Finding(what, right=False, detail=str(error))


def _python(_: Settings) -> str:
    return platform.python_version()


def _names(_: Settings) -> str:
    refuse_strangers()
    return "ours alone"


def _configuration(settings: Settings) -> str:
    checked = check_configuration(settings)
    return f"policy {checked.policy.version}, {len(checked.stations)} stations"


def _data(settings: Settings) -> str:
    folder = settings.data.dir
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ConfigError("cannot write here", where=str(there))
    free = shutil.disk_usage(there).free
    if free < _FREE_BYTES:
        raise ConfigError(f"only {free / 1e9:.1f} GB free", where=str(there))
    state = "" if folder.exists() else ", made at the first start"
    return f"{folder.absolute()}, {free / 1e9:.0f} GB free{state}"


def log_paths(settings: Settings) -> list[Path]:
    """Return where our own logs are."""
    return [settings.inbox_path, settings.outbox_path, settings.cursors_path]


def _log(path: Path, _: Settings) -> str:
    with contextlib.closing(SqliteLog(path)) as log:
        found = examine_log(log)
    damages = "; ".join(map(str, found.damages))
    if found.structure:
        problem = f"damaged: {found.structure}" + (f"; {damages}" if damages else "")
        hint = "stop Lamppost and run lamppost repair"
        raise ConfigError(problem, where=str(path), hint=hint)
    if damages:
        hint = "all others are read; what this means stands in docs/delivery.md; look at the disk"
        raise ConfigError(damages, where=str(path.parent), hint=hint)
    put_right = "".join(f"; {aside.name} was put right after a crash" for aside in kept(path))
    return f"{found.entries} entries, all whole{put_right}"


def _store(settings: Settings) -> str:
    where = str(settings.store_path)
    try:
        damages = look_through(settings)
    except ConfigError as error:
        raise ConfigError(error.problem, where=where, hint=_store_advice(settings)) from error
    if damages:
        problem = f"damaged: {'; '.join(damages)}"
        raise ConfigError(problem, where=where, hint=_store_advice(settings))
    return f"{settings.store_path.stat().st_size / 1e6:.1f} MB, all read"


def _store_advice(settings: Settings) -> str:
    advice = "stop Lamppost; lamppost restore --store, with a back-up, or lamppost repair"
    return f"{advice}; {rebuilt_from(settings)}"


def _windows(settings: Settings) -> str:
    files = RunFiles(settings.windows_path)
    with contextlib.closing(SqliteLog(settings.outbox_path)) as outbox:
        lost = lost_files(files, outbox)
        count = len(set().union(*names_by_snapshot(outbox)))
    if lost:
        raise StorageFailed("; ".join(lost.values()))
    return f"{count} files, all whole"


def _device_clocks(settings: Settings) -> list[Finding]:
    """Name the devices whose clock is wrong; that is their owners' business, not a fault here."""
    what, limit_s = "device clocks", settings.doctor.clock_limit_s
    try:
        with contextlib.closing(SqliteLog(settings.outbox_path)) as outbox:
            clocks = read_clocks(outbox, limit_s)
    except (LamppostError, OSError) as error:
        return [Finding(what, right=False, detail=str(error))]
    if not clocks.states:
        return []
    limit = duration(limit_s)
    known = len(clocks.states)
    wrong = [f"{printable(sensor)}: {state}" for sensor, state in clocks.wrong.items()]
    detail = f"{known} known, all within {limit}"
    if wrong:
        detail = f"{len(wrong)} of {known} known are off by more than {limit}"
    more = wrong[:_MOST_CLOCKS]
    if len(wrong) > len(more):
        more.append(f"and {len(wrong) - len(more)} more")
    found = [Finding(what, right=True, detail=detail, more=tuple(more), note=bool(wrong))]
    if clocks.common_ns:
        side = "behind" if clocks.common_ns < 0 else "ahead, or all readings take that long"
        off = duration(abs(clocks.common_ns) / SECOND_NS)
        problem = f"most of {known} sensors say that it is {off} {side}; compare it with NTP"
        found.append(Finding("this machine's clock", right=False, detail=problem))
    return found


def _broker(settings: Settings) -> str:
    given = settings.mqtt
    publisher = Publisher(broker(given, timeout_s=5.0))
    publisher.publish_all([(f"lamppost/doctor/{given.client_id}", b"")], 1)
    publisher.close()
    return f"{given.host}:{given.port} takes QoS 1"


def _promises(settings: Settings, mosquitto_conf: Path | None) -> Finding:
    """Look at what the broker keeps of what it has confirmed."""
    what = "broker keeps readings"
    file = mosquitto_conf or settings.mqtt.broker_config
    try:
        findings = check_broker(mqtt_options(settings.mqtt), file)
    except (LamppostError, OSError) as error:
        return Finding(what, right=False, detail=str(error))
    lost = losses(findings)
    detail = "as far as it was checked" if not lost else "no: it would lose some"
    return Finding(what, right=not lost, detail=detail, more=tuple(as_table(findings)))


def _influxdb(settings: Settings) -> list[Finding]:
    """Look at the server and, as far as it can be asked, clock, token and buckets."""
    from sinks.influx_buckets import examine as examine_influx

    try:
        found = examine_influx(settings.influxdb)
    except NotConnected as error:
        problem = f"{error} (is the server running, and influxdb.url right?)"
        return [Finding("InfluxDB", right=False, detail=problem)]
    return [Finding(*finding) for finding in found]


def _port(settings: Settings) -> str:
    host, port = settings.http.host, settings.http.port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if _answers_as_lamppost(port):
                return f"{host}:{port}: Lamppost is running there"
            where = f"{host}:{port}"
            raise ConfigError(f"cannot listen: {error.strerror}", where=where) from error
    return f"{host}:{port} is free"


def _answers_as_lamppost(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2.0) as answer:
            return b"feed_alive" in answer.read()
    except OSError:
        return False
