# SPDX-License-Identifier: EUPL-1.2
"""Mean speeds of traffic: over space, and weighted with the vehicles that were counted.

A speed of 0, and one at whose instant no vehicle was counted, says nothing about vehicles that
passed and enters neither.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from lamppost.batch import FloatArray

from ._frames import Frames, RowArray, ratio

STATE: Final = np.dtype(
    [("passed", "i8"), ("slowness", "f8"), ("volume", "f8"), ("distance", "f8")]
)
"""Sums: of speeds, of their reciprocals, of volumes, of speeds times volumes."""


def lift(speed: FloatArray, volume: FloatArray) -> RowArray:
    """Return the state of each single speed; its volume is NaN where none is known."""
    states = np.zeros(len(speed), STATE)
    passed = (speed > 0) & ~(volume <= 0)
    counted = passed & np.isfinite(volume)
    states["passed"] = passed
    np.divide(1.0, speed, out=states["slowness"], where=passed)
    states["volume"] = np.where(counted, volume, 0.0)
    states["distance"] = np.where(counted, volume * speed, 0.0)
    return states


def merge(frames: Frames, states: RowArray) -> RowArray:
    """Return the state of each group of states."""
    return frames.totals(states)


def harmonic(states: RowArray) -> FloatArray:
    """Return the space-mean speed: as many speeds over the sum of their reciprocals."""
    return ratio(states["passed"], states["slowness"])


def volume_weighted(states: RowArray) -> FloatArray:
    """Return the mean in which each speed counts as often as vehicles had it."""
    return ratio(states["distance"], states["volume"])
