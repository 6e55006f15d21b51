# SPDX-License-Identifier: EUPL-1.2
"""Readings that had a window of the shortest length to themselves, waiting for the next longer one.

At one reading a minute that is nearly all of them. Made straight from the readings, the longer
window is the same to the last digit as made from the states of the shorter ones, and a reading
takes a quarter of the room of a state.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import _statistics as statistics
from ._pending import Pending
from ._rows import IntArray, RowArray, joined, ordered, picked


class Singles:
    """Such readings, of which those beside windows with more than one become states again."""

    def __init__(
        self, ends_of: Callable[[RowArray], IntArray], states_of: Callable[[RowArray], RowArray]
    ) -> None:
        """Start empty.

        Args:
            ends_of: tells when the longer window of each reading ends.
            states_of: makes the states of the shortest windows.
        """
        self._states_of = states_of
        self._pending = Pending(statistics.RAW, ends_of)

    def add(self, readings: RowArray, series_count: int) -> None:
        """Take in readings, each of a window of its own."""
        self._pending.add(readings, series_count)

    def take(self, states: RowArray, clock: IntArray) -> tuple[RowArray, RowArray]:
        """Take out the readings of longer windows that end by their series' clock.

        Args:
            states: those of shorter windows that are due.
            clock: of each series, ns.

        Returns:
            The states, with those of readings of the same series before them, in order of arrival;
            and the readings of other series, sorted.
        """
        readings = ordered(self._pending.take(clock))
        if not len(states) or not len(readings):
            return states, readings
        has_states = np.zeros(len(clock), np.bool_)
        has_states[states["series"]] = True
        beside = has_states[readings["series"]]
        lifted = self._states_of(picked(readings, beside))
        return joined([lifted, states], statistics.STATE), picked(readings, ~beside)

    def rows(self) -> RowArray:
        """Return all readings in order of arrival."""
        return self._pending.rows()

    def restore(self, readings: RowArray, series_count: int) -> None:
        """Take over what :meth:`rows` returned in place of what is here."""
        self._pending.restore(readings, series_count)
