# SPDX-License-Identifier: EUPL-1.2
"""How much of a window is covered, and whether that is enough to cite its numbers.

Short windows are covered by the time their readings account for. Windows longer than an hour are
covered by valid hours, which is what air quality law asks for: six of the eight hours of a running
mean, not three quarters of its readings.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import Settings
from lamppost.times import HOUR_NS

from ._frames import Frames


class Validity(Settings):
    """When the aggregates of a resolution are valid."""

    of: Literal["time", "hours"] = Field(
        default="time",
        description="What is counted: the time the readings account for, or valid hours.",
    )
    at_least: float = Field(
        default=0.75, ge=0, le=1, description="Part of it that a valid window has."
    )


HOURLY: Final = "1h"
"""The resolution whose rule says which hours are valid."""

DEFAULTS: Final = {
    HOURLY: Validity(),
    "8h": Validity(of="hours"),
    "24h": Validity(of="hours"),
    "day": Validity(of="hours"),
    "month": Validity(of="hours"),
    "year": Validity(of="hours", at_least=0.9),
}


def rule_for(resolution: str, given: dict[str, Validity]) -> Validity:
    """Return the rule of a resolution: the given one, the usual one, or three quarters of time."""
    return given.get(resolution) or DEFAULTS.get(resolution) or Validity()


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
    rows = np.diff(windows.begins, append=len(time))
    hour = (time - np.repeat(start, rows)) // HOUR_NS
    window = np.repeat(number, rows)
    hours = Frames.of(window * (int(hour.max(initial=0)) + 1) + hour)
    enough = hours.sums(cover) >= at_least * HOUR_NS
    counted = np.bincount(window[hours.begins], weights=enough, minlength=len(number))
    return counted.astype(np.int64)


def coverages(
    rule: Validity, length: Int64Array, cover: Int64Array, hours: Int64Array
) -> FloatArray:
    """Return the covered part of windows, 0 to 1.

    Args:
        rule: what is counted.
        length: length of each window, ns.
        cover: time its readings account for, ns.
        hours: its valid hours.
    """
    counted = hours * HOUR_NS if rule.of == "hours" else cover
    return np.minimum(counted / length, 1.0)
