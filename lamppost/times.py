# SPDX-License-Identifier: EUPL-1.2
"""Instants: int64 nanoseconds since 1970 in UTC, and their text form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

MILLISECOND_NS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS

NO_TIME: Final = -(2**63)
"""Stands for "the device sent no usable time" (the value numpy prints as NaT)."""

BAD_TIME: Final = NO_TIME + 1
"""Stands for "the device sent a time that cannot be true": no date, or far outside our days."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_S: Final = -2_208_988_800  # 1900
_LATEST_S: Final = 7_258_118_400  # 2200: far beyond any sensor, safely inside int64 nanoseconds


def is_instant(time_ns: int) -> bool:
    """Tell an instant from what stands for none."""
    return time_ns > BAD_TIME


def parse_instant(value: str | float) -> int:
    """Return the instant of an RFC 3339 text with zone, or of Unix seconds, in nanoseconds.

    A text without zone is not an instant (a local time is never taken for UTC) and gives, as
    the empty text does, ``NO_TIME``; what is no time at all, or lies outside 1900 to 2200,
    gives ``BAD_TIME``.

    >>> parse_instant("1970-01-01T01:00:01+01:00")
    1000000000
    >>> parse_instant("2026-11-21T10:00:00") == NO_TIME
    True
    """
    if not isinstance(value, str):
        return round(value * SECOND_NS) if _EARLIEST_S <= value <= _LATEST_S else BAD_TIME
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        # RFC 3339 allows small letters, which the standard library does not read.
        capitals = value.replace("t", "T").replace("z", "Z")
        if capitals != value:
            return parse_instant(capitals)
        return BAD_TIME if value else NO_TIME
    if moment.tzinfo is None:
        return NO_TIME
    elapsed = moment - _EPOCH
    seconds = elapsed.days * 86_400 + elapsed.seconds
    if not _EARLIEST_S <= seconds <= _LATEST_S:
        return BAD_TIME
    return seconds * SECOND_NS + elapsed.microseconds * 1_000


def asked_instant(text: str) -> int:
    """Return the instant somebody has typed.

    Raises:
        ValueError: it is none; the message says why, and what one looks like.

    >>> asked_instant("1066-10-14T09:00:00Z")
    Traceback (most recent call last):
    ValueError: '1066-10-14T09:00:00Z' lies outside 1900 to 2200
    """
    instant = parse_instant(text)
    if is_instant(instant):
        return instant
    wanted = "an instant with zone is needed, such as 2026-11-21T21:00:00Z"
    try:
        zoned = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        problem = f"is no date and time; {wanted}"
    else:
        problem = "lies outside 1900 to 2200" if zoned else f"has no time zone; {wanted}"
    raise ValueError(f"{text!r} {problem}")


def format_instant(time_ns: int) -> str:
    """Return the RFC 3339 text of an instant, in UTC, with as many decimals as it needs.

    >>> format_instant(1_500_000_000)
    '1970-01-01T00:00:01.500Z'
    """
    seconds, nanos = divmod(time_ns, SECOND_NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if nanos == 0:
        return f"{text}Z"
    if nanos % 1_000_000 == 0:
        return f"{text}.{nanos // 1_000_000:03d}Z"
    return f"{text}.{nanos:09d}Z"


def format_length(length_ns: int) -> str:
    """Return the short name of a duration: 1min, 15min, 1h, 24h.

    >>> format_length(15 * MINUTE_NS)
    '15min'
    """
    if length_ns % HOUR_NS == 0:
        return f"{length_ns // HOUR_NS}h"
    if length_ns % MINUTE_NS == 0:
        return f"{length_ns // MINUTE_NS}min"
    return f"{length_ns / SECOND_NS:g}s"
