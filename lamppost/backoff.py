# SPDX-License-Identifier: EUPL-1.2
"""How long to wait before trying again: longer each time, and never in step with others."""

from __future__ import annotations

import random


class Backoff:
    """Waits that double from a first to a longest one, each drawn at random between both.

    Every wait lies in ``first_s``..``longest_s``, so nobody is asked more often than that, and a
    city of clients does not come back in the same second.
    """

    def __init__(self, first_s: float = 1.0, longest_s: float = 30.0) -> None:
        """Take the shortest and the longest wait."""
        self._first_s = first_s
        self._longest_s = longest_s
        self._reach_s = 0.0

    def next_s(self) -> float:
        """Return the next wait."""
        self._reach_s = min(max(2 * self._reach_s, 1.5 * self._first_s), self._longest_s)
        return random.uniform(self._first_s, self._reach_s)  # noqa: S311 - not a secret

    def reset(self) -> None:
        """Begin anew after a success."""
        self._reach_s = 0.0
