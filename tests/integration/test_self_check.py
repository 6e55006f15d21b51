# SPDX-License-Identifier: EUPL-1.2
"""The self-check at the start: it stops what would lose readings, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lamppost_app.intake_status import read_status
from tests.installation import free_port
from tests.services import Mosquitto, binary

pytestmark = pytest.mark.integration

FORGETFUL = "listener {port} 127.0.0.1\nallow_anonymous true\n"


class Run:
    """One ``lamppost run`` with little around it."""

    def __init__(self, folder: Path, port: int, mqtt: str = "") -> None:
        """Write the settings and start."""
        self.folder = folder
        (folder / "lamppost.toml").write_text(
            f'[mqtt]\nport = {port}\nclient_id = "checked"\n{mqtt}'
            "[http]\nenabled = false\n[open_data]\nenabled = false\n"
        )
        command = [sys.executable, "-m", "lamppost_app", "run", "--config"]
        with (folder / "output.log").open("wb") as output:
            self.process = subprocess.Popen(
                [*command, str(folder / "lamppost.toml")],
                stdout=output,
                stderr=output,
                cwd=folder,
            )

    def output(self) -> str:
        """Return what it has printed."""
        return (self.folder / "output.log").read_text()

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait for a condition."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.output()
            time.sleep(0.05)

    def end(self) -> int:
        """Stop it."""
        self.process.terminate()
        return self.process.wait(30)


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Mosquitto]:
    """A Mosquitto as it comes, not started."""
    binary("mosquitto")
    (tmp_path / "broker").mkdir()
    service = Mosquitto(tmp_path / "broker", FORGETFUL)
    yield service
    service.stop()


def test_a_broker_that_would_lose_readings_stops_the_run(
    tmp_path: Path, forgetful: Mosquitto
) -> None:
    """Exit code 2, and the last line says what to put into mosquitto.conf."""
    forgetful.start()
    run = Run(tmp_path, forgetful.port)

    assert run.process.wait(90) == 2, run.output()

    said = run.output()
    assert "would lose readings" in said
    assert "max_queued_messages 2000000" in said
    assert 'mqtt.self_check = "warn"' in said


def test_a_broker_that_comes_later_is_checked_then(tmp_path: Path, forgetful: Mosquitto) -> None:
    """Its absence is no error; what it is, is one."""
    run = Run(tmp_path, forgetful.port)
    run.until(lambda: "mqtt_disconnected" in run.output())
    assert run.process.poll() is None

    forgetful.start()

    assert run.process.wait(90) == 2, run.output()


def test_it_runs_all_the_same_when_told_to_warn_only(tmp_path: Path, forgetful: Mosquitto) -> None:
    """The findings are logged and kept for the portal."""
    forgetful.start()
    run = Run(tmp_path, forgetful.port, 'self_check = "warn"\n')
    run.until(lambda: "broker_checked" in run.output())
    time.sleep(1.0)

    assert run.process.poll() is None
    assert run.end() == 0
    assert "broker_loses_readings" in run.output()
    status = read_status(tmp_path / "data" / "intake.json")
    assert status is not None
    assert "LOSES DATA" in {one.severity for one in status.findings}


def test_a_good_broker_lets_it_run(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Its configuration file is read too, and a file that is not there is an error at once."""
    mosquitto.start()
    file = mosquitto.folder / "mosquitto.conf"
    run = Run(tmp_path, mosquitto.port, f'broker_config = "{file}"\n')
    run.until(lambda: "broker_checked" in run.output())

    assert "losing=0" in run.output()
    assert run.end() == 0

    run = Run(tmp_path, free_port(), 'broker_config = "missing.conf"\n')
    assert run.process.wait(60) == 2
    assert "missing.conf" in run.output()


def test_it_does_not_look_when_told_not_to(tmp_path: Path, forgetful: Mosquitto) -> None:
    """Nothing is published."""
    forgetful.start()
    run = Run(tmp_path, forgetful.port, 'self_check = "off"\n')
    run.until(lambda: "mqtt_connected" in run.output())
    time.sleep(1.0)

    assert run.end() == 0
    assert "lamppost-check" not in (forgetful.folder / "output.log").read_text()
