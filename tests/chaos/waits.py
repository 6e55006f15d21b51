# SPDX-License-Identifier: EUPL-1.2
"""Waits between attempts, noted and shortened."""

from __future__ import annotations

from lamppost.backoff import Backoff


class Noted(Backoff):
    """The product's waits, noted, and a part of them waited."""

    def __init__(self, *, share: float = 1.0, most_s: float = 0.02) -> None:
        """Note nothing yet.

        Args:
            share: part of each wait that is waited.
            most_s: and no longer than this.
        """
        super().__init__()
        self._share, self._most_s = share, most_s
        self.waits: list[float] = []

    def next_s(self) -> float:
        """Return little, and keep what it would have been."""
        self.waits.append(super().next_s())
        return min(self._share * self.waits[-1], self._most_s)
