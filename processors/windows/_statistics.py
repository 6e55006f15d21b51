# SPDX-License-Identifier: EUPL-1.2
"""Mergeable statistics of a window, after Chan, Golub and LeVeque (1979)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import Int64Array
from lamppost.flags import SUSPECT

from ._frames import BoolArray, Frames, RowArray, ratio
from ._kinds import EXTRA, Kinds

# Aligned: numpy reads a field across rows several times as fast.
RAW: Final = np.dtype(
    [
        ("time", "i8"),
        ("value", "f8"),
        ("cover", "i8"),
        ("series", "i4"),
        ("hold", "f4"),
        ("beside", "f4"),
        ("flag", "u1"),
    ],
    align=True,
)
"""One reading; ``cover`` is the time it accounts for, ns, ``hold`` how long it may hold, s, where
the mean is weighted by time, and ``beside`` what the same sensor counted or felt at the same
instant, NaN where nothing is known."""

INHERITED: Final = ("cover", "hold")
"""What a later version of a reading does not say anew."""

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
        ("first_at", "i8"),
        ("last_at", "i8"),
        ("first", "f8"),
        ("last", "f8"),
        ("cover", "i8"),
        ("suspect", "i4"),
        ("excluded", "i4"),
        ("hours", "i4"),
        ("values", "u8"),
        ("extra", "f8", (EXTRA,)),
    ],
    align=True,
)
"""One window of a series: ``squares`` is the sum of squared deviations from the mean, ``hours`` the
number of valid hours, ``values`` a fingerprint of the readings that entered, and ``extra`` what its
kind of series keeps (see ``_kinds``)."""

_CONTENT: Final = tuple(name for name in STATE.names or () if name not in {"revision", "extra"})
_ODD: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_SHIFT: Final = np.uint64(32)


def window_starts(rows: RowArray, length_ns: int) -> npt.NDArray[np.int64]:
    """Return the start of the window each row belongs to."""
    starts: npt.NDArray[np.int64] = rows["time"] // length_ns * length_ns
    return starts


# Absurd values may overflow to infinity; that is what is then said of their window.
_absurd_values = np.errstate(over="ignore", invalid="ignore")


@_absurd_values
def of_readings(rows: RowArray, length_ns: int, included: BoolArray, kinds: Kinds) -> RowArray:
    """Return one state per series and window of readings sorted by series and time.

    Args:
        rows: RAW rows.
        length_ns: window length.
        included: by flag value, whether such readings enter the statistics, shape (256,).
        kinds: what is kept beside the usual.
    """
    enters = included[rows["flag"]] & np.isfinite(rows["value"])
    value = np.where(enters, rows["value"], 0.0)
    frames, states = _frames(rows["series"], window_starts(rows, length_ns))
    begins = frames.begins
    states["count"] = np.add.reduceat(enters.astype(np.int64), begins)
    states["total"] = np.add.reduceat(value, begins)
    states["mean"] = ratio(states["total"], states["count"])
    spread = np.where(enters, value - states["mean"][frames.group], 0.0)
    states["squares"] = np.add.reduceat(spread * spread, begins)
    states["low"] = np.minimum.reduceat(np.where(enters, value, np.inf), begins)
    states["high"] = np.maximum.reduceat(np.where(enters, value, -np.inf), begins)
    states["cover"] = np.add.reduceat(np.where(enters, rows["cover"], 0), begins)
    suspect = enters & (rows["flag"] == SUSPECT)
    states["suspect"] = np.add.reduceat(suspect.astype(np.int32), begins)
    states["excluded"] = np.add.reduceat((~enters).astype(np.int32), begins)
    states["values"] = np.add.reduceat(_fingerprints(value, enters), begins)
    kept, inside = (
        (rows, frames) if enters.all() else (rows[enters], Frames.of(frames.group[enters]))
    )
    for end, at in (("first", inside.begins), ("last", inside.ends)):
        states[end][inside.numbers] = kept["value"][at]
        states[f"{end}_at"][inside.numbers] = kept["time"][at]
    kinds.lift(kept, inside, states)
    return states


def of_states(rows: RowArray, length_ns: int, kinds: Kinds) -> RowArray:
    """Return one state per series and longer window of states sorted by series and time."""
    return merged(rows, window_starts(rows, length_ns), kinds)


@_absurd_values
def merged(rows: RowArray, start: Int64Array, kinds: Kinds) -> RowArray:
    """Return one state per series and window of the states that make it up.

    Args:
        rows: states sorted by series and time.
        start: start of the longer window each belongs to.
        kinds: what is kept beside the usual.
    """
    frames, states = _frames(rows["series"], start)
    begins = frames.begins
    for name in ("count", "total", "cover", "suspect", "excluded", "hours", "values"):
        states[name] = np.add.reduceat(rows[name], begins)
    states["mean"] = ratio(states["total"], states["count"])
    enters = rows["count"] > 0
    mean = np.where(enters, rows["mean"], 0.0)
    shift = mean - np.where(enters, states["mean"][frames.group], 0.0)
    states["squares"] = np.add.reduceat(rows["squares"] + rows["count"] * shift * shift, begins)
    states["low"] = np.minimum.reduceat(rows["low"], begins)
    states["high"] = np.maximum.reduceat(rows["high"], begins)
    kept, inside = (
        (rows, frames) if enters.all() else (rows[enters], Frames.of(frames.group[enters]))
    )
    for end, at in (("first", inside.begins), ("last", inside.ends)):
        states[end][inside.numbers] = kept[end][at]
        states[f"{end}_at"][inside.numbers] = kept[f"{end}_at"][at]
    kinds.merge(kept, inside, states)
    return states


def differs(first: RowArray, second: RowArray) -> BoolArray:
    """Return where two states of the same windows say different things."""
    different = (first["extra"] != second["extra"]).any(axis=1)
    for name in _CONTENT:
        same_nan = (first[name] != first[name]) & (second[name] != second[name])
        different |= (first[name] != second[name]) & ~same_nan
    return np.asarray(different, np.bool_)


def _fingerprints(value: npt.NDArray[np.float64], enters: BoolArray) -> npt.NDArray[np.uint64]:
    """Return a number for each reading; sums of them tell which readings a window holds."""
    mixed = value.view(np.uint64) * _ODD[0]
    mixed = (mixed ^ (mixed >> _SHIFT)) * _ODD[1]
    return np.where(enters, mixed, np.uint64(0))


def _frames(series: npt.NDArray[Any], start: Int64Array) -> tuple[Frames, RowArray]:
    new = np.ones(len(series), np.bool_)
    new[1:] = (start[1:] != start[:-1]) | (series[1:] != series[:-1])
    begins = np.flatnonzero(new)
    states = np.zeros(len(begins), STATE)
    states["series"], states["time"] = series[begins], start[begins]
    states["first"] = states["last"] = np.nan
    return Frames(np.cumsum(new) - 1, begins), states
