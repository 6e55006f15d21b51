# SPDX-License-Identifier: EUPL-1.2
"""How much a question and a client may ask of the programming interface."""

from __future__ import annotations

import ipaddress
import math
import re
import threading
import time
from collections.abc import Callable
from typing import Final

from lamppost.batch import DAY, FIXED, MONTH, YEAR
from lamppost.periods import CALENDAR_NAMES
from lamppost.times import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    asked_instant,
    format_instant,
)

from .problem_types import wrong_parameter

MAX_ROWS: Final = 10_000
"""Rows of a page."""
MAX_WINDOWS: Final = 50_000
"""Longest period of a question, in lengths of its window."""

_CALENDARS: Final = {name: number for number, name in CALENDAR_NAMES.items()}
_CALENDAR_LENGTHS: Final = {DAY: DAY_NS, MONTH: 30 * DAY_NS, YEAR: 365 * DAY_NS}
_UNITS_NS: Final = {"s": SECOND_NS, "min": MINUTE_NS, "h": HOUR_NS, "d": DAY_NS}
WINDOW_PATTERN: Final = r"^([1-9][0-9]{0,3}(s|min|h|d)|day|month|year)$"
_DEFAULT_WINDOWS: Final = 31
_MOST_CLIENTS: Final = 20_000
_PREFIX_BITS: Final = 64


def window_of(name: str) -> tuple[int, int]:
    """Return the calendar and the length of a window's name; calendars have a usual length.

    >>> window_of("15min") == (0, 15 * MINUTE_NS)
    True
    """
    if name in _CALENDARS:
        calendar = _CALENDARS[name]
        return calendar, _CALENDAR_LENGTHS[calendar]
    found = re.match(WINDOW_PATTERN, name)
    if found is None:
        detail = "1min, 15min, 1h, 8h, 24h, day, month, year, or a number with s, min, h or d"
        raise wrong_parameter("window", detail)
    unit = found[2]
    return FIXED, int(name.removesuffix(unit)) * _UNITS_NS[unit]


def period(first: str, until: str, now: int, window_ns: int = HOUR_NS) -> tuple[int, int]:
    """Return the half-open period a question is about.

    By default it ends with the next hour and holds the last day, or 31 windows where that is more.

    Raises:
        ApiProblem: it is none, or too long.
    """
    # A full hour, so that a question asked again within it is the same question.
    end = _instant(until, "to", (now // HOUR_NS + 2) * HOUR_NS)
    usual = 26 * HOUR_NS if window_ns <= HOUR_NS else _DEFAULT_WINDOWS * window_ns
    begin = _instant(first, "from", end - usual)
    if begin > end:
        raise wrong_parameter("from", "must not lie after to")
    if end - begin > MAX_WINDOWS * window_ns:
        earliest = format_instant(end - MAX_WINDOWS * window_ns)
        detail = f"at most {MAX_WINDOWS} windows at a time: from {earliest} for this to"
        raise wrong_parameter("from", detail, "span-too-long")
    return begin, end


def _instant(value: str, name: str, default: int) -> int:
    return instant_in(value, name) if value else default


def instant_in(value: str, name: str) -> int:
    """Return the instant a parameter holds.

    Raises:
        ApiProblem: it holds none.
    """
    try:
        # A plus in an address arrives as a space.
        return asked_instant(value.replace(" ", "+"))
    except ValueError as error:
        raise wrong_parameter(name, str(error)) from None


class ReadingLimiter:
    """Lets every client ask so often: a bucket of requests that refills at a rate."""

    def __init__(
        self, per_s: float, at_once: int, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with full buckets; a rate of 0 lets everything in."""
        self.per_s = per_s
        self.at_once = at_once
        self._now_s = now_s
        self._lock = threading.Lock()
        # The instant a client's bucket would be full again; full ones are forgotten.
        self._full_at: dict[str, float] = {}

    def take(self, address: str) -> tuple[int, float]:
        """Take one request.

        Returns:
            How many more may follow at once, below 0 where this one may not be answered; and how
            many seconds to wait in that case.
        """
        if not self.per_s:
            return self.at_once, 0.0
        client, now = client_of(address), self._now_s()
        with self._lock:
            if len(self._full_at) >= _MOST_CLIENTS:
                self._forget(now)
            full_at = max(self._full_at.get(client, now), now) + 1 / self.per_s
            spent = (full_at - now) * self.per_s
            if spent > self.at_once + 1e-9:
                return -1, (spent - self.at_once) / self.per_s
            self._full_at[client] = full_at
            return math.floor(self.at_once - spent + 1e-9), 0.0

    def _forget(self, now: float) -> None:
        used = {client: at for client, at in self._full_at.items() if at > now}
        if len(used) >= _MOST_CLIENTS:
            busiest = sorted(used.items(), key=lambda item: item[1])
            used = dict(busiest[_MOST_CLIENTS // 2 :])
        self._full_at = used


def client_of(address: str) -> str:
    """Return what counts as one client: an address, of IPv6 the network.

    >>> client_of("2001:db8::17")
    '2001:db8::/64'
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((found, _PREFIX_BITS), strict=False))
