# SPDX-License-Identifier: EUPL-1.2
"""Time-weighted means: each reading counts for as long as it held.

A reading holds until the next one, but for no longer than its own limit, so that an outage lowers
coverage instead of stretching a value. Between two readings no further apart than that, a straight
line may be taken in place of the former. A window knows only its own readings: the time before its
first one counts for nothing, and its last one holds.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from lamppost.batch import FloatArray, Int64Array
from lamppost.times import SECOND_NS

from ._frames import Frames, RowArray

STATE: Final = np.dtype(
    [
        ("first_at", "i8"),
        ("last_at", "i8"),
        ("first", "f8"),
        ("last", "f8"),
        ("hold", "i8"),
        ("held", "i8"),
        ("area", "f8"),
    ]
)
"""Readings in order of time: ``area`` is the sum of value times seconds up to the last reading,
``held`` the nanoseconds of it, and ``hold`` the longest the last reading may hold, ns."""


def lift(time: Int64Array, value: FloatArray, hold: Int64Array) -> RowArray:
    """Return the state of each single reading."""
    states = np.zeros(len(time), STATE)
    states["first_at"] = states["last_at"] = time
    states["first"] = states["last"] = value
    states["hold"] = hold
    return states


def merge(frames: Frames, states: RowArray, *, linear: bool = False) -> RowArray:
    """Return the state of each group of states that follow one another in time.

    Args:
        frames: the groups.
        states: to be merged.
        linear: whether a straight line is taken between readings, as far as they may hold.
    """
    merged = states[frames.ends]
    for name in ("first_at", "first"):
        merged[name] = states[name][frames.begins]
    following = states["first_at"][1:]
    between = _held(states[:-1], following)
    merged["held"] = frames.sums(states["held"]) + frames.between(between)
    level = states["last"][:-1]
    if linear:
        joined = between == following - states["last_at"][:-1]
        level = np.where(joined, (level + states["first"][1:]) / 2, level)
    spans = level * (between / SECOND_NS)
    merged["area"] = frames.sums(states["area"]) + frames.between(spans)
    return merged


def means(states: RowArray, end: Int64Array) -> FloatArray:
    """Return the mean of each state, its last reading held on to the end of the window."""
    tail = _held(states, end)
    seconds = (states["held"] + tail) / SECOND_NS
    area = states["area"] + states["last"] * (tail / SECOND_NS)
    found = states["last"].copy()  # an instant at the very end of a window holds for no time
    np.divide(area, seconds, out=found, where=seconds > 0)
    return found


def _held(states: RowArray, until: Int64Array) -> Int64Array:
    held: Int64Array = np.minimum(until - states["last_at"], states["hold"])
    return held
