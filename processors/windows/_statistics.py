# SPDX-License-Identifier: EUPL-1.2
"""Mergeable statistics of a window, after Chan, Golub and LeVeque (1979)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import Int64Array
from lamppost.flags import SUSPECT

from . import _accounted as accounted
from ._frames import BoolArray, Frames, RowArray, ratio
from ._kinds import EXTRA, Kinds
from ._rows import joined, picked, pieces

# Aligned: numpy reads a field across rows several times as fast.
RAW: Final = np.dtype(
    [
        ("time", "i8"),
        ("value", "f8"),
        ("series", "i4"),
        ("pace", "u4"),
        ("beside", "f4"),
        ("flag", "u1"),
    ],
    align=True,
)
"""One reading; ``pace`` is the gap that was usual before it, ms, 0 while its window is open, and
``beside`` what the same sensor counted or felt at the same instant, NaN where nothing is known."""

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
        *accounted.FIELDS,
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
_PIECE: Final = 8_192


def window_starts(rows: RowArray, length_ns: int) -> npt.NDArray[np.int64]:
    """Return the start of the window each row belongs to."""
    starts: npt.NDArray[np.int64] = rows["time"] // length_ns * length_ns
    return starts


# Absurd values may overflow to infinity; that is what is then said of their window.
_absurd_values = np.errstate(over="ignore", invalid="ignore")


def of_readings(rows: RowArray, length_ns: int, included: BoolArray, kinds: Kinds) -> RowArray:
    """Return one state per series and window of readings sorted by series and time.

    Args:
        rows: RAW rows.
        length_ns: window length.
        included: by flag value, whether such readings enter the statistics, shape (256,).
        kinds: what is kept beside the usual.
    """
    return joined(
        [_of_some(part, length_ns, included, kinds) for part in pieces(rows, _PIECE)], STATE
    )


@_absurd_values
def _of_some(rows: RowArray, length_ns: int, included: BoolArray, kinds: Kinds) -> RowArray:
    value, flag = rows["value"], rows["flag"]
    enters = included[flag] & np.isfinite(value)
    all_enter = bool(enters.all())
    value = value.copy() if all_enter else np.where(enters, value, 0.0)
    frames, states = _frames(rows["series"], window_starts(rows, length_ns))
    count = frames.sizes if all_enter else frames.sums(enters.astype(np.int64))
    total = frames.sums(value)
    mean = ratio(total, count)
    spread = np.where(enters, value - frames.spread(mean), 0.0)
    states["count"], states["total"], states["mean"] = count, total, mean
    states["squares"] = frames.sums(spread * spread)
    states["low"] = frames.lowest(value if all_enter else np.where(enters, value, np.inf))
    states["high"] = frames.highest(value if all_enter else np.where(enters, value, -np.inf))
    accounted.lift(rows, enters, frames, states)
    suspect = enters & (flag == SUSPECT)
    if suspect.any():
        states["suspect"] = frames.sums(suspect.astype(np.int32))
    states["values"] = frames.sums(_fingerprints(value, enters))
    kept, inside = rows, frames
    if not all_enter:
        states["excluded"] = frames.sums((~enters).astype(np.int32))
        kept, inside = picked(rows, enters), Frames.of(frames.group[enters])
    for end, of_group in (("first", inside.firsts), ("last", inside.lasts)):
        inside.put(states[end], of_group(kept["value"]))
        inside.put(states[f"{end}_at"], of_group(kept["time"]))
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
    for name in ("count", "total", "suspect", "excluded", "hours", "values"):
        states[name] = frames.sums(rows[name])
    accounted.merge(rows, frames, states)
    mean = ratio(states["total"], states["count"])
    enters = rows["count"] > 0
    all_enter = bool(enters.all())
    own = rows["mean"] if all_enter else np.where(enters, rows["mean"], 0.0)
    whole = frames.spread(mean)
    shift = own - (whole if all_enter else np.where(enters, whole, 0.0))
    states["mean"] = mean
    states["squares"] = frames.sums(rows["squares"] + rows["count"] * shift * shift)
    states["low"] = frames.lowest(rows["low"])
    states["high"] = frames.highest(rows["high"])
    kept, inside = rows, frames
    if not all_enter:
        kept, inside = picked(rows, enters), Frames.of(frames.group[enters])
    for end, of_group in (("first", inside.firsts), ("last", inside.lasts)):
        inside.put(states[end], of_group(kept[end]))
        inside.put(states[f"{end}_at"], of_group(kept[f"{end}_at"]))
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
    frames = Frames.beginning(new)
    states = np.zeros(len(frames.begins), STATE)
    states["series"], states["time"] = frames.firsts(series), frames.firsts(start)
    states["first"] = states["last"] = np.nan
    return frames, states
