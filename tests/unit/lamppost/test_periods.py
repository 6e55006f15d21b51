# SPDX-License-Identifier: EUPL-1.2
"""Periods and their names."""

from __future__ import annotations

import numpy as np
import pytest

from lamppost.batch import DAY, FIXED, MONTH, YEAR
from lamppost.periods import resolution_name, resolutions
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS


@pytest.mark.parametrize(
    ("length", "calendar", "name"),
    [
        (30 * SECOND_NS, FIXED, "30s"),
        (MINUTE_NS, FIXED, "1min"),
        (15 * MINUTE_NS, FIXED, "15min"),
        (HOUR_NS, FIXED, "1h"),
        (8 * HOUR_NS, FIXED, "8h"),
        (24 * HOUR_NS, FIXED, "24h"),
        (24 * HOUR_NS, DAY, "day"),
        (23 * HOUR_NS, DAY, "day"),
        (28 * DAY_NS, MONTH, "month"),
        (366 * DAY_NS, YEAR, "year"),
    ],
)
def test_every_resolution_has_one_name(length: int, calendar: int, name: str) -> None:
    """By length and calendar, and by the number that stands for both."""
    (number,) = resolutions(np.array([length]), np.array([calendar], np.uint8)).tolist()

    assert resolution_name(length, calendar) == name
    assert resolution_name(number) == name
