# SPDX-License-Identifier: EUPL-1.2
"""Columns of instants as RFC 3339 texts, in UTC and in the local time of the city."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from lamppost.times import DAY_NS, MINUTE_NS, SECOND_NS
from lamppost.zones import load_zone, zone_names

from .text_columns import TextColumn, join, numbers, spelled

Instants = npt.NDArray[np.int64]
# Typed loosely: the stubs refuse arrays of mixed types.
_kernels: Any = pyarrow.compute
_arrow: Any = pa
_MILLI_NS: Final = 1_000_000
_DAY_S: Final = DAY_NS // SECOND_NS


def known_zone(name: object) -> str:
    """Return the name of a time zone, UTC for what is none.

    >>> known_zone("Middle-earth/Bree")
    'UTC'
    """
    return name if isinstance(name, str) and name in zone_names() else "UTC"


def utc_text(time_ns: Instants) -> TextColumn:
    """Return instants in UTC, each with as many decimals as it needs: 0, 3 or 9."""
    return join(_clock_text(time_ns), "Z")


def local_text(time_ns: Instants, zone: str) -> TextColumn:
    """Return instants in the local time of a zone, with its offset.

    >>> local_text(np.array([1_795_300_200_000_000_000]), "Europe/Amsterdam").to_pylist()
    ['2026-11-21T23:30:00+01:00']
    """
    offset_s = offsets_s(time_ns, zone)
    return join(_clock_text(time_ns + offset_s * SECOND_NS), spelled(offset_s, _offset_text))


def offsets_s(time_ns: Instants, zone: str) -> Instants:
    """Return how far the local time is ahead of UTC at each instant, in seconds."""
    if zone == "UTC":
        return np.zeros(len(time_ns), np.int64)
    days, rows = np.unique(time_ns // DAY_NS, return_inverse=True)
    by_day = [_offset_of_day_s(zone, int(day)) for day in days]
    found = np.array([0 if offset is None else offset for offset in by_day], np.int64)[rows]
    changes = np.array([offset is None for offset in by_day], np.bool_)
    for row in np.flatnonzero(changes[rows]) if changes.any() else ():
        found[row] = _offset_s(zone, int(time_ns[row]) // SECOND_NS)
    return found


@lru_cache(maxsize=65_536)
def _offset_of_day_s(zone: str, day: int) -> int | None:
    """Return the offset on a day of UTC, None where it changes then."""
    first = _offset_s(zone, day * _DAY_S)
    return first if _offset_s(zone, (day + 1) * _DAY_S) == first else None


def _offset_s(zone: str, second: int) -> int:
    offset = datetime.fromtimestamp(second, UTC).astimezone(load_zone(zone)).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())


def _offset_text(offset_s: int) -> str:
    # RFC 3339 knows minutes only; offsets with seconds ended before there were sensors.
    hours, minutes = divmod(abs(offset_s) * SECOND_NS // MINUTE_NS, 60)
    return f"{'-' if offset_s < 0 else '+'}{hours:02d}:{minutes:02d}"


def _clock_text(time_ns: Instants) -> TextColumn:
    seconds, nanos = np.divmod(time_ns, SECOND_NS)
    plain = _arrow.array(seconds).cast(pa.timestamp("s")).cast(pa.large_string())
    text: TextColumn = _kernels.binary_replace_slice(plain, start=10, stop=11, replacement="T")
    if not nanos.any():
        return text
    millis = _padded(nanos // _MILLI_NS, 3)
    digits = _kernels.if_else(_arrow.array(nanos % _MILLI_NS == 0), millis, _padded(nanos, 9))
    nothing = _arrow.scalar("", pa.large_string())
    return join(text, _kernels.if_else(_arrow.array(nanos == 0), nothing, join(".", digits)))


def _padded(values: Instants, width: int) -> TextColumn:
    text: TextColumn = _kernels.utf8_lpad(numbers(values), width=width, padding="0")
    return text
