# SPDX-License-Identifier: EUPL-1.2
"""The supervisor keeps roles running, and takes all of them along when it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from lamppost_app.roles import SUPERVISOR_VARIABLE
from lamppost_app.supervisor import role_command

ROOT = Path(__file__).parents[3]
_SUPERVISE = """
import json, sys
from lamppost_app.supervisor import Supervisor
sys.exit(Supervisor(json.loads(sys.argv[1])).run())
"""
# A role that notes its start, its supervisor and its end, in a file named by its first argument.
_ROLE = """
import os, signal, sys, time
path, behaviour = sys.argv[1:3]
def note(what):
    with open(path, "a") as file:
        file.write(f"{what} {os.getpid()} {os.environ['LAMPPOST_SUPERVISOR_PID']} {time.time()}\\n")
def end(*_):
    note("end")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
note("start")
if behaviour.isdigit():
    sys.exit(int(behaviour))
while True:
    time.sleep(0.05)
"""


class Supervised:
    """A supervisor in a process of its own, over roles that take notes."""

    def __init__(self, folder: Path) -> None:
        """Start nothing yet."""
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, behaviours: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start roles that live on, or end with an exit code."""
        commands = {
            name: [sys.executable, "-c", _ROLE, str(self._folder / name), behaviour]
            for name, behaviour in behaviours.items()
        }
        self._process = _start(_SUPERVISE, json.dumps(commands))
        return self._process

    def notes(self, name: str) -> list[list[str]]:
        """Return what a role noted: what, its process, its supervisor, when."""
        path = self._folder / name
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def close(self) -> None:
        """End whatever is left."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=30)


def _start(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    """A supervisor that ends with the test."""
    made = Supervised(tmp_path)
    yield made
    made.close()


def wait_for(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    """Return as soon as something holds; fail when it does not in time."""
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def gone(process_id: int) -> bool:
    """Return whether a process has ended."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8")
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def test_told_to_stop_it_stops_every_role_in_the_order_data_flows(supervised: Supervised) -> None:
    """Each is asked, and gone before the next is."""
    process = supervised.start({"intake": "live", "engine": "live", "deliver": "live"})
    names = ("intake", "engine", "deliver")
    wait_for(lambda: all(supervised.notes(name) for name in names))

    process.send_signal(signal.SIGTERM)
    code = process.wait(timeout=30)

    assert code == 0
    for name in names:
        assert [note[0] for note in supervised.notes(name)] == ["start", "end"]
    ended = [float(supervised.notes(name)[1][3]) for name in names]
    assert ended == sorted(ended)


def test_roles_know_their_supervisor(supervised: Supervised) -> None:
    """So that they can stop when it is gone."""
    process = supervised.start({"intake": "live"})
    wait_for(lambda: bool(supervised.notes("intake")))

    (note,) = supervised.notes("intake")

    assert note[2] == str(process.pid)


def test_a_role_that_crashes_is_started_again_and_the_others_go_on(
    supervised: Supervised,
) -> None:
    """After a second, then less and less often."""
    supervised.start({"intake": "live", "engine": "1"})

    wait_for(lambda: len(supervised.notes("engine")) == 3)

    first, second, third = (float(note[3]) for note in supervised.notes("engine"))
    assert second - first >= 0.9
    assert third - second >= 1.9
    assert [note[0] for note in supervised.notes("intake")] == ["start"]


def test_a_role_that_is_killed_is_started_again(supervised: Supervised) -> None:
    """Whoever killed it."""
    supervised.start({"engine": "live"})
    wait_for(lambda: len(supervised.notes("engine")) == 1)

    os.kill(int(supervised.notes("engine")[0][1]), signal.SIGKILL)
    wait_for(lambda: len(supervised.notes("engine")) == 2)

    assert [note[0] for note in supervised.notes("engine")] == ["start", "start"]


def test_a_wrong_configuration_ends_everything(supervised: Supervised) -> None:
    """Starting again would not make it right: exit code 2, and nobody is left behind."""
    process = supervised.start({"intake": "live", "engine": "2"})

    code = process.wait(timeout=30)

    assert code == 2
    assert all(gone(int(note[1])) for note in supervised.notes("intake"))
    assert len(supervised.notes("engine")) == 1


def test_a_role_stops_when_its_supervisor_was_killed(tmp_path: Path) -> None:
    """A supervisor that cannot say goodbye leaves no role behind."""
    config = tmp_path / "lamppost.toml"
    config.write_text("[mqtt]\nenabled = false\n", encoding="utf-8")
    script = (
        "import json, sys\nfrom lamppost_app.supervisor import Supervisor, role_command\n"
        "Supervisor({'intake': role_command('intake', sys.argv[1])}).run()\n"
    )
    supervisor = _start(script, str(config))
    children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children")
    wait_for((tmp_path / "data" / "inbox.db").exists)
    (child,) = (int(text) for text in children.read_text(encoding="utf-8").split())

    supervisor.kill()
    supervisor.wait()

    wait_for(lambda: gone(child))


@pytest.mark.parametrize(
    ("config", "tail"),
    [(None, []), ("/etc/lamppost.toml", ["--config", "/etc/lamppost.toml"])],
)
def test_a_role_is_run_by_the_same_python(config: str | None, tail: Sequence[str]) -> None:
    """With the same settings file, if there is one."""
    command = role_command("engine", config)

    assert command == [sys.executable, "-m", "lamppost_app", "run", "--role", "engine", *tail]


def test_the_variable_has_the_prefix_of_our_settings() -> None:
    """A container passes on what begins like this."""
    assert SUPERVISOR_VARIABLE == "LAMPPOST_SUPERVISOR_PID"
