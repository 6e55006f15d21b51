# SPDX-License-Identifier: EUPL-1.2
"""Mean speeds of traffic: over space, and weighted with the vehicles that were counted.

A speed of 0, and one at whose instant no vehicle was counted, says nothing about vehicles that
passed and enters neither.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray

from ._frames import Frames, RowArray

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
    merged = np.empty(len(frames.begins), STATE)
    for name in STATE.names or ():
        merged[name] = frames.sums(states[name])
    return merged


def harmonic(states: RowArray) -> FloatArray:
    """Return the space-mean speed: as many speeds over the sum of their reciprocals."""
    return _ratio(states["passed"], states["slowness"])


def volume_weighted(states: RowArray) -> FloatArray:
    """Return the mean in which each speed counts as often as vehicles had it."""
    return _ratio(states["distance"], states["volume"])


def _ratio(above: npt.NDArray[Any], below: npt.NDArray[Any]) -> FloatArray:
    found = np.full(len(above), np.nan)
    np.divide(above, below, out=found, where=below > 0)
    return found
