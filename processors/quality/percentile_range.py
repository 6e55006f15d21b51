# SPDX-License-Identifier: EUPL-1.2
"""Percentile range: values outside what this very series has shown in the last weeks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.explained import QuantitySettings
from lamppost.flags import Reason
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import DAY_NS
from lamppost.wording import by_quantity, counted, digits, in_common, span, with_unit
from processors._per_series import PerSeries, QuantityName

from ._chosen import NOT_CHOSEN, Chosen
from ._runs import chosen_rows, spread
from ._stretches import Stretches
from ._verdicts import answer

PERCENTILE_RANGE: Final = Reason(
    16,
    "percentile_range",
    "The value lies far outside what this series has shown in the last weeks.",
    "QARTOD percentile range (ioos_qc percentile_range_test), on a fading histogram",
)

_NEVER: Final = -(2**40)
_FEW: Final = 16
"""Up to so many series, days are gone through series by series, which is quicker for long ones."""


class PercentileLimits(Settings):
    """What is usual of one quantity."""

    span: tuple[float, float] = Field(
        description="Lowest and highest value the histogram tells apart; others count as its ends."
    )
    pad: float = Field(
        default=0.0, ge=0, description="How far beyond the percentiles a value is still good."
    )

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if not self.span[0] < self.span[1]:
            raise ValueError("span must run from low to high")
        return self

    def numbers(self) -> tuple[float, ...]:
        """Return the span and the pad in a row."""
        return *self.span, self.pad


class PercentileRangeSettings(QuantitySettings):
    """What is usual by quantity; a quantity that is not named is not judged."""

    quantities: dict[QuantityName, PercentileLimits] = Field(
        default_factory=dict, description="What is usual, by canonical quantity name."
    )
    percentiles: tuple[float, float] = Field(
        default=(5.0, 95.0), description="Lower and upper percentile, 0 to 100."
    )
    bins: int = Field(default=100, ge=2, le=1000, description="Bins of the histogram.")
    half_life_days: float = Field(
        default=14.0, gt=0, description="After so many days a reading counts half."
    )
    min_readings: float = Field(
        default=1_000.0, gt=0, description="Readings, faded, below which nothing is judged."
    )

    @model_validator(mode="after")
    def _order(self) -> Self:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError("percentiles must run from low to high within 0 to 100")
        return self


@register("check")
class PercentileRange:
    """Flags values outside the percentiles of the days before, by more than ``pad``.

    ``x < P_low - pad`` or ``x > P_high + pad`` is suspect, never worse. The percentiles are those
    of a histogram of the series' good and suspect readings of all earlier UTC days, which fades
    with ``half_life_days``; today's readings count from tomorrow on. QARTOD takes them from the
    whole record instead, which a stream does not have.

    Known failures: without a generous ``pad`` one reading in ten is flagged by definition; the
    first cold week of autumn is unusual, too; what stays wrong becomes usual.
    """

    name: ClassVar[str] = "percentile_range"
    reasons: ClassVar[tuple[Reason, ...]] = (PERCENTILE_RANGE,)
    scope: ClassVar[Scope] = "series"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[PercentileRangeSettings]] = PercentileRangeSettings

    @classmethod
    def describe(cls, settings: PercentileRangeSettings) -> str:
        """Say what is usual of a series, and how far beyond a value may lie."""
        given = settings.given()
        low, high = map(digits, settings.percentiles)
        pad = by_quantity(given, lambda one, unit: f"by more than {with_unit(one.pad, unit)}")
        spans = in_common(given, lambda one, unit: span(one.span, unit))
        half = counted(settings.half_life_days, "day")
        return (
            f"A reading outside the percentiles {low} to {high} of what the series has shown on"
            f" the days before is suspect ({pad}); values are told apart in {settings.bins} steps"
            f" of {spans}, one counts half after {half}, and {digits(settings.min_readings)}"
            " readings are needed (after QARTOD percentile range)."
        )

    def __init__(self, settings: PercentileRangeSettings, series: SeriesTable) -> None:
        """Prepare an empty histogram for each series judged."""
        self._settings = settings
        self._limits = PerSeries.given_by(series, settings.quantities, width=3)
        self._chosen = Chosen(series, settings.quantities)
        self._state = SeriesState(
            day=np.int64(_NEVER),
            today=np.zeros(settings.bins, np.float32),
            before=np.zeros(settings.bins, np.float32),
            low=np.float64(np.nan),
            high=np.float64(np.nan),
        )

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the settings say anything about the quantity."""
        return self._limits.given_for(key.quantity)

    def judge(self, rows: Rows) -> Verdict:
        """Hold every reading against the days before its own, day by day."""
        self._state.grow(len(self._chosen))
        chosen = self._chosen.of(rows.groups.series) != NOT_CHOSEN
        where, seen = chosen_rows(rows, chosen & rows.usable & np.isfinite(rows.value))
        limits = self._limits.of_rows(seen.groups)
        stretches = Stretches.of(seen.groups, seen.time // DAY_NS)
        shares = self._follow(seen, stretches, limits)
        by_row = limits.shape[1] > max(len(stretches.first), 1)
        low, high, pad = limits[:, stretches.first] if by_row else limits
        bottom, top = low + shares * (high - low)
        bottom, top = bottom - pad, top + pad
        unlike = seen.value < stretches.spread(bottom)
        unlike |= seen.value > stretches.spread(top)
        flag, reasons = answer(
            rows.missing,
            reason=PERCENTILE_RANGE,
            evaluated=spread(where, len(rows), stretches.spread(~np.isnan(bottom))),
            suspect=spread(where, len(rows), unlike),
        )
        return Verdict(flag, reasons)

    def _follow(self, rows: Rows, stretches: Stretches, limits: FloatArray) -> FloatArray:
        """Count the readings day by day; return both percentiles of the days before each stretch.

        Percentiles are shares of the span, shape (2, stretches).
        """
        counted = self._bin(rows.value, limits)
        number = self._chosen.of(rows.groups.series[stretches.first])
        shares = np.full((2, len(number)), np.nan)
        if not len(number):
            return shares
        if len(rows.groups.starts) <= _FEW and stretches.turn.any():
            counted += stretches.of_row * self._settings.bins
            counts = np.bincount(counted, minlength=len(number) * self._settings.bins)
            self._follow_few(stretches, number, counts.reshape(len(number), -1), shares)
            return shares
        counted += stretches.spread(number) * self._settings.bins
        today = self._state["today"].reshape(-1)
        for opened, inside in stretches.turns():
            mine = number[opened]
            self._turn_over(mine, stretches.bucket[opened])
            shares[:, opened] = self._state["low"][mine], self._state["high"][mine]
            np.add.at(today, counted[inside], np.float32(1))
        return shares

    def _follow_few(
        self, stretches: Stretches, number: Int64Array, counts: Int64Array, shares: FloatArray
    ) -> None:
        """Do what :meth:`_turn_over` does for many days of few series, day after day of each.

        Args:
            stretches: days of series.
            number: of the series of each.
            counts: readings in each bin of each, shape (stretches, bins).
            shares: both percentiles of the days before each; filled in.
        """
        state = self._state
        former = np.where(stretches.turn > 0, np.roll(stretches.bucket, 1), state["day"][number])
        passed = stretches.bucket - former
        fades, counted = self._fades(passed), counts.astype(np.float32)
        days = np.empty_like(counted)
        starts = np.flatnonzero(stretches.turn == 0)
        ends = np.append(starts[1:], len(number))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            before, today = state["before"][number[start]], state["today"][number[start]]
            for at in range(start, end):
                if passed[at]:
                    before, today = fades[at] * (before + today), counted[at]
                else:
                    today = today + counted[at]
                days[at] = before
            state["before"][number[start]], state["today"][number[start]] = before, today
        shares[:] = self._percentiles(days)
        under_way = passed == 0
        shares[:, under_way] = [state[name][number[under_way]] for name in ("low", "high")]
        last = ends - 1
        state["day"][number[last]] = stretches.bucket[last]
        state["low"][number[last]], state["high"][number[last]] = shares[:, last]

    def _fades(self, days: Int64Array) -> FloatArray:
        """Return what is left of readings after some days."""
        passed = np.minimum(days, 10_000)
        return (0.5 ** (passed / self._settings.half_life_days)).astype(np.float32)

    def _turn_over(self, number: Int64Array, day: Int64Array) -> None:
        """Let the days before fade, and take the last one in, for series that enter a new day."""
        new = self._state["day"][number] != day
        number, day = number[new], day[new]
        if not len(number):
            return
        fade = self._fades(day - self._state["day"][number])[:, None]
        before = fade * (self._state["before"][number] + self._state["today"][number])
        self._state["before"][number] = before
        self._state["today"][number] = 0
        self._state["day"][number] = day
        self._state["low"][number], self._state["high"][number] = self._percentiles(before)

    def _percentiles(self, histogram: npt.NDArray[np.floating[Any]]) -> FloatArray:
        """Return both percentiles as shares of the span, NaN with too few readings."""
        risen = np.cumsum(histogram, axis=1, dtype=np.float64)
        total = risen[:, -1]
        row = np.arange(len(risen))
        found = np.full((2, len(risen)), np.nan)
        for place, percentile in enumerate(self._settings.percentiles):
            wanted = total * percentile / 100
            inside = np.argmax(risen >= wanted[:, None], axis=1)
            below = np.where(inside > 0, risen[row, inside - 1], 0.0)
            width = np.maximum(risen[row, inside] - below, np.finfo(np.float32).tiny)
            found[place] = (inside + (wanted - below) / width) / self._settings.bins
        found[:, total < self._settings.min_readings] = np.nan
        return found

    def _bin(self, value: FloatArray, limits: FloatArray) -> Int64Array:
        low, high, _ = limits
        share = value - low
        share /= high - low
        np.clip(share, 0.0, 1.0, out=share)
        share *= self._settings.bins
        number: Int64Array = share.astype(np.int64)
        return np.minimum(number, self._settings.bins - 1, out=number)

    def snapshot(self) -> Snapshot:
        """Return the histograms."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the histograms."""
        self._state.restore(snapshot)
