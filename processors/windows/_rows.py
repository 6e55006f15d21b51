# SPDX-License-Identifier: EUPL-1.2
"""Rows sorted by series and instant: sorting, searching, joining."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lamppost.grouping import series_order

RowArray = npt.NDArray[Any]
IntArray = npt.NDArray[np.int64]


def ordered(rows: RowArray, *, inherit: Sequence[str] = ()) -> RowArray:
    """Sort rows by series and time, keeping only the newest version of each instant.

    Args:
        rows: those given later are newer.
        inherit: columns of which the largest of all versions stays.
    """
    rows = rows[series_order(rows["series"])]
    series, time = rows["series"], rows["time"]
    step = time[1:] - time[:-1]
    step[series[1:] != series[:-1]] = 1
    if len(step) and step.min() < 0:
        rows = rows[np.lexsort((time, series))]
        series, time = rows["series"], rows["time"]
        step = np.where(series[1:] != series[:-1], 1, time[1:] - time[:-1])
    if not len(step) or step.min() > 0:
        return rows
    same = step == 0
    newest: RowArray = rows[np.append(~same, True)]
    starts = np.flatnonzero(np.append(True, ~same)) if inherit else same
    for name in inherit:
        newest[name] = np.maximum.reduceat(rows[name], starts)
    return newest


def lower_bound(rows: RowArray, series: npt.NDArray[Any], time: IntArray) -> IntArray:
    """Return the first position in sorted rows at or after each pair of series and instant."""
    low = np.zeros(len(series), np.int64)
    if not len(rows):
        return low
    high = np.full(len(series), len(rows))
    codes, instants = rows["series"], rows["time"]
    for _ in range(len(rows).bit_length()):
        middle = (low + high) >> 1
        at = np.minimum(middle, len(rows) - 1)
        code = codes[at]
        before = (code < series) | ((code == series) & (instants[at] < time))
        before &= low < high
        low = np.where(before, middle + 1, low)
        high = np.where(before, high, middle)
    return low


def locate(
    rows: RowArray, series: npt.NDArray[Any], time: IntArray
) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Return which pairs of series and instant are in sorted rows, and where (0 if not)."""
    at = lower_bound(rows, series, time)
    inside = np.flatnonzero(at < len(rows))
    hit = at[inside]
    found = np.zeros(len(series), np.bool_)
    found[inside] = (rows["series"][hit] == series[inside]) & (rows["time"][hit] == time[inside])
    return found, np.where(found, at, 0)


def spread_ranges(starts: IntArray, ends: IntArray) -> IntArray:
    """Return every position of half-open ranges, range after range."""
    lengths = ends - starts
    offsets = np.repeat(ends - np.cumsum(lengths), lengths)
    return offsets + np.arange(int(lengths.sum()))


def blocks(rows: RowArray, size: int) -> list[RowArray]:
    """Return rows in pieces, so that what is worked out of each does not fill the memory."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def joined(parts: list[RowArray], dtype: np.dtype[Any]) -> RowArray:
    """Return rows in order, an empty array of none."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.empty(0, dtype), *parts])
