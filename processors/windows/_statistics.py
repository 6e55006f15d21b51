# SPDX-License-Identifier: EUPL-1.2
"""Mergeable statistics of a window, after Chan, Golub and LeVeque (1979)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.flags import SUSPECT

RowArray = npt.NDArray[Any]

# Aligned: numpy reads a field across rows several times as fast.
RAW: Final = np.dtype(
    [("time", "i8"), ("value", "f8"), ("cover", "i8"), ("series", "i4"), ("flag", "u1")],
    align=True,
)
"""One reading; ``cover`` is the time it accounts for, ns."""

STATE: Final = np.dtype(
    [
        ("time", "i8"),
        ("series", "i4"),
        ("revision", "i4"),
        ("count", "i8"),
        ("total", "f8"),
        ("mean", "f8"),
        ("squares", "f8"),
        ("low", "f8"),
        ("high", "f8"),
        ("cover", "i8"),
        ("suspect", "i8"),
        ("excluded", "i8"),
    ],
    align=True,
)
"""One window of a series: ``squares`` is the sum of squared deviations from the mean."""

_CONTENT: Final = tuple(name for name in STATE.names or () if name != "revision")


def window_starts(rows: RowArray, length_ns: int) -> npt.NDArray[np.int64]:
    """Return the start of the window each row belongs to."""
    starts: npt.NDArray[np.int64] = rows["time"] // length_ns * length_ns
    return starts


# Absurd values may overflow to infinity; that is what is then said of their window.
_absurd_values = np.errstate(over="ignore", invalid="ignore")


@_absurd_values
def of_readings(rows: RowArray, length_ns: int, included: npt.NDArray[np.bool_]) -> RowArray:
    """Return one state per series and window of readings sorted by series and time.

    Args:
        rows: RAW rows.
        length_ns: window length.
        included: by flag value, whether such readings enter the statistics, shape (256,).
    """
    enters = included[rows["flag"]] & np.isfinite(rows["value"])
    value = np.where(enters, rows["value"], 0.0)
    begins, states = _frames(rows, length_ns)
    states["count"] = np.add.reduceat(enters.astype(np.int64), begins)
    states["total"] = np.add.reduceat(value, begins)
    states["mean"] = _divide(states["total"], states["count"])
    spread = np.where(enters, value - _spread(states["mean"], begins, len(rows)), 0.0)
    states["squares"] = np.add.reduceat(spread * spread, begins)
    states["low"] = np.minimum.reduceat(np.where(enters, value, np.inf), begins)
    states["high"] = np.maximum.reduceat(np.where(enters, value, -np.inf), begins)
    states["cover"] = np.add.reduceat(np.where(enters, rows["cover"], 0), begins)
    suspect = enters & (rows["flag"] == SUSPECT)
    states["suspect"] = np.add.reduceat(suspect.astype(np.int64), begins)
    states["excluded"] = np.add.reduceat((~enters).astype(np.int64), begins)
    return states


@_absurd_values
def of_states(rows: RowArray, length_ns: int) -> RowArray:
    """Return one state per series and longer window of states sorted by series and time."""
    begins, states = _frames(rows, length_ns)
    for name in ("count", "total", "cover", "suspect", "excluded"):
        states[name] = np.add.reduceat(rows[name], begins)
    states["mean"] = _divide(states["total"], states["count"])
    shift = np.where(rows["count"] > 0, rows["mean"], 0.0) - np.where(
        rows["count"] > 0, _spread(states["mean"], begins, len(rows)), 0.0
    )
    states["squares"] = np.add.reduceat(rows["squares"] + rows["count"] * shift * shift, begins)
    states["low"] = np.minimum.reduceat(rows["low"], begins)
    states["high"] = np.maximum.reduceat(rows["high"], begins)
    return states


def differs(first: RowArray, second: RowArray) -> npt.NDArray[np.bool_]:
    """Return where two states of the same windows say different things."""
    different = np.zeros(len(first), np.bool_)
    for name in _CONTENT:
        same_nan = (first[name] != first[name]) & (second[name] != second[name])
        different |= (first[name] != second[name]) & ~same_nan
    return different


def _frames(rows: RowArray, length_ns: int) -> tuple[npt.NDArray[np.int64], RowArray]:
    starts = window_starts(rows, length_ns)
    new = np.ones(len(rows), np.bool_)
    new[1:] = (starts[1:] != starts[:-1]) | (rows["series"][1:] != rows["series"][:-1])
    begins = np.flatnonzero(new)
    states = np.zeros(len(begins), STATE)
    states["series"] = rows["series"][begins]
    states["time"] = starts[begins]
    return begins, states


def _spread(values: npt.NDArray[Any], begins: npt.NDArray[np.int64], n: int) -> npt.NDArray[Any]:
    return np.repeat(values, np.diff(np.append(begins, n)))


def _divide(total: npt.NDArray[Any], count: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    mean = np.full(len(total), np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean
