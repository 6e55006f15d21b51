# SPDX-License-Identifier: EUPL-1.2
"""Real services for tests: a Mosquitto and a VictoriaMetrics, each on a free port, in a folder.

A missing program skips the test, unless ``CI=true`` or ``LAMPPOST_REQUIRE_SERVICES=1`` says that it
must be there.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_STARTUP_S = 20.0
_MOSQUITTO_CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
max_inflight_messages 2000
persistence true
persistence_location {folder}/
"""


class Service:
    """A server program that can be stopped, killed and started again on the same port."""

    program: str
    host = "127.0.0.1"

    def __init__(self, folder: Path) -> None:
        """Choose a port; start nothing."""
        self.folder = folder
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return the command line."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Return whether it can be used."""
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def start(self) -> None:
        """Start it and wait until it can be used."""
        if self._process is not None:
            return
        log = (self.folder / "output.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [binary(self.program), *self.command()], stdout=log, stderr=log
            )
        until = time.monotonic() + _STARTUP_S
        while not self.ready():
            gone = self._process.poll() is not None
            if gone or time.monotonic() > until:
                self.kill()
                text = (self.folder / "output.log").read_text(errors="replace")
                pytest.fail(f"{self.program} did not start:\n{text[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask it to end and wait."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without warning."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Mosquitto(Service):
    """The broker."""

    program = "mosquitto"

    def command(self) -> list[str]:
        """Return the command line, with a configuration file written beside the data."""
        config = self.folder / "mosquitto.conf"
        # Run by root, Mosquitto gives up its rights and then owns no file of ours.
        user = "user root\n" if os.geteuid() == 0 else ""
        text = _MOSQUITTO_CONFIG.format(port=self.port, folder=self.folder)
        config.write_text(user + text, encoding="utf-8")
        return ["-c", str(config)]


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

    def query(self, selector: str) -> list[dict[str, Any]]:
        """Return every stored series a selector matches, with its values and timestamps (ms)."""
        self._get("/internal/force_flush")
        match = urllib.parse.urlencode({"match[]": selector, "reduce_mem_usage": "1"})
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


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A running Mosquitto: ``host``, ``port``, ``stop()``, ``kill()``, ``start()``."""
    service = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    service.start()
    yield service
    service.stop()


@pytest.fixture(scope="session")
def victoria_metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    """A running VictoriaMetrics: ``url``, ``query(selector)``, ``stop``, ``kill``, ``start``."""
    service = VictoriaMetrics(tmp_path_factory.mktemp("victoria-metrics"))
    service.start()
    yield service
    service.stop()


def binary(program: str) -> str:
    """Return where a program is; without it the test is skipped, or fails where it must be."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        wanted = os.environ.get("CI"), os.environ.get("LAMPPOST_REQUIRE_SERVICES")
        required = wanted[0] == "true" or wanted[1] == "1"
        (pytest.fail if required else pytest.skip)(f"{program} is not installed")
    return str(found)


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
    return port
