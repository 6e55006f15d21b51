# SPDX-License-Identifier: EUPL-1.2
"""Server programs for measurements and tests: each on a free port, with its data in a folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

_STARTUP_S: Final = 20.0
_MOSQUITTO_CONFIG: Final = """\
listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
max_inflight_messages 2000
persistence true
persistence_location {folder}/
autosave_interval 10
queue_qos0_messages true
"""


class MissingProgramError(Exception):
    """A program is not installed on this machine."""


class StartError(Exception):
    """A server program ended, or said nothing, when it should have begun to serve."""


class Service:
    """A server program that can be stopped, killed and started again on the same port."""

    program: str
    host = "127.0.0.1"

    def __init__(self, folder: Path) -> None:
        """Choose a port; start nothing."""
        self.folder = folder
        self.port = free_port()
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
        """Start it and wait until it can be used.

        Raises:
            MissingProgramError: it is not installed.
            StartError: it did not come up; the end of its output is in the message.
        """
        if self._process is not None:
            return
        log = (self.folder / "output.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [find_program(self.program), *self.command()], stdout=log, stderr=log
            )
        until = time.monotonic() + _STARTUP_S
        while not self.ready():
            gone = self._process.poll() is not None
            if gone or time.monotonic() > until:
                self.kill()
                text = (self.folder / "output.log").read_text(errors="replace")
                raise StartError(f"{self.program} did not start:\n{text[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask it to end and wait."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without warning."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it stand still: it keeps its connections and answers nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

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

    def __init__(self, folder: Path, configuration: str = _MOSQUITTO_CONFIG) -> None:
        """Take its configuration, in which ``{port}`` and ``{folder}`` are filled in."""
        super().__init__(folder)
        self._configuration = configuration

    def command(self) -> list[str]:
        """Return the command line, with a configuration file written beside the data."""
        config = self.folder / "mosquitto.conf"
        # Run by root, Mosquitto gives up its rights and then owns no file of ours.
        user = "user root\n" if os.geteuid() == 0 else ""
        text = self._configuration.format(port=self.port, folder=self.folder)
        config.write_text(user + text, encoding="utf-8")
        return ["-c", str(config)]


def find_program(program: str) -> str:
    """Return where a program is; Debian keeps servers where ordinary users do not look.

    Raises:
        MissingProgramError: it is not installed.
    """
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise MissingProgramError(f"{program} is not installed")
    return found


def free_port() -> int:
    """Return a port nobody listens on at the moment."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
    return port
