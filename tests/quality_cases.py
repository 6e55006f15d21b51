# SPDX-License-Identifier: EUPL-1.2
"""Short ways to put readings of several series through one check."""

from __future__ import annotations

import numpy as np

from lamppost.component import Rows
from lamppost.grouping import Groups
from lamppost.times import SECOND_NS
from tests.processor_cases import START_NS


def at_once(*readings: tuple[int, float, float]) -> Rows:
    """Return rows of readings in order of arrival, given as series, value and seconds."""
    series, value, seconds = (np.array(column) for column in zip(*readings, strict=True))
    groups = Groups.by_series(series.astype(np.int32))
    time = START_NS + (seconds * SECOND_NS).astype(np.int64)
    flag = np.ones(len(value), np.uint8)
    return Rows(groups, time[groups.order], value.astype(np.float64)[groups.order], flag)
