# SPDX-License-Identifier: EUPL-1.2
"""Time as something you are given, so that tests can hold it in their hands."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from . import events

_NOTICED_NS: Final = 5 * 1_000_000_000
_BELIEVED_AFTER_NS: Final = 300 * 1_000_000_000
_SLEW: Final = 10


class Clock(Protocol):
    """Tells the time; every component that needs it takes one."""

    def now_ns(self) -> int:
        """Return the instant in nanoseconds since 1970, UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """Return the machine's time."""
        return time.time_ns()


class SteadyClock:
    """The machine's clock without its jumps, for instants that other things are timed by.

    It never runs backwards. When the machine's clock is set, it follows slowly (a tenth of the time
    that passes); only a difference that lasts five minutes is believed and taken over at once.
    """

    def __init__(
        self,
        wall: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Start at the machine's time."""
        self._wall = wall
        self._monotonic = monotonic
        self._asked_at = self._agreed_at = monotonic()
        self._now = wall()
        self._told = False

    def now_ns(self) -> int:
        """Return the time that has passed since the start, held to the machine's time."""
        asked_at = self._monotonic()
        passed, self._asked_at = asked_at - self._asked_at, asked_at
        self._now += passed
        apart = self._wall() - self._now
        if abs(apart) <= _NOTICED_NS:
            self._agreed_at, self._told = asked_at, False
        elif not self._told:
            self._told = True
            events.warning("clock_jumped", by_s=round(apart / 1e9, 1))
        if asked_at - self._agreed_at > _BELIEVED_AFTER_NS:
            self._now += max(apart, 0)
            self._agreed_at = asked_at
        else:
            self._now += max(min(apart, passed // _SLEW), -(passed // _SLEW))
        return self._now


class ManualClock:
    """A clock that moves only when told."""

    def __init__(self, start_ns: int) -> None:
        """Start at an instant."""
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Return the instant it was last set to."""
        return self._now_ns

    def advance(self, by_ns: int) -> None:
        """Move forward (or back, to play a broken clock)."""
        self._now_ns += by_ns
