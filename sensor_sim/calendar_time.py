# SPDX-License-Identifier: EUPL-1.2
"""The clock on the city hall of Lampenfeld: UTC plus one hour, without summer time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .noise import Floats, Instants

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
CITY_OFFSET_NS = HOUR_NS

_FRIDAY = 4
_DAYS_FROM_MONDAY_TO_EPOCH = 3


def hour_of_day(time_ns: Instants) -> Floats:
    """Return the hour on the city's clock, with its fraction."""
    hours: Floats = np.mod(time_ns + CITY_OFFSET_NS, DAY_NS) / HOUR_NS
    return hours


def is_weekend(time_ns: Instants) -> NDArray[np.bool_]:
    """Tell which instants fall on a Saturday or Sunday of the city."""
    days = np.floor_divide(time_ns + CITY_OFFSET_NS, DAY_NS)
    weekend: NDArray[np.bool_] = np.mod(days + _DAYS_FROM_MONDAY_TO_EPOCH, 7) > _FRIDAY
    return weekend


def season(time_ns: Instants) -> Floats:
    """Return the angle of the year in radians, zero in the middle of July."""
    angle: Floats = 2.0 * np.pi * (time_ns / DAY_NS - 195.0) / 365.2425
    return angle
