# SPDX-License-Identifier: EUPL-1.2
"""Hours that are held elsewhere, found by series and hour."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lamppost.batch import AggregateBatch, FloatArray, Int64Array
from lamppost.index_needs import Hours
from lamppost.times import HOUR_NS

from ._hours import CodeArray


class Lookup(NamedTuple):
    """Windows that were asked for, and which of them each wanted hour is."""

    windows: AggregateBatch
    place: npt.NDArray[np.intp]
    there: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, ask: Hours, codes: CodeArray, hours: Int64Array) -> Lookup:
        """Ask for the hours of each row, shape (n, reach)."""
        series, at = np.unique(codes, return_inverse=True)
        first, end = np.full(len(series), hours.max()), np.full(len(series), hours.min())
        np.minimum.at(first, at, hours.min(axis=1))
        np.maximum.at(end, at, hours.max(axis=1) + 1)
        windows = ask(series, first * HOUR_NS, end * HOUR_NS)
        place, there = located(windows.series, windows.start // HOUR_NS, codes, hours)
        return cls(windows, place, there)

    def column(self, values: FloatArray, fill: float) -> FloatArray:
        """Return a column of the windows for each wanted hour."""
        if not len(values):
            return np.full(self.there.shape, fill)
        return np.where(self.there, values[self.place], fill)


def located(
    series: CodeArray, hour: Int64Array, codes: CodeArray, hours: Int64Array
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return where wanted hours stand in sorted ones, and whether they do.

    Args:
        series: of the sorted hours.
        hour: the sorted hours.
        codes: series of each row of wanted hours.
        hours: wanted, shape (n, reach).
    """
    if not len(series):
        return np.zeros(hours.shape, np.intp), np.zeros(hours.shape, np.bool_)
    low = min(int(hours.min()), int(hour.min()))
    spread = max(int(hours.max()), int(hour.max())) - low + 1
    keys = series.astype(np.int64) * spread + hour - low
    wanted = codes.astype(np.int64)[:, None] * spread + hours - low
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    there: npt.NDArray[np.bool_] = keys[place] == wanted
    return place, there
