# SPDX-License-Identifier: EUPL-1.2
"""Runs the roles as processes; a crash of one leaves the others working."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from lamppost import events

from .roles import SUPERVISOR_VARIABLE

CONFIG_EXIT: Final = 2
_POLL_S: Final = 0.1
_LONGEST_WAIT_S: Final = 30.0
_STEADY_S: Final = 60.0
_GRACE_S: Final = 20.0


class _Child:
    """One role: its command, its process, and when it may start again."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._command = command
        self._wait_s = 0.0
        self._started_at = 0.0
        self._start_at = 0.0
        self._starts = 0
        self.process: subprocess.Popen[bytes] | None = None

    def step(self) -> bool:
        """Start the process when it is due; tell whether its configuration is wrong.

        Only the first start says so. A role that has run before may end with the same code for a
        reason that passes, a full disk among them, and is started again.
        """
        if self.process is None:
            if time.monotonic() >= self._start_at:
                self._start()
            return False
        if self.process.poll() is None:
            return False
        return self._ended(self.process.returncode) == CONFIG_EXIT and self._starts == 1

    def _start(self) -> None:
        environment = {**os.environ, SUPERVISOR_VARIABLE: str(os.getpid())}
        # A group of its own: Ctrl-C reaches the supervisor alone, which stops them in order.
        self.process = subprocess.Popen(self._command, env=environment, start_new_session=True)
        self._started_at = time.monotonic()
        self._starts += 1

    def _ended(self, code: int) -> int:
        self.process = None
        steady = time.monotonic() - self._started_at > _STEADY_S
        self._wait_s = 1.0 if steady else min(max(2 * self._wait_s, 1.0), _LONGEST_WAIT_S)
        self._start_at = time.monotonic() + self._wait_s
        events.error("role_ended", role=self.name, code=code, restart_in_s=self._wait_s)
        return code

    def stop(self, until: float) -> None:
        """Ask the process to stop, and insist after a while."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            events.error("role_killed", role=self.name)
            self.process.kill()
            self.process.wait()


class Supervisor:
    """Keeps a set of processes running until told to stop."""

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        on_hangup: Callable[[], None] | None = None,
    ) -> None:
        """Take a command by role, in the order data flows, and what SIGHUP asks for.

        On a terminal SIGHUP says that the terminal is gone, and everything stops.
        """
        self._on_hangup = None if os.isatty(0) else on_hangup
        self._hung_up = False
        self._children = [_Child(name, command) for name, command in commands.items()]
        self._stop = threading.Event()

    def run(self) -> int:
        """Run until a signal or a configuration error; return the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        signal.signal(signal.SIGHUP, self._note_hangup)
        code = 0
        while not self._stop.is_set():
            wrong = [child.step() for child in self._children]
            if True in wrong:
                code = CONFIG_EXIT
                break
            self._stop.wait(_POLL_S)
            self._attend()
        self._shut_down()
        return code

    def _note_hangup(self, *_: object) -> None:
        if self._on_hangup is None:
            self._stop.set()
        self._hung_up = True

    def _attend(self) -> None:
        """Do what SIGHUP asked for since the last look, once however often it did."""
        if self._hung_up and self._on_hangup is not None:
            self._hung_up = False
            self._on_hangup()

    def _shut_down(self) -> None:
        """Stop the roles from left to right, so that what came in still gets through."""
        until = time.monotonic() + _GRACE_S
        for child in self._children:
            child.stop(until)


def role_command(name: str, config: str | None) -> list[str]:
    """Return the command line that runs one role."""
    given = [] if config is None else ["--config", config]
    return [sys.executable, "-m", "lamppost_app", "run", "--role", name, *given]
