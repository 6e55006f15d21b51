# SPDX-License-Identifier: EUPL-1.2
"""Indices told in levels: how many bounds a concentration lies above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lamppost.batch import FloatArray
from lamppost.wording import unit_of

from ._rating import NUDGE, Values


@dataclass(frozen=True)
class Bands:
    """The table of one pollutant: upper bounds of all levels but the worst, canonical unit.

    Attributes:
        quantity: canonical name of the pollutant.
        bounds: highest concentration of each level; the worst has none.
        levels: level of each band, where they are not 1, 2, 3 ...
        categories: category of each level, where it is not the level.
        rounded: whether concentrations are rounded to whole units first, half up.
        continuous: points in each band, for an index between its levels; 0 for levels.
    """

    quantity: str
    bounds: tuple[float, ...]
    levels: tuple[int, ...] = ()
    categories: tuple[int, ...] = ()
    rounded: bool = False
    continuous: float = 0.0

    def values(self, concentration: FloatArray) -> Values:
        """Return the level of concentrations; a bound belongs to the better level."""
        missing = ~np.isfinite(concentration)
        if self.continuous:
            missing |= concentration < 0
        taken = self._taken(np.where(missing, 0.0, concentration))
        band = np.searchsorted(np.array(self.bounds) + NUDGE, taken, side="left")
        level = self._levels()[band]
        category = np.array(self.categories)[level - 1] if self.categories else level
        value = self._between(taken, band) if self.continuous else level
        return Values(
            np.where(missing, np.nan, taken),
            np.where(missing, np.nan, value),
            np.where(missing, 0, category).astype(np.uint8),
            np.zeros(len(taken), np.uint8),
        )

    def _taken(self, concentration: FloatArray) -> FloatArray:
        """Return concentrations as the index takes them.

        Half up, never to even: 66.5 is 67.
        """
        return np.floor(concentration + 0.5 + NUDGE) if self.rounded else concentration

    def _levels(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array(self.levels or range(1, len(self.bounds) + 2), np.int64)

    def _between(
        self, taken: FloatArray, band: np.ndarray[tuple[int], np.dtype[np.intp]]
    ) -> FloatArray:
        """Return the index between levels; above the last bound the last band goes on."""
        edges = np.array([0.0, *self.bounds])
        width = np.diff(edges)
        inside = np.minimum(band, len(width) - 1)
        points: FloatArray = self.continuous * (inside + (taken - edges[inside]) / width[inside])
        return points

    def explain(self, concentration: float) -> list[str]:
        """Return how the level of one concentration comes about."""
        unit = unit_of(self.quantity)
        taken = float(self._taken(np.array([concentration]))[0])
        lines = [f"rounded half up to {taken:.0f} {unit}"] if self.rounded else []
        band = int(np.searchsorted(np.array(self.bounds) + NUDGE, taken, side="left"))
        level = int(self._levels()[band])
        low = f"above {self.bounds[band - 1]:g}" if band else ""
        high = f"up to {self.bounds[band]:g}" if band < len(self.bounds) else ""
        where = " and ".join(part for part in (low, high) if part)
        if self.continuous:
            points = float(self.values(np.array([concentration])).value[0])
            return [*lines, f"{where} {unit}: level {level}, {points:g} points"]
        return [*lines, f"{where} {unit}: level {level} of {int(self._levels()[-1])}"]
