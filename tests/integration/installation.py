# SPDX-License-Identifier: EUPL-1.2
"""A whole installation as a user starts it: ``lamppost run`` with real services around it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from lamppost_app.sqlite_log import SqliteLog
from tests.services import Mosquitto, VictoriaMetrics

POLICY = Path(__file__).parents[2] / "policy"
COMMAND = (sys.executable, "-m", "lamppost_app")


class Installation:
    """One ``lamppost run`` in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        broker: Mosquitto,
        database: VictoriaMetrics | None = None,
        *,
        lengths: tuple[str, ...] = ("1min", "15min", "1h"),
        without_checks: tuple[str, ...] = (),
    ) -> None:
        """Write the settings, and a policy with the wanted windows and without some checks."""
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        shutil.copytree(POLICY, folder / "policy")
        windows = _changed(folder / "policy" / "windows.yaml", "windows")
        windows.content["tumbling"]["lengths"] = list(lengths)
        windows.save()
        quality = _changed(folder / "policy" / "quality.yaml", "quality")
        for check in without_checks:
            del quality.content[check]
        quality.save()
        influxdb = f'[influxdb]\nenabled = true\nurl = "{database.url}"\n' if database else ""
        (folder / "lamppost.toml").write_text(
            'policy = "policy"\n[data]\ndir = "data"\n'
            f'[mqtt]\nport = {broker.port}\nclient_id = "lamppost-{folder.name}"\n'
            f"[http]\nport = {self.port}\n[open_data]\nevery_s = 0.5\n{influxdb}"
        )

    def start(self) -> None:
        """Start it and wait until it is subscribed and the portal answers."""
        with (self.folder / "output.log").open("ab") as output:
            command = [*COMMAND, "run", "--config", str(self.folder / "lamppost.toml")]
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        self.wait_until(lambda: "mqtt_connected" in self.output() and self.answers())
        time.sleep(0.5)

    def stop(self) -> int:
        """Ask it to stop and return the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(30)

    def output(self) -> str:
        """Return what it has printed."""
        return (self.folder / "output.log").read_text(errors="replace")

    def answers(self) -> bool:
        """Return whether the portal answers."""
        try:
            self.get("/healthz")
        except OSError:
            return False
        return True

    def get(self, path: str) -> Any:  # noqa: ANN401 - whatever the document is
        """Return a JSON document of the portal."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return json.load(answer)

    def simulate(self, recording: Path, sensor: str, broker: Mosquitto) -> None:
        """Publish a recording, one message a reading."""
        given = [
            "--replay",
            str(recording),
            "--sensor",
            sensor,
            "--mqtt",
            f"127.0.0.1:{broker.port}",
        ]
        subprocess.run([*COMMAND, "simulate", *given], check=True, timeout=120)

    @property
    def inbox(self) -> SqliteLog:
        """The inbox."""
        return SqliteLog(self.folder / "data" / "inbox.db")

    def wait_until_delivered(self, *sinks: str) -> None:
        """Wait until the engine has caught up and every sink has everything."""
        outbox = SqliteLog(self.folder / "data" / "outbox.db")
        cursors = SqliteLog(self.folder / "data" / "cursors.db")
        wanted = self.inbox.last()
        self.wait_until(lambda: outbox.position("engine") >= wanted)
        last = outbox.last()
        self.wait_until(lambda: all(cursors.position(sink) >= last for sink in sinks))

    def wait_until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait for a condition; show the output when it does not come."""
        until = time.monotonic() + seconds
        while not condition():
            assert self._process is None or self._process.poll() is None, self.output()
            assert time.monotonic() < until, self.output()
            time.sleep(0.05)


class _changed:  # noqa: N801 - reads like what it does
    """A section of a policy file, to be changed."""

    def __init__(self, path: Path, section: str) -> None:
        """Read the file."""
        self._path = path
        self._whole = yaml.safe_load(path.read_text())
        self.content = self._whole[section]

    def save(self) -> None:
        """Write the file back."""
        self._path.write_text(yaml.safe_dump(self._whole, sort_keys=False))


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
