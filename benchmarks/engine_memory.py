# SPDX-License-Identifier: EUPL-1.2
"""How much memory the engine takes after a day of a city, the rest of its windows in files."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np

from lamppost.batch import ReadingBatch
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS, SECOND_NS
from lamppost_app.pipeline import Pipeline
from lamppost_app.roles import calm_process
from lamppost_app.run_files import RunFiles

from .frames import default_policy
from .rows import Better, Row
from .timing import Plan

GROUP: Final = "engine memory"
_SERIES: Final = 10_000
_STEP_S: Final = 60
_TICK_S: Final = 10
_SNAPSHOT_S: Final = 300
_BUDGET_MB: Final = 400.0
_START: Final = 1_795_000_000 * SECOND_NS
_LATE_EVERY: Final = 100
_HOW: Final = (
    f"{_SERIES:,} series, one reading a minute each (1 in {_LATE_EVERY} comes an hour late),"
    " through arrival, checks, detection, windows and indices in a process of its own, a tick every"
    " ten seconds and a snapshot of the pipeline every five minutes; largest resident set, pages of"
    " mapped files included."
)


def measure(plan: Plan) -> list[Row]:
    """Simulate a day, or an hour of it when in a hurry."""
    hours = plan.pick(24, 1)
    arguments = [sys.executable, "-m", "benchmarks.engine_memory", str(hours)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    taken_mb, files_mb, rate = (float(word) for word in done.stdout.split())
    words = "day" if hours == 24 else f"{hours} h"
    return [
        _row(f"engine, memory after a simulated {words}", taken_mb, "MB", _BUDGET_MB),
        _row(f"windows, files after a simulated {words}", files_mb, "MB", None),
        _row("engine, a tick every 10 s and a snapshot every 5 min", rate, "readings/s", None),
    ]


def _row(what: str, value: float, unit: str, budget: float | None) -> Row:
    better: Better = "more" if unit == "readings/s" else "less"
    return Row(
        GROUP, f"{_SERIES:,} series: {what}", value, value, value, unit, better, _HOW, budget
    )


def _simulate(hours: int, folder: Path) -> None:
    """Run the city and print memory (MB), files (MB) and readings for each second of CPU."""
    calm_process()
    series = SeriesTable(
        SeriesKey(f"sensor-{number // 2:05d}", ("pm2_5", "no2")[number % 2])
        for number in range(_SERIES)
    )
    pipeline = Pipeline(default_policy(), series, {}, RunFiles(folder))
    chance = np.random.default_rng(7)
    # Whoever reports in a part of the minute always does.
    turns = np.array_split(chance.permutation(_SERIES).astype(np.int32), _STEP_S // _TICK_S)
    began, readings = time.process_time(), 0
    for second in range(0, hours * 3600, _TICK_S):
        now = _START + second * SECOND_NS
        batch = _batch(turns[second // _TICK_S % len(turns)], now, chance)
        pipeline.judge(batch, now)
        pipeline.advance(now)
        readings += len(batch)
        if second % _SNAPSHOT_S == 0:
            pipeline.snapshot()
            RunFiles(folder).keep_only(pipeline.shelved())
    rate = readings / (time.process_time() - began)
    files = sum(path.stat().st_size for path in folder.glob("*.npy"))
    print(_largest_resident_mb(), files / 1e6, rate)


def _batch(
    codes: np.ndarray[tuple[int], np.dtype[np.int32]], now: int, chance: np.random.Generator
) -> ReadingBatch:
    time_ns = np.full(len(codes), now)
    time_ns[chance.integers(0, _LATE_EVERY, len(codes)) == 0] -= HOUR_NS + SECOND_NS
    return ReadingBatch(
        series=codes,
        time=time_ns,
        received=np.full(len(codes), now),
        value=np.round(chance.normal(30, 5, len(codes)), 1),
        flag=np.full(len(codes), 2, np.uint8),
        reasons=np.zeros(len(codes), np.uint32),
    )


def _largest_resident_mb() -> float:
    status = Path(f"/proc/{os.getpid()}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1000


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hours", type=int)
    with tempfile.TemporaryDirectory() as made:
        _simulate(parser.parse_args().hours, Path(made))
