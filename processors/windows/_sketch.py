# SPDX-License-Identifier: EUPL-1.2
"""Quantiles of a window to within one per cent, from counts that can be added.

DDSketch (Masson, Rim and Lee, 2019) with a relative error of 0.01: a reading counts towards the bin
of its magnitude, whose edges are the powers of (1 + 0.01) / (1 - 0.01). Counts of bins are whole
numbers, so merging is adding, in any order, and exact.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, Int64Array

from ._frames import Frames

ALPHA: Final = 0.01
GAMMA: Final = (1 + ALPHA) / (1 - ALPHA)
PERCENTS: Final = (5, 25, 50, 75, 95)

QuantileRule = Literal["type 7", "97/101/EC"]
"""Which of n ranked readings a quantile q is: at rank q (n - 1), counted from 0, in a straight line
between two (type 7 of Hyndman and Fan, as numpy and spreadsheets), or the one numbered round(q n),
counted from 1 (Decision 97/101/EC)."""

CodeArray = npt.NDArray[np.int16]
RowArray = npt.NDArray[Any]

# Codes of positive readings are 1 to 32767, of their opposites -1 to -32767, of zero 0: one number
# that orders all readings. The bound holds for magnitudes between 1e-142 and 1e142.
_ZERO_KEY: Final = 16_384
_LARGEST: Final = 16_383
_TABLE_PER_ROW: Final = 16
_LARGEST_TABLE: Final = 2_000_000

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
    return _tallied(series, start, codes(value))


def merged(rows: RowArray) -> RowArray:
    """Return rows in which each bin of a window stands once, its counts added.

    Args:
        rows: rows whose windows ascend; within a window in any order.
    """
    return _tallied(rows["series"], rows["time"], rows["code"], rows["count"])


def _tallied(
    series: npt.NDArray[Any],
    start: Int64Array,
    code: CodeArray,
    count: npt.NDArray[Any] | None = None,
) -> RowArray:
    """Return one row for each bin of each window, the code ascending.

    Args:
        series: of each row to count; windows ascend.
        start: start of its window.
        code: its bin.
        count: how often it counts, once each if left out.
    """
    new = np.ones(len(series), np.bool_)
    new[1:] = (series[1:] != series[:-1]) | (start[1:] != start[:-1])
    windows = Frames.beginning(new)
    number, known = _numbered(code)
    span = len(known)
    key = windows.group * span + number
    # Readings of a place lie close together: then counting into a table of all bins there are
    # takes a fraction of the time of sorting them.
    if len(windows.begins) * span <= min(_TABLE_PER_ROW * len(key), _LARGEST_TABLE):
        added = np.bincount(key, weights=count)
        bins = np.flatnonzero(added)
        total = added[bins]
    else:
        order = np.argsort(key, kind="stable")
        frames = Frames.of(key[order])
        bins, total = frames.numbers, frames.sizes if count is None else frames.sums(count[order])
    window = bins // span
    first = windows.begins[window]
    rows = np.empty(len(bins), ROW)
    rows["series"], rows["time"] = series[first], start[first]
    rows["code"], rows["count"] = known[bins - window * span], total
    return rows


def _numbered(code: CodeArray) -> tuple[Int64Array, Int64Array]:
    """Return the number of each code among those there are, and these, ascending.

    A zero among readings around ten leaves thousands of bins empty between them.
    """
    lowest = int(code.min(initial=0))
    offset = code.astype(np.int64) - lowest
    there = np.zeros(int(offset.max(initial=0)) + 1, np.bool_)
    there[offset] = True
    return (np.cumsum(there) - 1)[offset], np.flatnonzero(there) + lowest


def quantiles(
    frames: Frames,
    code: CodeArray,
    count: npt.NDArray[Any],
    low: FloatArray,
    high: FloatArray,
    rule: QuantileRule = "type 7",
) -> FloatArray:
    """Return the quantiles of PERCENTS of some windows, shape (5, windows).

    Args:
        frames: which rows make up a window.
        code: bin of each row.
        count: readings in the bin of each row.
        low: lowest reading of each window.
        high: highest reading of each window.
        rule: which readings of the ranked ones a quantile is made of.
    """
    total = frames.sums(count.astype(np.int64))
    through = np.cumsum(count, dtype=np.int64)
    before = through[frames.ends] - total
    found = np.empty((len(PERCENTS), len(total)))
    for number, percent in enumerate(PERCENTS):
        rank, share = _ranks(percent, total, rule)
        row = np.searchsorted(through, before + rank, side="right")
        lower = np.clip(estimates(code[row]), low, high)
        lower = np.where(rank == 0, low, np.where(rank == total - 1, high, lower))
        if share is None:
            found[number] = lower
            continue
        following = np.minimum(rank + 1, total - 1)
        row += through[row] <= before + following
        upper = np.clip(estimates(code[row]), low, high)
        upper = np.where(following == total - 1, high, upper)
        # Clipped, so that equal readings give exactly themselves; and no difference overflows.
        found[number] = np.clip(lower * (1 - share) + upper * share, lower, upper)
    return found


def _ranks(
    percent: int, total: Int64Array, rule: QuantileRule
) -> tuple[Int64Array, FloatArray | None]:
    """Return the rank of a quantile, counted from 0, and how far it lies towards the next rank."""
    if rule == "97/101/EC":
        rounded = (2 * percent * total + 100) // 200
        return np.maximum(rounded - 1, 0), None
    hundredths = percent * (total - 1)
    return hundredths // 100, (hundredths % 100) / 100
