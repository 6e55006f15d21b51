# SPDX-License-Identifier: EUPL-1.2
"""Rates of counters that only ever rise, start again from 0, or wrap around."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lamppost.batch import FloatArray, Int64Array
from lamppost.times import HOUR_NS

from ._frames import Frames, RowArray, ratio

STATE: Final = np.dtype(
    [
        ("first_at", "i8"),
        ("last_at", "i8"),
        ("first", "f8"),
        ("last", "f8"),
        ("increase", "f8"),
    ]
)
"""Readings in order of time, and by how much the counter rose from the first to the last."""

_NEAR: Final = 0.25


def lift(time: Int64Array, value: FloatArray) -> RowArray:
    """Return the state of each single reading."""
    states = np.zeros(len(time), STATE)
    states["first_at"] = states["last_at"] = time
    states["first"] = states["last"] = value
    return states


def merge(frames: Frames, states: RowArray, wraps_at: Sequence[float]) -> RowArray:
    """Return the state of each group of states that follow one another in time."""
    merged = states[frames.ends]
    for name in ("first_at", "first"):
        merged[name] = states[name][frames.begins]
    steps = rises(states["last"][:-1], states["first"][1:], wraps_at)
    merged["increase"] = frames.sums(states["increase"]) + frames.between(steps)
    return merged


def rises(before: FloatArray, after: FloatArray, wraps_at: Sequence[float]) -> FloatArray:
    """Return by how much a counter rose between two readings.

    One that fell has wrapped where it stood in the last quarter below a number it wraps at, and
    stands in the first quarter now; otherwise it was set to 0 in between and has risen since.
    """
    risen = np.where(after >= before, after - before, np.maximum(after, 0.0))
    fell = after < before
    for size in sorted(wraps_at, reverse=True):
        wrapped = fell & (before < size) & (before >= (1 - _NEAR) * size) & (after <= _NEAR * size)
        risen = np.where(wrapped, after + size - before, risen)
    return risen


def rates(states: RowArray) -> FloatArray:
    """Return the increase per hour between the first and the last reading; NaN for one reading."""
    elapsed = states["last_at"] - states["first_at"]
    return ratio(states["increase"], elapsed / HOUR_NS)
