# SPDX-License-Identifier: EUPL-1.2
"""The sketches of windows, kept row by row so that longer windows can be merged from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray
from lamppost.shelf import Shelf

from . import _sketch as sketch
from ._frames import Frames
from ._places import Places
from ._rows import IntArray, RowArray, joined, ordered, picked
from ._table import Table

_KEPT: Final = np.dtype([("time", "i8"), ("series", "i4"), ("count", "i4")])
"""A bin of a window: ``time`` is the start of the window plus the code in nanoseconds, which no
window is short enough to be mistaken for; a count of 0 says that a revision emptied the bin."""

_HALF: Final = 32_768
_WHOLE_NS: Final = 1_000_000


class Sketches:
    """The sketches of all windows of one resolution."""

    def __init__(self, shelf: Shelf) -> None:
        """Start empty."""
        self.table = Table(_KEPT, shelf)

    def between(self, series: npt.NDArray[Any], start: IntArray, end: IntArray) -> RowArray:
        """Return the sketches of windows that begin in half-open spans, as sketch rows."""
        kept = self.table.between(series, start, end)
        kept = picked(kept, kept["count"] > 0)
        rows = np.empty(len(kept), sketch.ROW)
        rows["series"], rows["count"] = kept["series"], kept["count"]
        # Windows begin on whole milliseconds, so what is beyond one is the code.
        code = kept["time"] % _WHOLE_NS
        rows["time"], rows["code"] = kept["time"] - code, code - _HALF
        return rows

    def insert(self, rows: RowArray, revised: RowArray) -> None:
        """Take in the sketches of windows.

        Args:
            rows: sorted sketch rows.
            revised: windows among them that had a sketch before.
        """
        kept = _kept(rows)
        if len(revised):
            former = self.table.between(
                revised["series"], revised["time"], revised["time"] + _WHOLE_NS
            )
            former["count"] = 0
            kept = ordered(joined([former, kept], _KEPT))
        self.table.insert(kept)


def quantile_columns(
    states: RowArray, rows: RowArray, low: FloatArray, high: FloatArray, rule: sketch.QuantileRule
) -> dict[str, FloatArray]:
    """Return the quantiles of windows, NaN for those without a sketch of all their readings.

    Where quantiles were asked for later than the windows, what made a long one may have none.

    Args:
        states: windows, sorted by series and time.
        rows: their sketches.
        low: lowest reading of each window.
        high: highest reading of each window.
        rule: which readings a quantile is made of.
    """
    found = np.full((len(sketch.PERCENTS), len(states)), np.nan)
    if len(rows):
        at = positions(states, rows)
        frames = Frames.of(at)
        which = frames.numbers
        found[:, which] = sketch.quantiles(
            frames, rows["code"], rows["count"], low[which], high[which], rule
        )
        found[:, which[frames.sums(rows["count"]) != states["count"][which]]] = np.nan
    return {f"q{percent:02d}": found[place] for place, percent in enumerate(sketch.PERCENTS)}


def positions(windows: RowArray, rows: RowArray) -> IntArray:
    """Return which of some windows each row belongs to, by its start; both sorted."""
    new = np.ones(len(rows), np.bool_)
    new[1:] = (rows["series"][1:] != rows["series"][:-1]) | (rows["time"][1:] != rows["time"][:-1])
    keys = picked(rows, new)
    _, at = Places.of(windows).locate(windows, keys["series"], keys["time"])
    found: IntArray = at[np.cumsum(new) - 1]
    return found


def of_readings(
    readings: RowArray, start_of: Callable[[IntArray], IntArray], enters: npt.NDArray[np.bool_]
) -> RowArray:
    """Return the sketches of the windows that sorted readings lie in."""
    kept = readings if enters.all() else readings[enters]
    return sketch.of_readings(kept["series"], start_of(kept["time"]), kept["value"])


def _kept(rows: RowArray) -> RowArray:
    kept = np.empty(len(rows), _KEPT)
    kept["series"], kept["count"] = rows["series"], rows["count"]
    kept["time"] = rows["time"] + (rows["code"].astype(np.int64) + _HALF)
    return kept
