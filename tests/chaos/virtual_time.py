# SPDX-License-Identifier: EUPL-1.2
"""Time that passes only when nothing is left to be done at the present instant."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class VirtualTime:
    """Does things in the order of their instants, without waiting between them.

    Attributes:
        now: virtual seconds since the beginning.
    """

    def __init__(self) -> None:
        """Begin."""
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, instant: float, action: Callable[[], None]) -> None:
        """Do something at an instant."""
        heapq.heappush(self._due, (instant, next(self._numbers), action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something later."""
        self.at(self.now + seconds, action)

    def run(self, until: float) -> None:
        """Let time pass up to an instant."""
        while self._due and self._due[0][0] <= until:
            self.now, _, action = heapq.heappop(self._due)
            action()
        self.now = until
