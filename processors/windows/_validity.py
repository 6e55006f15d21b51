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

from ._frames import Frames


def of_time(cover: Int64Array, length: Int64Array) -> FloatArray:
    """Return the part of each window its readings account for, 0 to 1."""
    return np.minimum(cover / length, 1.0)


def of_hours(hours: Int64Array, length: Int64Array) -> FloatArray:
    """Return the part of each window's hours that are valid, 0 to 1."""
    return np.minimum(hours * HOUR_NS / length, 1.0)


def valid_hours(
    windows: Frames, start: Int64Array, time: Int64Array, cover: Int64Array, at_least: float
) -> Int64Array:
    """Return how many hours of each window are covered well enough.

    Hours are counted from the start of the window, so that days that begin at half past have hours
    too. What begins in an hour belongs to it.

    Args:
        windows: which rows make up a window; rows of a window ascend in time.
        start: start of each window, ns, shape (windows,).
        time: start of the span each row is about, none longer than an hour, ns.
        cover: time that is accounted for in it, ns.
        at_least: part of an hour that must be covered.
    """
    number = np.arange(len(windows.begins))
    window = np.repeat(number, np.diff(windows.begins, append=len(time)))
    hour = (time - start[window]) // HOUR_NS
    hours = Frames.of(window * (int(hour.max(initial=0)) + 1) + hour)
    enough = hours.sums(cover) >= at_least * HOUR_NS
    counted = np.bincount(window[hours.begins], weights=enough, minlength=len(number))
    return counted.astype(np.int64)
