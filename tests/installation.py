# SPDX-License-Identifier: EUPL-1.2
"""A whole installation as a user starts it: ``lamppost run`` with real services around it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.services import free_port
from lamppost import log
from lamppost.log import Record
from lamppost.times import DAY_NS
from lamppost_app.sqlite_log import SqliteLog
from tests.services import Mosquitto, VictoriaMetrics

POLICY = Path(__file__).parents[1] / "policy"
COMMAND = (sys.executable, "-m", "lamppost_app")
ROLES = ("intake", "engine", "deliver", "portal")


class Installation:
    """One ``lamppost run`` in a folder of its own, or its roles started one by one.

    Attributes:
        peak_rss: the most memory each role was seen to take, bytes.
    """

    def __init__(
        self,
        folder: Path,
        broker: Mosquitto,
        database: VictoriaMetrics | None = None,
        *,
        lengths: tuple[str, ...] = ("1min", "15min", "1h"),
        without_checks: tuple[str, ...] = (),
        broker_port: int = 0,
        settings: str = "",
        windows: Mapping[str, object] | None = None,
    ) -> None:
        """Write the settings, and a policy with the wanted windows and without some checks.

        Args:
            folder: an empty folder.
            broker: where readings come from.
            database: where they go to, beside the store and the open-data files.
            lengths: of the windows.
            without_checks: checks of the policy that are left out.
            broker_port: where the broker is reached instead, through a proxy.
            settings: further tables of the settings.
            windows: further settings of the windows.
        """
        self.folder = folder
        self.port = free_port()
        self.peak_rss: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._alone: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "output.log").touch()
        shutil.copytree(POLICY, folder / "policy")
        changed = _changed(folder / "policy" / "windows.yaml", "windows")
        changed.content["event_time"].update({"lengths": list(lengths), **(windows or {})})
        changed.save()
        quality = _changed(folder / "policy" / "quality.yaml", "quality")
        for check in without_checks:
            del quality.content[check]
        quality.save()
        influxdb = f'[influxdb]\nenabled = true\nurl = "{database.url}"\n' if database else ""
        # What a proxy records is about readings; the self-check has tests of its own.
        check = "off" if broker_port else "refuse"
        (folder / "lamppost.toml").write_text(
            'policy = "policy"\n[data]\ndir = "data"\n'
            f'[mqtt]\nport = {broker_port or broker.port}\nclient_id = "lamppost-{folder.name}"\n'
            f'self_check = "{check}"\n'
            f"[http]\nport = {self.port}\nreads_per_s = 0\n[open_data]\nevery_s = 0.5\n"
            f"{influxdb}{settings}"
        )

    def start(self) -> None:
        """Start it and wait until it is subscribed and the portal answers."""
        before = len(self.output())
        with (self.folder / "output.log").open("ab") as output:
            command = [*COMMAND, "run", "--config", str(self.folder / "lamppost.toml")]
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        self.wait_until(lambda: "mqtt_connected" in self.output()[before:] and self.answers())
        time.sleep(0.5)

    def start_role(
        self,
        role: str,
        *,
        launcher: Sequence[str] = COMMAND,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start one role by itself, at once; nothing starts it again."""
        given = ["run", "--role", role, "--config", str(self.folder / "lamppost.toml")]
        with (self.folder / "output.log").open("ab") as output:
            self._alone[role] = subprocess.Popen(
                [*launcher, *given],
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
            )
        return self._alone[role]

    @property
    def supervisor(self) -> int:
        """The process of ``lamppost run``."""
        assert self._process is not None
        return self._process.pid

    def pids(self) -> dict[str, int]:
        """Return the process of every role that runs."""
        found = {role: one.pid for role, one in self._alone.items() if one.poll() is None}
        for pid in [] if self._process is None else _children(self._process.pid):
            words = _command_line(pid)
            if "--role" in words:
                found[words[words.index("--role") + 1]] = pid
        return found

    def cpu_s(self) -> dict[str, float]:
        """Return the processor time every role has taken."""
        return {role: _cpu_s(pid) for role, pid in self.pids().items()}

    def kill(self, role: str) -> None:
        """End one role without warning."""
        self.look_at_memory()
        pid = self.pids()[role]
        os.kill(pid, signal.SIGKILL)
        if role in self._alone:
            self._alone.pop(role).wait()
        else:
            self.wait_until(lambda: _gone(pid))

    def kill_tree(self) -> None:
        """End the supervisor and all roles without warning."""
        self.look_at_memory()
        pids = list(self.pids().values())
        if self._process is not None:
            # The supervisor first: it must not start again what falls beside it.
            self._process.kill()
            self._process.wait()
            self._process = None
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for one in self._alone.values():
            one.wait()
        self._alone.clear()
        self.wait_until(lambda: all(_gone(pid) for pid in pids))

    def look_at_memory(self) -> None:
        """Note the most memory each role has taken so far."""
        for role, pid in self.pids().items():
            self.peak_rss[role] = max(self.peak_rss.get(role, 0), _peak_rss(pid))

    def stop(self) -> int:
        """Ask it to stop, from left to right, and return the exit code."""
        self.look_at_memory()
        codes = []
        if self._process is not None:
            self._process.terminate()
            codes.append(self._process.wait(30))
            self._process = None
        for role in [role for role in ROLES if role in self._alone]:
            self._alone[role].terminate()
            codes.append(self._alone.pop(role).wait(30))
        return max(codes, key=abs, default=0)

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

    def append(self, *records: Record) -> None:
        """Enter something in the inbox."""
        with contextlib.closing(self.inbox) as inbox:
            inbox.append(records)

    def let_a_day_pass(self) -> None:
        """Enter a tick far ahead, with which every window closes and the ledger is complete."""
        self.append(Record(log.TICK, time.time_ns() + 2 * DAY_NS, b""))

    def wait_until_delivered(self, *sinks: str, seconds: float = 60.0) -> None:
        """Wait until the engine has caught up and every sink has everything."""
        with contextlib.ExitStack() as logs:
            outbox, cursors = (
                logs.enter_context(contextlib.closing(SqliteLog(self.folder / "data" / name)))
                for name in ("outbox.db", "cursors.db")
            )
            wanted = logs.enter_context(contextlib.closing(self.inbox)).last()
            self.wait_until(lambda: outbox.position("engine") >= wanted, seconds)
            last = outbox.last()
            self.wait_until(lambda: all(cursors.position(sink) >= last for sink in sinks), seconds)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait for a condition; show the output when it does not come."""
        until = time.monotonic() + seconds
        while not condition():
            assert self._process is None or self._process.poll() is None, self.output()
            assert time.monotonic() < until, self.output()
            time.sleep(0.05)


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_rss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


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
