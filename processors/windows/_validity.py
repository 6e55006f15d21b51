# SPDX-License-Identifier: EUPL-1.2
"""How much of a window is covered.

Windows of up to an hour are covered by the time their readings account for. Longer ones are covered
by valid hours, which is what air quality law asks for: six of the eight hours of a running mean,
not three quarters of its readings.
"""

from __future__ import annotations

import numpy as np

from lamppost.batch import FloatArray, Int64Array
from lamppost.times import HOUR_NS

from . import _accounted as accounted
from ._frames import Frames, RowArray


def of_hours(hours: Int64Array, length: Int64Array) -> FloatArray:
    """Return the part of each window's hours that are valid, 0 to 1."""
    return np.minimum(hours * HOUR_NS / length, 1.0)


def valid_hours(windows: Frames, start: Int64Array, rows: RowArray, at_least: float) -> Int64Array:
    """Return how many hours of each window are covered well enough.

    Hours are counted from the start of the window, so that days that begin at half past have hours
    too. What begins in an hour belongs to it.

    Args:
        windows: which rows make up a window.
        start: start of each window, ns, shape (windows,).
        rows: states of spans none longer than an hour; those of a window ascend in time.
        at_least: part of an hour that must be covered.
    """
    number = np.arange(len(windows.begins))
    window = np.repeat(number, windows.sizes)
    hour = (rows["time"] - start[window]) // HOUR_NS
    hours = Frames.of(window * (int(hour.max(initial=0)) + 1) + hour)
    states = np.zeros(len(hours.begins), rows.dtype)
    accounted.merge(rows, hours, states)
    begins = (start[window] + hour * HOUR_NS)[hours.begins]
    cover, _ = accounted.totals(states, begins, begins + HOUR_NS)
    enough = cover >= at_least * HOUR_NS
    counted = np.bincount(window[hours.begins], weights=enough, minlength=len(number))
    return counted.astype(np.int64)
