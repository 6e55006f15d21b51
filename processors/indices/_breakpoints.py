# SPDX-License-Identifier: EUPL-1.2
"""Piecewise linear indices, computed in whole numbers so that every printed digit is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lamppost.batch import FlagArray, FloatArray

# A mean of decimal numbers can fall short of its true value by the last binary digit.
_NUDGE = 1e-6


class Values(NamedTuple):
    """An index and what it was computed from.

    Attributes:
        concentration: truncated as the index demands.
        value: whole number; NaN where there is no concentration.
        category: 1 (best) upwards; 0 where there is no concentration.
        beyond: 1 where the value lies above the table.
    """

    concentration: FloatArray
    value: FloatArray
    category: FlagArray
    beyond: FlagArray

    def where(self, kept: npt.NDArray[np.bool_], other: Values) -> Values:
        """Return these values, those of ``other`` where they are not kept."""
        return Values(
            np.where(kept, self.concentration, other.concentration),
            np.where(kept, self.value, other.value),
            np.where(kept, self.category, other.category),
            np.where(kept, self.beyond, other.beyond),
        )


@dataclass(frozen=True, slots=True)
class Table:
    """Breakpoints of one pollutant.

    Attributes:
        per_unit: steps of the truncated concentration in one canonical unit (10 for 0.1).
        low: lowest concentration of each category, in steps.
        high: highest concentration of each category, in steps.
        index_low: index at ``low``.
        index_high: index at ``high``.
    """

    per_unit: int
    low: tuple[int, ...]
    high: tuple[int, ...]
    index_low: tuple[int, ...]
    index_high: tuple[int, ...]

    def values(self, concentration: FloatArray) -> Values:
        """Return the index of concentrations: truncated, interpolated, rounded half up.

        Above the table the last segment goes on; a negative concentration counts as 0.
        """
        missing = ~np.isfinite(concentration)
        present = np.where(missing, 0.0, np.maximum(concentration, 0.0))
        steps = np.floor(present * self.per_unit + _NUDGE).astype(np.int64)
        category = np.searchsorted(self.high[:-1], steps, side="left")
        low, high = np.take(self.low, category), np.take(self.high, category)
        index_low, index_high = (
            np.take(self.index_low, category),
            np.take(self.index_high, category),
        )
        rise, run = index_high - index_low, high - low
        value = index_low + (2 * rise * (steps - low) + run) // (2 * run)
        return Values(
            np.where(missing, np.nan, steps / self.per_unit),
            np.where(missing, np.nan, value),
            np.where(missing, 0, category + 1).astype(np.uint8),
            (steps > self.high[-1]).astype(np.uint8),
        )
