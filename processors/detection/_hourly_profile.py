# SPDX-License-Identifier: EUPL-1.2
"""What is usual at each hour of the day, as an offset from the mean of about a day."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, Int64Array
from lamppost.times import HOUR_NS

SLOTS: Final = 24


class HourlyProfile:
    """The 24 offsets of each series, seen from rows laid out by round.

    An offset belongs to the middle of its hour (UTC); between two middles it runs straight.
    """

    def __init__(
        self,
        offsets: FloatArray,
        codes: npt.NDArray[np.int32],
        time: Int64Array,
        rate: FloatArray,
    ) -> None:
        """Find the offsets each row needs.

        Args:
            offsets: the state, shape (series, 24); learning writes into it.
            codes: series of each row, shape (n,).
            time: instant of each row, ns UTC, shape (n,).
            rate: learning rate of each row's hour, shape (n,).
        """
        hours = time / HOUR_NS - 0.5
        earlier = np.floor(hours).astype(np.int64)
        first = codes.astype(np.int64) * SLOTS
        self._offsets = offsets.reshape(-1)
        slot = earlier % SLOTS
        self._earlier = first + slot
        self._later = first + np.where(slot == SLOTS - 1, 0, slot + 1)
        self._hour = first + time // HOUR_NS % SLOTS
        self._weight = hours - earlier
        self._rate = rate

    def offset(self, rows: slice) -> FloatArray:
        """Return the offset expected at some rows."""
        earlier = self._offsets[self._earlier[rows]]
        later = self._offsets[self._later[rows]]
        expected: FloatArray = earlier + self._weight[rows] * (later - earlier)
        return expected

    def learn(self, rows: slice, offset: FloatArray) -> None:
        """Move the hours of some rows, each of another series, towards an observed offset."""
        hour = self._hour[rows]
        self._offsets[hour] += self._rate[rows] * (offset - self._offsets[hour])
