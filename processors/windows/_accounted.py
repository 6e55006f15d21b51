# SPDX-License-Identifier: EUPL-1.2
"""How much of the time the readings of a window account for.

A reading accounts for the time that is nearer to it than to any other of its series, but for no
more than the usual gap to either side: a gap in the data lowers coverage instead of stretching a
value. What lies before the first reading of a window and after its last one is theirs, as far as
the window reaches. So a window's coverage follows from its own readings, in whatever order they
came.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, Int64Array
from lamppost.times import MILLISECOND_NS

from ._frames import Frames, RowArray

FIELDS: Final = (
    ("cover", "i8"),
    ("due", "f8"),
    ("from_at", "i8"),
    ("until_at", "i8"),
    ("from_pace", "u4"),
    ("until_pace", "u4"),
    ("from_enters", "?"),
    ("until_enters", "?"),
)
"""What a state keeps. Between its first and its last reading, whether they enter or not: ``cover``
is the time accounted for by those that enter, ns, and ``due`` how many readings are usual in it.
``from_`` and ``until_`` tell of the first and the last one: instant, usual gap (ms), and whether it
enters."""

_ENDS: Final = ("from", "until")
_DECIMALS: Final = 9


def lift(readings: RowArray, enters: npt.NDArray[np.bool_], frames: Frames, into: RowArray) -> None:
    """Put into states what they keep of readings.

    Args:
        readings: RAW rows sorted by series and time.
        enters: whether each enters the statistics.
        frames: which state each belongs to.
        into: the states.
    """
    for end, of_group in zip(_ENDS, (frames.firsts, frames.lasts), strict=True):
        into[f"{end}_at"] = of_group(readings["time"])
        into[f"{end}_pace"] = of_group(readings["pace"])
        into[f"{end}_enters"] = of_group(enters)
    if len(into) < len(readings):
        time, pace = readings["time"], readings["pace"]
        cover, due = _between(time, pace, enters, time, pace, enters)
        into["cover"], into["due"] = frames.between(cover), frames.between(due)


def merge(parts: RowArray, frames: Frames, into: RowArray) -> None:
    """Put into states what they keep of the states they are made of."""
    for end, of_group in zip(_ENDS, (frames.firsts, frames.lasts), strict=True):
        for name in ("at", "pace", "enters"):
            into[f"{end}_{name}"] = of_group(parts[f"{end}_{name}"])
    cover, due = _between(*(parts[f"{end}_{name}"] for end in ("until", "from")
                            for name in ("at", "pace", "enters")))  # fmt: skip
    into["cover"] = frames.sums(parts["cover"]) + frames.between(cover)
    into["due"] = frames.sums(parts["due"]) + frames.between(due)


def totals(states: RowArray, start: Int64Array, end: Int64Array) -> tuple[Int64Array, FloatArray]:
    """Return the time accounted for in whole windows, ns, and how many readings are usual in it.

    Args:
        states: of the windows.
        start: of each, ns.
        end: of each, ns.
    """
    pace = _nanoseconds(states["from_pace"]), _nanoseconds(states["until_pace"])
    head = np.minimum(states["from_at"] - start, pace[0]) * states["from_enters"]
    tail = np.minimum(end - states["until_at"], pace[1]) * states["until_enters"]
    due = states["due"] + _per(head, pace[0]) + _per(tail, pace[1])
    return states["cover"] + head + tail, due


def expected(
    states: RowArray, cover: Int64Array, due: FloatArray, length: Int64Array
) -> FloatArray:
    """Return how many readings are usual in whole windows, by the pace of those that enter.

    Where none does, the pace is the one before the last reading.

    Args:
        states: of the windows.
        cover: what :func:`totals` returns of them.
        due: the same.
        length: of each, ns.
    """
    found = _per(length, _nanoseconds(states["until_pace"]))
    np.divide(length * due, cover, out=found, where=(cover > 0) & (due > 0))
    # A fifth of a reading is 0.2 wherever in the window it was.
    return np.round(found, _DECIMALS)


def _between(
    left_at: Int64Array, left_pace: RowArray, left_enters: RowArray,
    right_at: Int64Array, right_pace: RowArray, right_enters: RowArray,
) -> tuple[Int64Array, FloatArray]:  # fmt: skip
    """Return what is accounted for between each row and the next, and what is usual in it."""
    gap = right_at[1:] - left_at[:-1]
    half = gap >> 1
    before, after = _nanoseconds(left_pace[:-1]), _nanoseconds(right_pace[1:])
    left = np.minimum(half, before) * left_enters[:-1]
    right = np.minimum(gap - half, after) * right_enters[1:]
    return left + right, _per(left, before) + _per(right, after)


def _per(time: npt.NDArray[Any], pace: Int64Array) -> FloatArray:
    found = np.zeros(len(time))
    np.divide(time, pace, out=found, where=pace > 0)
    return found


def _nanoseconds(pace: npt.NDArray[Any]) -> Int64Array:
    found: Int64Array = pace.astype(np.int64) * MILLISECOND_NS
    return found
