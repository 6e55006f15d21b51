# SPDX-License-Identifier: EUPL-1.2
"""What a reading costs that was already there."""

from __future__ import annotations

from functools import partial
from typing import Final

from lamppost import log
from lamppost.log import Entry
from lamppost_app.engine import Engine

from .frames import FRAME_MESSAGES, READINGS_PER_MESSAGE, frame_entries, frames, policy_entry
from .rows import Peer, Row
from .timing import Plan, Spread, cpu_s

GROUP: Final = "duplicates"
_SENSORS: Final = 5_000
_MOST: Final = 2.0


def measure(plan: Plan) -> list[Row]:
    """Measure frames, each given to the engine a second time at once."""
    engine = Engine()
    engine.apply(policy_entry())
    warm, measured = 4, plan.pick(24, 6)
    first: list[float] = []
    again: list[float] = []
    for number, entry in enumerate(frame_entries(frames(warm + measured, _SENSORS, step_s=60))):
        new, duplicate = (cpu_s(partial(engine.apply, entry)) for _ in range(2))
        engine.apply(Entry(0, log.TICK, entry.at, b""))
        if number >= warm:
            first.append(new)
            again.append(duplicate)
    per_reading = 1e6 / (FRAME_MESSAGES * READINGS_PER_MESSAGE)
    new_us, duplicate_us = Spread(first).scaled(per_reading), Spread(again).scaled(per_reading)
    return [
        Row(
            group=GROUP,
            what="a duplicate reading",
            measured=duplicate_us.median,
            low=duplicate_us.low,
            high=duplicate_us.high,
            unit="µs CPU/reading",
            better="less",
            how=f"Frames of {FRAME_MESSAGES:,} messages through the engine with decoding, each"
            f" twice in a row; {_SENSORS * READINGS_PER_MESSAGE:,} series, CPU of one process.",
            peer=Peer("a new reading", new_us.median, duplicate_us.over(new_us), _MOST),
        )
    ]
