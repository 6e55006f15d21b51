# SPDX-License-Identifier: EUPL-1.2
"""Time as something you are given, so that tests can hold it in their hands."""

from __future__ import annotations

import time
from typing import Protocol


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
