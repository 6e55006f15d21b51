# SPDX-License-Identifier: EUPL-1.2
"""Periods that aggregates are made for, and their names."""

from __future__ import annotations

from typing import Final

import numpy as np

from .batch import DAY, FIXED, MONTH, YEAR, FlagArray, Int64Array
from .times import format_length

CALENDAR_NAMES: Final = {DAY: "day", MONTH: "month", YEAR: "year"}


def resolutions(length: Int64Array, calendar: FlagArray) -> Int64Array:
    """Return one number for the resolution of each window: its length, or minus its calendar.

    Months and years of different lengths have the same resolution.
    """
    return np.where(calendar == FIXED, length, -calendar.astype(np.int64))


def resolution_name(length_ns: int, calendar: int = FIXED) -> str:
    """Return the name of a window's resolution: 1min, 8h, 24h, day, month, year.

    What :func:`resolutions` returns is named as well.

    >>> resolution_name(82_800_000_000_000, DAY), resolution_name(-DAY)
    ('day', 'day')
    """
    return CALENDAR_NAMES.get(calendar or -length_ns) or format_length(length_ns)
