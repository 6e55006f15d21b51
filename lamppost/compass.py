# SPDX-License-Identifier: EUPL-1.2
"""Directions in words: the sixteen points of the compass."""

from __future__ import annotations

import math
from typing import Final

POINTS: Final = (
    *("N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE"),
    *("S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW"),
)
_STEP: Final = 360 / len(POINTS)


def compass_point(degrees: float) -> str:
    """Return the point of the compass nearest to a direction, clockwise from north at 0.

    >>> compass_point(0), compass_point(22.5), compass_point(359)
    ('N', 'NNE', 'N')
    """
    return POINTS[math.floor(degrees / _STEP + 0.5) % len(POINTS)]
