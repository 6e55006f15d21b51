# SPDX-License-Identifier: EUPL-1.2
"""Means of directions: 350 and 10 degrees are 0 degrees, not 180."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray

from ._frames import Frames, RowArray, ratio

STATE: Final = np.dtype([("vectors", "i8"), ("sine", "f8"), ("cosine", "f8")])
"""Sums of the unit vectors of directions; calm leaves all of it 0."""

# Yamartino (1984), the correction term of his estimate: 2 / sqrt(3) - 1.
_YAMARTINO: Final = 0.1547


def lift(degrees: FloatArray, calm: npt.NDArray[np.bool_]) -> RowArray:
    """Return the state of each single direction; there is none where it is calm."""
    states = np.zeros(len(degrees), STATE)
    angle = np.radians(degrees)
    states["vectors"] = ~calm
    states["sine"] = np.where(calm, 0.0, np.sin(angle))
    states["cosine"] = np.where(calm, 0.0, np.cos(angle))
    return states


def merge(frames: Frames, states: RowArray) -> RowArray:
    """Return the state of each group of states."""
    return frames.totals(states)


def resultants(states: RowArray) -> FloatArray:
    """Return the length of the mean vector, 0 to 1: 1 when all directions are the same."""
    length = np.hypot(states["sine"], states["cosine"])
    return np.minimum(ratio(length, states["vectors"]), 1.0)


def means(states: RowArray, min_resultant: float) -> FloatArray:
    """Return the direction of the mean vector, 0 up to but not including 360 degrees.

    Where the mean vector is shorter than a limit, directions cancel each other out and have none.
    """
    degrees = np.degrees(np.arctan2(states["sine"], states["cosine"])) % 360.0
    degrees[degrees >= 360.0] = 0.0  # a hair below 0 is rounded up to 360
    resultant = resultants(states)
    return np.where(resultant >= min_resultant, degrees, np.nan)


def deviations(states: RowArray) -> FloatArray:
    """Return Yamartino's estimate of the standard deviation, degrees; NaN below two directions."""
    spread = np.sqrt(1.0 - resultants(states) ** 2)
    sigma = np.degrees(np.arcsin(spread) * (1.0 + _YAMARTINO * spread**3))
    return np.where(states["vectors"] > 1, sigma, np.nan)
