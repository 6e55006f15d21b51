# SPDX-License-Identifier: EUPL-1.2
"""Rows sorted by series and instant: sorting, searching, joining."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lamppost.grouping import series_order

RowArray = npt.NDArray[Any]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def whole(rows: RowArray) -> RowArray:
    """Return rows seen as bytes without fields, to be copied.

    numpy copies a row with fields field by field, one without at once: ten times as fast.
    """
    return rows.view(np.dtype((np.void, rows.dtype.itemsize)))


def picked(rows: RowArray, where: npt.NDArray[Any]) -> RowArray:
    """Return the rows at positions, or where a mask is True.

    Told to take, numpy copies each row at once; given an index, field by field.
    """
    return rows.take(np.flatnonzero(where) if where.dtype == np.bool_ else where)


def in_spans(rows: RowArray, series: npt.NDArray[Any], start: IntArray, end: IntArray) -> RowArray:
    """Return the rows in the half-open span of their series; series are ascending, each once."""
    at = np.minimum(np.searchsorted(series, rows["series"]), len(series) - 1)
    asked = (series[at] == rows["series"]) & (rows["time"] >= start[at])
    return picked(rows, asked & (rows["time"] < end[at]))


def ordered(rows: RowArray) -> RowArray:
    """Sort rows by series and time, keeping only the newest version of each instant.

    Those given later are newer.
    """
    order = series_order(rows["series"])
    series, time = rows["series"][order], rows["time"][order]
    step = _steps(series, time)
    if not len(step):
        return rows.take(order)
    if step.min() < 0:
        order = _by_time(order, series, time, series[1:][step < 0])
        time = rows["time"][order]
        step = _steps(series, time)
    if step.min() > 0:
        return rows.take(order)
    newest: RowArray = rows.take(order[np.append(step != 0, True)])
    return newest


def _steps(series: npt.NDArray[Any], time: IntArray) -> IntArray:
    """Return by how much the time of each row lies after that of the row before, 1 of another."""
    step = time[1:] - time[:-1]
    step[series[1:] != series[:-1]] = 1
    return step


def _by_time(
    order: IntArray, series: npt.NDArray[Any], time: IntArray, late: npt.NDArray[Any]
) -> IntArray:
    """Return an order by series as one by series and time, where some series have late rows."""
    unsorted = np.flatnonzero(np.isin(series, late))
    settled = order.copy()
    by_time = unsorted[np.argsort(time[unsorted], kind="stable")]
    settled[unsorted] = order[by_time[series_order(series[by_time])]]
    return settled


def spread_ranges(starts: IntArray, ends: IntArray) -> IntArray:
    """Return every position of half-open ranges, range after range."""
    lengths = ends - starts
    offsets = np.repeat(ends - np.cumsum(lengths), lengths)
    return offsets + np.arange(int(lengths.sum()))


def united_ranges(starts: IntArray, ends: IntArray) -> IntArray:
    """Return every position of half-open ranges whose starts and whose ends ascend, each once."""
    starts = starts.copy()
    starts[1:] = np.maximum(starts[1:], np.maximum.accumulate(ends)[:-1])
    return spread_ranges(starts, np.maximum(starts, ends))


def blocks(rows: RowArray, size: int) -> list[RowArray]:
    """Return rows in pieces, so that what is worked out of each does not fill the memory."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def pieces(rows: RowArray, size: int) -> list[RowArray]:
    """Return sorted rows in pieces of about a size, the rows of a series together.

    What is worked out piece by piece stays in the caches of a core.
    """
    found, series, start = [], rows["series"], 0
    while len(rows) - start > size:
        end = int(np.searchsorted(series, series[start + size - 1], side="right"))
        found.append(rows[start:end])
        start = end
    if start < len(rows) or not found:
        found.append(rows[start:])
    return found


def joined(parts: list[RowArray], dtype: np.dtype[Any]) -> RowArray:
    """Return rows in order, an empty array of none."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return np.empty(0, dtype)
    together: RowArray = np.concatenate([whole(part) for part in parts]).view(dtype)
    return together
