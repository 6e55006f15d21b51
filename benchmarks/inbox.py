# SPDX-License-Identifier: EUPL-1.2
"""What it costs to make a frame durable, and how long a device waits for it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np

from lamppost import log
from lamppost.log import Record
from lamppost_app.sqlite_log import SqliteLog

from .frames import FRAME_MESSAGES, frames
from .rows import Row
from .timing import Plan, Spread

GROUP: Final = "inbox"
_PLANNED_US: Final = 0.85
_HOW: Final = (
    f"Frames of {FRAME_MESSAGES:,} messages to Arrow and into SQLite with synchronous=FULL, one"
    " transaction each, in the system's folder for temporary files"
)


def measure(plan: Plan) -> list[Row]:
    """Measure CPU and latency of commits."""
    cpu, wall = _commits(plan.pick(200, 40))
    per_message, latency = cpu.scaled(1e6 / FRAME_MESSAGES), wall.scaled(1e3)
    used = Row(
        group=GROUP,
        what="inbox commit, CPU",
        measured=per_message.median,
        low=per_message.low,
        high=per_message.high,
        unit="µs CPU/message",
        better="less",
        how=f"{_HOW}; CPU of one process. {_PLANNED_US} was planned with.",
    )
    return [used, *(_latency(latency, percent) for percent in (50, 99))]


def _latency(latency: Spread, percent: int) -> Row:
    return Row(
        group=GROUP,
        what=f"inbox commit, latency p{percent}",
        measured=float(np.percentile(latency.rounds, percent)),
        low=latency.low,
        high=latency.high,
        unit="ms",
        better="less",
        how=f"{_HOW}; wall clock, with whatever else the machine and its disk were doing.",
    )


def _commits(count: int) -> tuple[Spread, Spread]:
    cpu, wall = [], []
    (frame,) = frames(1, FRAME_MESSAGES, step_s=60)
    with tempfile.TemporaryDirectory() as folder:
        inbox = SqliteLog(Path(folder) / "inbox.db")
        for number in range(count):
            began, began_cpu = time.perf_counter(), time.process_time()
            inbox.append([Record(log.FRAME, number, frame.to_bytes())])
            cpu.append(time.process_time() - began_cpu)
            wall.append(time.perf_counter() - began)
        inbox.close()
    return Spread(cpu), Spread(wall)
