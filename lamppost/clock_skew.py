# SPDX-License-Identifier: EUPL-1.2
"""Clock skew: how far receipt lies behind the time devices give, and what that says of a clock.

What is observed is the sum of two things that one reading does not tell apart: how far the clock is
behind, and how long the reading was under way. No reading arrives before it was sent, so a clock
that is ahead is certain, and at least that far ahead. One that seems to be behind may be right, and
its readings take that long; only a delay that varies gives itself away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, overload

from .batch import Columns, Int32Array, Int64Array
from .grouping import BoolArray
from .times import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, format_instant
from .wording import duration

Kind = Literal["right", "ahead", "behind", "delayed", "unset"]
Cause = Literal["", "zone", "date", "leap_seconds", "week_number"]

RIGHT_WITHIN_NS: Final = SECOND_NS
"""Closer than this nobody can tell a clock from the network."""

_LEAST_SPREAD_NS: Final = 2 * SECOND_NS
_SPREAD_PART: Final = 20
_SET_AFTER_NS: Final = 946_684_800 * SECOND_NS  # 2000, as in the policy's time.not_before
_NEAR_NS: Final = 2 * MINUTE_NS
# Differences between local time and UTC that are in use (IANA time zone database), minutes.
_ZONES_MIN: Final = (*range(60, 14 * 60 + 1, 60), 210, 270, 330, 345, 390, 525, 570, 630, 765)
_MOST_DAYS: Final = 31
# GPS time is ahead of UTC by the leap seconds since 1980 (IERS Bulletin C; 18 since 2017).
_LEAP_NS: Final = 18 * SECOND_NS
# GPS receivers number weeks with ten bits; one that takes a week for another is off by 1,024 weeks.
_WEEKS_NS: Final = 1024 * 7 * DAY_NS


@dataclass(frozen=True, slots=True)
class ClockBatch(Columns):
    """What is known of the clocks behind some series.

    Attributes:
        series: series code.
        skew: median, over the spans it rests on, of the shortest time from the instant a reading
            gives to its receipt, ns; below zero where the clock is ahead.
        spread: how far the middle half of these shortest times lie apart, ns.
        readings: how many readings it rests on, the quickest of each span.
        until: end of the newest of these spans, ns UTC.
    """

    series: Int32Array
    skew: Int64Array
    spread: Int64Array
    readings: Int32Array
    until: Int64Array

    @classmethod
    def dtypes(cls) -> dict[str, str]:
        """Return the numpy type of each column."""
        return {
            "series": "int32",
            "skew": "int64",
            "spread": "int64",
            "readings": "int32",
            "until": "int64",
        }


NO_CLOCKS: Final = ClockBatch.empty()


@dataclass(frozen=True, slots=True)
class ClockState:
    """What a skew says of a clock.

    Attributes:
        kind: ``right`` within a second, ``ahead``, ``behind`` (or its readings take that long),
            ``delayed`` (they come late by varying times, so the clock cannot be judged), ``unset``.
        cause: what is probably wrong, where the number gives it away.
        skew_ns: the skew.
        says: the instant such a clock gives at the instant of the estimate, ns UTC.
    """

    kind: Kind
    cause: Cause
    skew_ns: int
    says: int

    @property
    def amount(self) -> str:
        """How far it is off, in words."""
        off_s = abs(self.skew_ns) / SECOND_NS
        if self.cause in {"zone", "date"}:
            return duration(round(off_s / 900) * 900)
        if self.cause == "week_number":
            return f"{round(off_s * SECOND_NS / (7 * DAY_NS))} weeks"
        return duration(round(off_s))

    @property
    def because(self) -> str:
        """What is probably wrong, to be put behind a statement; empty where nobody knows."""
        return f": {_CAUSES[self.cause]}" if self.cause else ""

    @property
    def date(self) -> str:
        """The day such a clock says it is."""
        return format_instant(self.says)[:10]

    def __str__(self) -> str:
        """Return the state in a few words.

        >>> str(state_of(-3_599_000_000_000, 0, 2**60))
        'clock 1 h ahead: probably local time sent as UTC'
        """
        words = {
            "right": "clock right within a second",
            "ahead": f"clock {self.amount} ahead",
            "behind": f"clock {self.amount} behind",
            "delayed": f"readings {self.amount} late at the quickest, by varying times",
            "unset": f"clock not set: it says {self.date}",
        }[self.kind]
        return f"{words}{self.because}"


_CAUSES: Final[dict[Cause, str]] = {
    "zone": "probably local time sent as UTC",
    "date": "the date is wrong",
    "leap_seconds": "probably GPS time, which has no leap seconds",
    "week_number": "its GPS receiver has lost count of the weeks",
}


@overload
def is_steady(skew: int, spread: int) -> bool: ...
@overload
def is_steady(skew: Int64Array, spread: Int64Array) -> BoolArray: ...
def is_steady(skew: Any, spread: Any) -> Any:
    """Tell whether a skew is as steady as a clock's: a delay varies, a wrong clock does not."""
    return (spread <= _LEAST_SPREAD_NS) | (spread <= abs(skew) // _SPREAD_PART)


@overload
def is_unset(skew: int, until: int) -> bool: ...
@overload
def is_unset(skew: Int64Array, until: Int64Array) -> BoolArray: ...
def is_unset(skew: Any, until: Any) -> Any:
    """Tell whether a clock gives an instant at which no device was built yet."""
    return until - skew < _SET_AFTER_NS


def state_of(skew: int, spread: int, until: int) -> ClockState:
    """Return what an estimate says of a clock, see :class:`ClockBatch`."""
    steady = is_steady(skew, spread)
    cause = _cause(skew) if steady else ""
    kind: Kind = "behind" if steady else "delayed"
    if cause != "week_number" and is_unset(skew, until):
        kind, cause = "unset", ""
    elif abs(skew) <= RIGHT_WITHIN_NS:
        kind = "right"
    elif skew < 0:
        kind = "ahead"
    return ClockState(kind, cause, skew, until - skew)


def _cause(skew: int) -> Cause:
    off = abs(skew)
    if any(abs(off - minutes * MINUTE_NS) <= _NEAR_NS for minutes in _ZONES_MIN):
        return "zone"
    days = round(off / DAY_NS)
    if 1 <= days <= _MOST_DAYS and abs(off - days * DAY_NS) <= _NEAR_NS:
        return "date"
    if abs(-skew - _LEAP_NS) <= RIGHT_WITHIN_NS:
        return "leap_seconds"
    times = round(skew / _WEEKS_NS)
    return "week_number" if times > 0 and abs(skew - times * _WEEKS_NS) <= HOUR_NS else ""
