# SPDX-License-Identifier: EUPL-1.2
"""Piecewise linear indices, computed in whole numbers so that every printed digit is right."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import numpy as np

from lamppost.batch import FloatArray, Int64Array
from lamppost.units import conversion
from lamppost.wording import printed_unit, unit_of

from ._rating import NUDGE, Values

_PLACES: Final = 12
_TOP: Final = 500
# Far above every table; a larger number would not fit into the whole numbers the index is made of.
_MOST_STEPS: Final = 1e9


@dataclass(frozen=True)
class Breakpoints:
    """The table of one pollutant: linear between breakpoints, truncated to steps first.

    Attributes:
        quantity: canonical name of the pollutant.
        unit: in which the table is written.
        step: to which a concentration is truncated, in that unit.
        bands: lowest and highest concentration of each band, as the table prints them.
        index: lowest and highest index of each band.
        category: of the first band.
        capped: the index stays at the top of the table; otherwise its last band goes on.
        categories: of the bands, where they are not one after the other from the first.
    """

    quantity: str
    unit: str
    step: str
    bands: tuple[tuple[str, str], ...]
    index: tuple[tuple[int, int], ...]
    category: int = 1
    capped: bool = False
    categories: tuple[int, ...] = ()
    _low: Int64Array = field(init=False, repr=False, compare=False)
    _high: Int64Array = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Write the bands in steps."""
        object.__setattr__(self, "_low", self._steps(0))
        object.__setattr__(self, "_high", self._steps(1))

    def _steps(self, side: int) -> Int64Array:
        edges = [int(Decimal(band[side]) / Decimal(self.step)) for band in self.bands]
        return np.array(edges, np.int64)

    @property
    def reaches_500(self) -> bool:
        """Whether the table ends where the index itself does."""
        return self.index[-1][1] == _TOP

    @property
    def per_unit(self) -> float:
        """Canonical units in one unit of the table.

        Canonical concentrations of gases are at the EU's 20 °C; a mixing ratio has no temperature,
        so the way back from them is the way a device's own ppb came in, to the last digit.
        """
        way = conversion(self.quantity, self.unit)
        if way is None:
            message = f"{self.unit} does not measure {self.quantity}"
            raise ValueError(message)
        return way.scale

    def values(self, concentration: FloatArray) -> Values:
        """Return the index of concentrations: truncated, interpolated, rounded half up.

        Less than nothing counts as nothing; below the table there is no value. Above a table that
        ends before the index does, another averaging has to say more: that is not beyond the index.
        """
        steps = self._truncated(concentration)
        missing = ~np.isfinite(concentration)
        out = missing | (steps < self._low[0])
        band = np.searchsorted(self._high[:-1], steps, side="left")
        top = self._high[-1]
        low, run = self._low[band], (self._high - self._low)[band]
        index_low, index_high = (
            np.array(edges, np.int64)[band] for edges in zip(*self.index, strict=True)
        )
        category = np.array(
            self.categories or range(self.category, self.category + len(self.bands))
        )
        within = np.minimum(steps, top) if self.capped else steps
        value = index_low + (2 * (index_high - index_low) * (within - low) + run) // (2 * run)
        back = steps * float(self.step) * self.per_unit
        return Values(
            np.where(missing, np.nan, self._printable(steps) if self.per_unit == 1 else back),
            np.where(out, np.nan, value),
            np.where(out, 0, category[band]).astype(np.uint8),
            (~out & (steps > top) & self.reaches_500).astype(np.uint8),
        )

    def _truncated(self, concentration: FloatArray) -> Int64Array:
        """Return whole steps; the nudge makes up for what binary digits lack of decimal ones."""
        per_step = round(1 / float(self.step), _PLACES)
        # A device's 1e308 times the steps of a unit would be infinite.
        bounded = np.clip(np.nan_to_num(concentration), 0.0, _MOST_STEPS)
        steps = np.floor(bounded / self.per_unit * per_step + NUDGE)
        return np.minimum(steps, _MOST_STEPS).astype(np.int64)

    def _printable(self, steps: Int64Array) -> FloatArray:
        """Return steps in units, as the nearest float of the decimal number."""
        printed: FloatArray = steps / round(1 / float(self.step), _PLACES)
        return printed

    def explain(self, concentration: float) -> list[str]:
        """Return how the value of one concentration comes about."""
        at = np.array([concentration])
        steps, unit = int(self._truncated(at)[0]), printed_unit(self.unit)
        inside = concentration / self.per_unit
        lines = []
        if self.per_unit != 1:
            canonical = unit_of(self.quantity)
            lines.append(
                f"{concentration:.6g} {canonical} / {self.per_unit:.6g} = {inside:.6g} {unit}"
                f" ({canonical} at 20 °C and 101.325 kPa)"
            )
        truncated = Decimal(steps) * Decimal(self.step)
        lines.append(f"truncated to {self.step}: {truncated} {unit}")
        if steps < self._low[0]:
            return [*lines, f"below {self.bands[0][0]} {unit} this table has no value"]
        number = int(np.searchsorted(self._high[:-1], steps, side="left"))
        (low, high), (index_low, index_high) = self.bands[number], self.index[number]
        lines.append(f"band {low} to {high} {unit}: index {index_low} to {index_high}")
        if steps > self._high[-1] and not self.reaches_500:
            ends = f"above this table, which ends at {index_high}"
            return [*lines, f"{ends}: more is for another averaging to say"]
        if steps > self._high[-1] and self.capped:
            return [*lines, f"above this table, which ends at {index_high}"]
        if steps > self._high[-1]:
            lines.append("above the table, whose last band goes on")
        exact = index_low + (index_high - index_low) * (truncated - Decimal(low)) / (
            Decimal(high) - Decimal(low)
        )
        lines.append(
            f"({index_high} - {index_low}) / ({high} - {low}) * ({truncated} - {low}) + {index_low}"
            f" = {exact:.4f}, rounded half up to {self.values(at).value[0]:.0f}"
        )
        return lines
