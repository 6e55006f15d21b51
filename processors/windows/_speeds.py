# SPDX-License-Identifier: EUPL-1.2
"""Mean speeds of traffic: over space, and weighted with the vehicles that were counted.

A speed of 0, and one at whose instant no vehicle was counted, says nothing about vehicles that
passed and enters neither. A detector reports the mean speed of an interval, so in both a speed
counts as often as vehicles had it; over space one whose vehicles nobody counted stands for one.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from lamppost.batch import FloatArray

from ._frames import Frames, RowArray, ratio

STATE: Final = np.dtype(
    [("passed", "f8"), ("slowness", "f8"), ("volume", "f8"), ("distance", "f8")]
)
"""Sums: of vehicles, of vehicles over their speed, of volumes, of speeds times volumes."""


def lift(speed: FloatArray, volume: FloatArray) -> RowArray:
    """Return the state of each single speed; its volume is NaN where none is known."""
    states = np.zeros(len(speed), STATE)
    passed = (speed > 0) & ~(volume <= 0)
    counted = passed & np.isfinite(volume)
    states["passed"] = np.where(counted, volume, passed)
    np.divide(states["passed"], speed, out=states["slowness"], where=passed)
    states["volume"] = np.where(counted, volume, 0.0)
    states["distance"] = np.where(counted, volume * speed, 0.0)
    return states


def merge(frames: Frames, states: RowArray) -> RowArray:
    """Return the state of each group of states."""
    return frames.totals(states)


def harmonic(states: RowArray) -> FloatArray:
    """Return the space-mean speed: as many vehicles over the sum of what each takes for a way."""
    return ratio(states["passed"], states["slowness"])


def volume_weighted(states: RowArray) -> FloatArray:
    """Return the mean in which each speed counts as often as vehicles had it."""
    return ratio(states["distance"], states["volume"])
