# SPDX-License-Identifier: EUPL-1.2
"""Whose clock is wrong, read from the outbox."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import numpy as np

from lamppost import log
from lamppost.clock_skew import ClockBatch, ClockState, state_of
from lamppost.frames import arrow_batch
from lamppost.times import DAY_NS, SECOND_NS

from .sqlite_log import SqliteLog

# A clock is told again every day: what is older than two belongs to a sensor that is gone.
_CURRENT_NS: Final = 2 * DAY_NS
# As in the default policy.
_PERIODS: Final = 2
_TOGETHER: Final = 10


@dataclass(frozen=True, slots=True)
class Clocks:
    """What is known of the clocks of all sensors.

    Attributes:
        states: the worst clock of each sensor.
        wrong: those further off than the limit, the worst first.
        common_ns: what most sensors are off by; 0 where that is nothing to speak of.
    """

    states: dict[str, ClockState]
    wrong: dict[str, ClockState]
    common_ns: int


def read_clocks(outbox: SqliteLog, limit_s: float) -> Clocks:
    """Return what the engine said last of every clock.

    Args:
        outbox: where it said so.
        limit_s: from how far off a clock is wrong; one that seems to be behind also by two periods
            of the station, because a reading may name the beginning of its interval.
    """
    sensors, periods_s = _names(outbox)
    states: dict[str, ClockState] = {}
    for code, skew, spread, until in _newest(outbox):
        sensor = sensors.get(code)
        if sensor is None:
            continue  # the entry that named it is damaged, and said to be so elsewhere
        if sensor not in states or abs(skew) > abs(states[sensor].skew_ns):
            states[sensor] = state_of(skew, spread, until)
    limit = round(limit_s * SECOND_NS)
    wrong = {
        sensor: state
        for sensor, state in sorted(states.items(), key=lambda item: -abs(item[1].skew_ns))
        if _is_wrong(state, limit, round(periods_s.get(sensor, 0.0) * _PERIODS * SECOND_NS))
    }
    common = int(np.median([state.skew_ns for state in states.values()])) if states else 0
    others = {
        sensor: state for sensor, state in wrong.items() if abs(state.skew_ns - common) > limit
    }
    if len(states) >= _TOGETHER and 2 * (len(wrong) - len(others)) >= len(states):
        return Clocks(states, others, common)
    return Clocks(states, wrong, 0)


def _names(outbox: SqliteLog) -> tuple[dict[int, str], dict[str, float]]:
    """Return the sensor of each series code, and the period of each station."""
    sensors: dict[int, str] = {}
    periods_s: dict[str, float] = {}
    for entry in outbox.read_kinds([log.SERIES, log.STATIONS], outbox.last()):
        if entry.kind == log.SERIES:
            batch = arrow_batch(entry.body)
            columns = (batch[name].to_pylist() for name in ("series", "sensor"))
            sensors.update(zip(*columns, strict=True))
        elif entry.kind == log.STATIONS:
            for station in json.loads(entry.body):
                periods_s[station["sensor"]] = station["period_s"] or 0.0
    return sensors, periods_s


def _newest(outbox: SqliteLog) -> list[tuple[int, int, int, int]]:
    """Return series, skew, spread and instant of the newest estimates that are current."""
    told = [
        ClockBatch.from_arrow(arrow_batch(entry.body))
        for entry in outbox.scan(log.CLOCKS)
        if entry.kind == log.CLOCKS
    ]
    batch = ClockBatch.concat(told)
    _, backwards = np.unique(batch.series[::-1], return_index=True)
    batch = batch.take(len(batch) - 1 - backwards)
    batch = batch.take(batch.until > batch.until.max(initial=0) - _CURRENT_NS)
    columns = (batch.series, batch.skew, batch.spread, batch.until)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _is_wrong(state: ClockState, limit: int, periods: int) -> bool:
    if state.kind in {"right", "delayed"}:
        return False
    return -state.skew_ns > limit or state.skew_ns > max(limit, periods)
