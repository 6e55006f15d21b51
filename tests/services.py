# SPDX-License-Identifier: EUPL-1.2
"""Real services for tests: Mosquitto, VictoriaMetrics, InfluxDB, each on a free port, in a folder.

A missing program skips the test, unless ``CI=true`` or ``LAMPPOST_REQUIRE_SERVICES=1`` says that it
must be there.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from benchmarks.services import (
    MissingProgramError,
    Mosquitto,
    Service,
    find_program,
    free_port,
)


class VictoriaMetrics(Service):
    """A time series database that takes InfluxDB's v2 writes."""

    program = "victoria-metrics"

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}"

    def command(self) -> list[str]:
        """Return the command line."""
        return [
            f"-storageDataPath={self.folder / 'data'}",
            f"-httpListenAddr={self.host}:{self.port}",
            "-retentionPeriod=100y",
            "-search.latencyOffset=0s",
            "-search.maxStalenessInterval=1s",
            "-loggerLevel=ERROR",
            "-memory.allowedBytes=128MB",
        ]

    def ready(self) -> bool:
        """Return whether it says it is healthy."""
        try:
            return self._get("/health") == b"OK"
        except (OSError, urllib.error.URLError):
            return False

    def query(self, selector: str, *, raw: bool = True) -> list[dict[str, Any]]:
        """Return every stored series a selector matches, with its values and timestamps (ms).

        ``raw`` includes points that were written several times; without it, the database's own
        rule about points of one instant applies (``-dedup.minScrapeInterval``).
        """
        self._get("/internal/force_flush")
        asked = {"match[]": selector, **({"reduce_mem_usage": "1"} if raw else {})}
        match = urllib.parse.urlencode(asked)
        merged: dict[str, dict[str, Any]] = {}
        # A series comes in several lines when it has several blocks.
        for line in self._get(f"/api/v1/export?{match}").splitlines():
            block = json.loads(line)
            series = merged.setdefault(
                json.dumps(block["metric"], sort_keys=True),
                {"metric": block["metric"], "values": [], "timestamps": []},
            )
            series["values"] += block["values"]
            series["timestamps"] += block["timestamps"]
        return list(merged.values())

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            body: bytes = answer.read()
        return body


Points = dict[tuple[str, frozenset[tuple[str, str]], int], dict[str, float]]
"""Fields by measurement, tags and time (ns) of a point."""

_INFLUX_CONFIG = """\
reporting-disabled = true
bind-address = "{host}:{inner_port}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "{host}:{port}"
log-enabled = false
"""


class InfluxDB(Service):
    """An InfluxDB of the first generation: the line protocol and storage engine of the second.

    Debian has no other. Its API differs: ``tests.influx_front`` offers that of the second.
    """

    program = "influxd"

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}"

    def command(self) -> list[str]:
        """Return the command line."""
        config = self.folder / "influxdb.conf"
        places = {"host": self.host, "port": self.port, "inner_port": free_port()}
        config.write_text(_INFLUX_CONFIG.format(folder=self.folder, **places), encoding="utf-8")
        return ["-config", str(config)]

    def ready(self) -> bool:
        """Return whether it takes questions."""
        try:
            return self.post("/query", {"q": "SHOW DATABASES"})[0] == 200
        except OSError:
            return False

    def post(self, path: str, query: Mapping[str, str], body: bytes = b"") -> tuple[int, bytes]:
        """Return status and body of an answer."""
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def do(self, statement: str, database: str = "") -> list[dict[str, Any]]:
        """Run a statement and return the series it answers with."""
        _, body = self.post("/query", {"q": statement, "db": database, "epoch": "ns"})
        (result,) = json.loads(body, parse_int=_exact)["results"]
        assert "error" not in result, result
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def points(self, database: str) -> Points:
        """Return everything a database holds."""
        found: Points = {}
        for series in self.do("SELECT * FROM /.*/ GROUP BY *", database):
            tags = frozenset((name, text) for name, text in series.get("tags", {}).items() if text)
            for at, *values in series["values"]:
                named = zip(series["columns"][1:], values, strict=True)
                fields = {name: float(value) for name, value in named if value is not None}
                found[series["name"], tags, at] = fields
        return found


def _exact(text: str) -> int | float:
    """Keep the sign of a zero."""
    return -0.0 if text == "-0" else int(text)


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    """A running InfluxDB of the first generation: ``url``, ``do(statement)``, ``points(name)``."""
    service = InfluxDB(tmp_path_factory.mktemp("influxdb"))
    _started(service)
    yield service
    service.stop()


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A running Mosquitto: ``host``, ``port``, ``stop()``, ``kill()``, ``start()``."""
    service = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    _started(service)
    yield service
    service.stop()


@pytest.fixture(scope="session")
def victoria_metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    """A running VictoriaMetrics: ``url``, ``query(selector)``, ``stop``, ``kill``, ``start``."""
    service = VictoriaMetrics(tmp_path_factory.mktemp("victoria-metrics"))
    _started(service)
    yield service
    service.stop()


def binary(program: str) -> str:
    """Return where a program is; without it the test is skipped, or fails where it must be."""
    try:
        return find_program(program)
    except MissingProgramError as error:
        wanted = os.environ.get("CI"), os.environ.get("LAMPPOST_REQUIRE_SERVICES")
        required = wanted[0] == "true" or wanted[1] == "1"
        (pytest.fail if required else pytest.skip)(str(error))
        raise


def _started(service: Service) -> None:
    binary(service.program)
    service.start()
