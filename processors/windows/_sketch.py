# SPDX-License-Identifier: EUPL-1.2
"""Quantiles of a window to within one per cent, from counts that can be added.

DDSketch (Masson, Rim and Lee, 2019) with a relative error of 0.01: a reading counts towards the bin
of its magnitude, whose edges are the powers of (1 + 0.01) / (1 - 0.01). Counts of bins are whole
numbers, so merging is adding, in any order, and exact.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, Int64Array

from ._frames import Frames

ALPHA: Final = 0.01
GAMMA: Final = (1 + ALPHA) / (1 - ALPHA)
PERCENTS: Final = (5, 25, 50, 75, 95)

CodeArray = npt.NDArray[np.int16]
RowArray = npt.NDArray[Any]

# Codes of positive readings are 1 to 32767, of their opposites -1 to -32767, of zero 0: one number
# that orders all readings. The bound holds for magnitudes between 1e-142 and 1e142.
_ZERO_KEY: Final = 16_384
_LARGEST: Final = 16_383
_SPAN_BITS: Final = 16
_SPAN: Final = 1 << _SPAN_BITS
_HALF: Final = 32_768

ROW: Final = np.dtype([("series", "i4"), ("time", "i8"), ("code", "i2"), ("count", "i4")])
"""One bin of a window: the sketch of a window is all of its rows, the code ascending."""


def codes(value: FloatArray) -> CodeArray:
    """Return the bin of each reading: a whole number that rises with the reading.

    Args:
        value: finite numbers.

    >>> (codes(np.array([1.0, 10.0, 100.0, 0.0, -1.0])) - 16_384).tolist()
    [0, 116, 231, -16384, -32768]
    """
    edges = _edges()
    magnitude = np.abs(value)
    tiny = magnitude <= edges[1]
    bounded = np.clip(magnitude, edges[2], edges[-1])
    key = np.ceil(np.log(bounded) / np.log(GAMMA)).astype(np.int64)
    at = np.clip(key + _ZERO_KEY, 2, 2 * _LARGEST + 1)
    # A logarithm may be off by its last digit, and differently on another processor. The edges
    # decide, so the same reading is in the same bin everywhere.
    at += bounded > edges[at]
    at -= bounded <= edges[at - 1]
    found = np.where(tiny, 0, at)
    return np.where(value < 0, -found, found).astype(np.int16)


def estimates(code: CodeArray) -> FloatArray:
    """Return the number that stands for all readings of a bin, within one per cent of each."""
    at = np.abs(code.astype(np.int64))
    middle = np.where(at == 0, 0.0, _edges()[at] * (2 / (GAMMA + 1)))
    return np.copysign(middle, code)


@cache
def _edges() -> FloatArray:
    """Return the upper edge of each positive code; worked out in decimals, so the same everywhere.

    The upper edge of code 16384 is 1; code 0 and 1 hold what is too small for the bound.
    """
    with localcontext() as context:
        context.prec = 40
        gamma = (1 + Decimal("0.01")) / (1 - Decimal("0.01"))
        up, down = [Decimal(1)], [Decimal(1)]
        for _ in range(_LARGEST):
            up.append(up[-1] * gamma)
            down.append(down[-1] / gamma)
        edges = [float(edge) for edge in (*reversed(down[1:]), *up)]
    return np.array([0.0, *edges])


def of_readings(series: npt.NDArray[Any], start: Int64Array, value: FloatArray) -> RowArray:
    """Return the sketches of windows.

    Args:
        series: series of each reading, ascending, shape (n,).
        start: start of the window of each reading, ascending within a series, shape (n,).
        value: finite readings, shape (n,).
    """
    window, begins = _windows(series, start)
    key = np.sort(window * _SPAN + codes(value) + _HALF)
    frames = Frames.of(key)
    numbers = frames.numbers
    rows = np.empty(len(numbers), ROW)
    first = begins[numbers >> _SPAN_BITS]
    rows["series"], rows["time"] = series[first], start[first]
    rows["code"] = (numbers & (_SPAN - 1)) - _HALF
    rows["count"] = frames.sizes
    return rows


def merged(rows: RowArray) -> RowArray:
    """Return rows in which each bin of a window stands once, its counts added.

    Args:
        rows: rows whose windows ascend; within a window in any order.
    """
    window, _ = _windows(rows["series"], rows["time"])
    key = window * _SPAN + rows["code"]
    order = np.argsort(key, kind="stable")
    frames = Frames.of(key[order])
    result = rows.take(order[frames.begins])
    result["count"] = frames.sums(rows["count"][order])
    return result


def _windows(series: npt.NDArray[Any], start: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return the number of each row's window, and the first row of each window."""
    new = np.ones(len(series), np.bool_)
    new[1:] = (series[1:] != series[:-1]) | (start[1:] != start[:-1])
    windows = Frames.beginning(new)
    return windows.group, windows.begins


def quantiles(
    frames: Frames, code: CodeArray, count: npt.NDArray[Any], low: FloatArray, high: FloatArray
) -> FloatArray:
    """Return the quantiles of PERCENTS of some windows, shape (5, windows).

    A quantile is the bin of the reading of rank floor(q (n - 1)) of n, counted from 0, no lower
    than the lowest and no higher than the highest reading.

    Args:
        frames: which rows make up a window.
        code: bin of each row.
        count: readings in the bin of each row.
        low: lowest reading of each window.
        high: highest reading of each window.
    """
    total = frames.sums(count.astype(np.int64))
    through = np.cumsum(count, dtype=np.int64)
    before = through[frames.ends] - total
    found = np.empty((len(PERCENTS), len(total)))
    for number, percent in enumerate(PERCENTS):
        rank = before + percent * (total - 1) // 100
        row = np.searchsorted(through, rank, side="right")
        found[number] = np.clip(estimates(code[row]), low, high)
    return found
