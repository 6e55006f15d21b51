# SPDX-License-Identifier: EUPL-1.2
"""Starts publishers and subscribers as processes, and times them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamppost import log
from lamppost.frames import arrow_batch
from lamppost_app.sqlite_log import SqliteLog

from .services import find_program

TOPIC: Final = "v1/+/readings"
_PATIENCE_S: Final = 180.0
_SETTLE_S: Final = 0.5
_POLL_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Taken:
    """What one subscriber needed: wall-clock and CPU seconds."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Subscription:
    """What is to be taken from which session of the broker.

    Attributes:
        folder: an empty one, for what the subscriber stores.
    """

    port: int
    client_id: str
    count: int
    folder: Path


def publish(port: int, count: int, qos: int) -> None:
    """Publish ready-made messages from a process of its own, and wait for its end."""
    with publisher(port, count, qos) as process:
        _go(process)


@contextmanager
def publisher(port: int, count: int, qos: int) -> Iterator[subprocess.Popen[str]]:
    """Start a publisher that waits for the word with its messages encoded; wait for its end."""
    with _program("benchmarks.publisher", port, count, qos) as process:
        yield process
        if process.wait(_PATIENCE_S):
            raise RuntimeError("the publisher failed")


def drain(kind: str, given: Subscription) -> Taken:
    """Let a subscriber take what the broker holds for it."""
    return _run(kind, given, None)


def follow(kind: str, given: Subscription, qos: int) -> Taken:
    """Let a subscriber take what is published while it is connected."""
    with publisher(given.port, given.count, qos) as process:
        return _run(kind, given, process)


def _run(kind: str, given: Subscription, source: subprocess.Popen[str] | None) -> Taken:
    return (_mosquitto_sub if kind == "mosquitto_sub" else _own)(kind, given, source)


def _mosquitto_sub(_kind: str, given: Subscription, source: subprocess.Popen[str] | None) -> Taken:
    command = [
        find_program("mosquitto_sub"), "-p", str(given.port), "-i", given.client_id, "-c", "-q",
        "1", "-t", TOPIC, "-C", str(given.count), "-W", str(round(_PATIENCE_S)),
    ]  # fmt: skip
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        if source is not None:
            time.sleep(_SETTLE_S)
            began = _go(source)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"mosquitto_sub did not get {given.count} messages")
    return Taken(time.perf_counter() - began, usage.ru_utime + usage.ru_stime)


def _own(kind: str, given: Subscription, source: subprocess.Popen[str] | None) -> Taken:
    arguments = (kind, given.port, given.client_id, given.count, given.folder)
    with _program("benchmarks.subscribers", *arguments) as process:
        began = _go(process)
        if source is not None:
            time.sleep(_SETTLE_S)
            began = _go(source)
        if kind == "lamppost":
            _until_stored(given)
            took = time.perf_counter() - began
            _go(process)
            used = float(_line(process))
        else:
            used = float(_line(process))
            took = time.perf_counter() - began
    return Taken(took, used)


def _until_stored(given: Subscription) -> None:
    """Wait until the inbox holds every message."""
    inbox = SqliteLog(given.folder / "inbox.db")
    seen = stored = 0
    until = time.monotonic() + _PATIENCE_S
    while stored < given.count:
        for entry in inbox.read(seen, 64):
            seen = entry.seq
            if entry.kind == log.FRAME:
                stored += arrow_batch(entry.body).num_rows
        if time.monotonic() > until:
            raise RuntimeError(f"the intake stored {stored} of {given.count} messages")
        time.sleep(_POLL_S)
    inbox.close()


@contextmanager
def _program(module: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parent.parent,
    ) as process:
        try:
            _expect_ready(process, module)
            yield process
        except BaseException:
            process.kill()
            raise


def _expect_ready(process: subprocess.Popen[str], module: str) -> None:
    if _line(process) != "ready":
        raise RuntimeError(f"{module} did not start")


def _go(process: subprocess.Popen[str]) -> float:
    """Give a waiting process the word; return when."""
    now = time.perf_counter()
    if process.stdin is not None:
        process.stdin.write("\n")
        process.stdin.flush()
    return now


def _line(process: subprocess.Popen[str]) -> str:
    return process.stdout.readline().strip() if process.stdout is not None else ""
