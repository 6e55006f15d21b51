# SPDX-License-Identifier: EUPL-1.2
"""Public threshold: hours or days in a row above a level at which the law has the public told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from lamppost.alerts import Signal
from lamppost.batch import DAY, FIXED, AggregateBatch, Int64Array
from lamppost.component import Observed, Settings, register
from lamppost.flags import MISSING
from lamppost.grouping import BoolArray, Groups
from lamppost.quantities import QUANTITIES
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.stations import Station
from lamppost.times import DAY_NS, HOUR_NS, NO_TIME, format_instant
from lamppost.units import CONDITIONS, Conditions, is_gas
from lamppost.wording import percent, unit_of, with_unit
from processors._per_series import PerSeries, QuantityName

from ._conditions import Brought
from ._wording import amount, label

_REMEMBERED: Final = 64
_TINY: Final = 1e-9
_ROUNDING: Final = 1e-6
_EPOCH: Final = date(1970, 1, 1)
_UNITS: Final = {"1h": "hour", "day": "day"}


class PublicThresholdSettings(Settings):
    """Which level, for how long, since when, and what the public is told."""

    quantity: QuantityName = Field(description="Pollutant judged.")
    window: Literal["1h", "day"] = Field(
        default="1h", description="Mean of an hour, or of a day of the city's calendar."
    )
    above: float = Field(gt=0, description="Level, canonical unit.")
    gas_conditions: Conditions = Field(
        default="eu_20c",
        description="Temperature and pressure at which the level of a gas is written: eu_20c or"
        " us_25c. Means are brought there from units.gas_conditions before they are compared.",
    )
    consecutive: int = Field(
        default=1, ge=1, le=24, description="Windows in a row that must be above it."
    )
    precision: float = Field(
        default=1.0,
        gt=0,
        description="Means are rounded to this, half up, before they are compared.",
    )
    min_coverage: float = Field(
        default=0.75, ge=0, le=1, description="Coverage a window must have to be judged."
    )
    in_force_from: date | None = Field(
        default=None, description="First day (UTC) on which it applies."
    )
    in_force_until: date | None = Field(
        default=None, description="Last day (UTC) on which it applies."
    )
    advice: str = Field(default="", description="What the public is advised to do.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.in_force_from and self.in_force_until and self.in_force_until < self.in_force_from:
            raise ValueError("in_force_until must not lie before in_force_from")
        return self

    @model_validator(mode="after")
    def _is_a_step(self) -> Self:
        steps = self.above / self.precision
        if abs(steps - round(steps)) > _ROUNDING:
            raise ValueError(
                f"precision: {self.above:g} is no multiple of {self.precision:g}, so that rounded"
                f" means would be held against {round(steps) * self.precision:g}"
            )
        return self

    @property
    def calendar(self) -> int:
        """Calendar of the windows."""
        return DAY if self.window == "day" else FIXED

    @property
    def usual_ns(self) -> int:
        """Usual length of the windows; a day of the calendar may be an hour shorter or longer."""
        return DAY_NS if self.window == "day" else HOUR_NS

    def windows_needed(self) -> Mapping[str, int]:
        """Return the windows that are judged."""
        return {"window": -DAY if self.window == "day" else HOUR_NS}


@register("alert")
class PublicThreshold:
    """Holds once so many hours or days in a row are above a level that concerns the public.

    A window is above when its mean, rounded half up to ``precision``, is greater than ``above``;
    of a gas the mean at the temperature and pressure of the law, wherever it was weighed.
    It holds from the end of the last of ``consecutive`` windows in a row, and ends with the first
    window that is not above. A window that is missing, or covered too thinly, interrupts the row
    before it holds, and afterwards neither goes on nor ends it. A corrected window counts: it may
    complete a row, or show that there was none. Windows that ended longer ago than ``consecutive``
    and two more are not judged.

    Source: ozone 180 and 240 µg/m³ (one hour), NO2 400 and SO2 500 (three hours in a row):
    2008/50/EC, Annex XII. Those of 2024/2881, Annex I, section 4, by one source.

    Known failures: the law means places that stand for 100 square kilometres or a whole zone; one
    street is less. Days are those of the city's calendar, with 23 or 25 hours when clocks change.
    A device that sends its hours late alerts late, or, beyond two windows, not at all.
    """

    name: ClassVar[str] = "public_threshold"
    Settings: ClassVar[type[PublicThresholdSettings]] = PublicThresholdSettings
    unexplained: ClassVar[Mapping[str, str]] = {"advice": "told to the public, not when it is told"}

    @classmethod
    def describe(cls, settings: PublicThresholdSettings) -> str:
        """Say above which level the public is told, and when that applies."""
        unit, window = unit_of(settings.quantity), _UNITS[settings.window]
        row = f"means over {settings.consecutive} {window}s in a row, each"
        means = row if settings.consecutive > 1 else f"mean over one {window},"
        weighed = f" at {CONDITIONS[settings.gas_conditions]}" if is_gas(settings.quantity) else ""
        verb = "are" if settings.consecutive > 1 else "is"
        since = f" from {settings.in_force_from}" if settings.in_force_from else ""
        until = f" until {settings.in_force_until}" if settings.in_force_until else ""
        force = f"; in force{since}{until}" if since or until else ""
        return (
            f"It holds once the {settings.quantity} {means} rounded to"
            f" {with_unit(settings.precision, unit)}, {verb} above"
            f" {with_unit(settings.above, unit)}{weighed} with at least"
            f" {percent(settings.min_coverage)} covered{force}."
        )

    def __init__(
        self,
        settings: PublicThresholdSettings,
        series: SeriesTable,
        stations: Mapping[str, Station],  # noqa: ARG002 - every alert rule is given the stations
    ) -> None:
        """Prepare the memory of the last windows."""
        self._settings = settings
        self._series = series
        self._wanted = PerSeries(series, {settings.quantity: (1.0,)}, width=1)
        self._brought = Brought(settings.quantity, settings.gas_conditions)
        self._row = np.uint64((1 << settings.consecutive) - 1)
        self._limit = round(settings.above / settings.precision)
        self._state = SeriesState(
            above=np.uint64(0),
            newest=np.int64(NO_TIME),
            end=np.int64(NO_TIME),
            value=np.float64(np.nan),
            holds=np.bool_(False),
        )

    def weigh_at(self, conditions: Conditions) -> None:
        """Take masses of gases to be given at some conditions."""
        self._brought = self._brought.weighed_at(conditions)

    def evaluate(self, observed: Observed) -> list[Signal]:
        """Judge the windows of this step."""
        self._state.grow(len(self._series))
        found = self._judged(observed) if len(observed.aggregates) else None
        signals: list[Signal] = []
        if found is not None:
            groups = Groups.by_series(found.series)
            for rows in groups.rounds():
                signals += self._take_in(found.take(groups.order[rows]))
        return signals + (self._given_up(observed.now) if observed.ticked else [])

    def snapshot(self) -> Snapshot:
        """Return the last windows of each series, as bits."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the last windows of each series."""
        self._state.restore(snapshot)

    def _judged(self, observed: Observed) -> AggregateBatch | None:
        """Return the windows that count, oldest first, of a window its revisions in order.

        None where there is none.
        """
        settings, found = self._settings, observed.aggregates
        if settings.calendar == FIXED:
            rows = np.flatnonzero(found.length == HOUR_NS)
        else:
            rows = np.flatnonzero(found.calendar == settings.calendar)
        if len(rows):  # most steps close no hour
            rows = rows[found.calendar[rows] == settings.calendar]
            rows = rows[~np.isnan(self._wanted.of(found.series[rows])[0])]
        if not len(rows):
            return None
        found = found.take(rows)
        own = (found.flag != MISSING) & np.isfinite(found.mean)
        own &= found.start + found.length >= observed.now - self._stale_ns
        own &= found.coverage >= settings.min_coverage
        if settings.in_force_from is not None:
            own &= found.start >= (settings.in_force_from - _EPOCH).days * DAY_NS
        if settings.in_force_until is not None:
            own &= found.start < ((settings.in_force_until - _EPOCH).days + 1) * DAY_NS
        found = found.take(own)
        return found.take(np.lexsort((found.revision, found.start)))

    @property
    def _stale_ns(self) -> int:
        return (self._settings.consecutive + 2) * self._settings.usual_ns

    def _take_in(self, found: AggregateBatch) -> list[Signal]:
        """Take in one window of each of some series."""
        codes, state = found.series, self._state
        # The middle of a day of 23 or 25 hours lies in the day that is counted.
        number = (found.start + found.length // 2) // self._settings.usual_ns
        mean = self._brought.of(found.mean)
        above = np.floor(mean / self._settings.precision + (0.5 + _TINY)) > self._limit
        former = state["newest"][codes]
        known = former != NO_TIME
        ahead = np.where(known, number - np.where(known, former, 0), _REMEMBERED)
        bits = _shifted(state["above"][codes], ahead)
        back = np.maximum(-ahead, 0)
        kept = back < _REMEMBERED
        bit = np.left_shift(np.uint64(1), np.where(kept, back, 0).astype(np.uint64))
        changed = np.where(above, bits | bit, bits & ~bit)
        state["above"][codes] = np.where(kept, changed, bits)
        newest = ahead >= 0
        state["newest"][codes[newest]] = number[newest]
        state["end"][codes[newest]] = (found.start + found.length)[newest]
        state["value"][codes[newest]] = mean[newest]
        return self._signals(codes, np.asarray(newest & ~above, np.bool_))

    def _signals(self, codes: npt.NDArray[np.int32], ends: BoolArray) -> list[Signal]:
        """Say what begins, goes on or ends for some series, now that a window came."""
        held = self._state["holds"][codes]
        row = self._state["above"][codes] & self._row == self._row
        newest_above = self._state["above"][codes] & np.uint64(1) == 1
        # A correction may show that there never was a row.
        holds = row | (held & newest_above & ~ends & self._has_row(self._state["above"][codes]))
        self._state["holds"][codes] = holds
        return [
            self._signal(int(codes[place]), active=bool(holds[place]))
            for place in np.flatnonzero(holds | held)
        ]

    def _has_row(self, bits: npt.NDArray[np.uint64]) -> BoolArray:
        """Return whether enough of the windows remembered are above in a row."""
        found = bits
        for step in range(1, self._settings.consecutive):
            found = found & np.right_shift(bits, np.uint64(step))
        return np.asarray(found != 0, np.bool_)

    def _given_up(self, now: int) -> list[Signal]:
        """End what holds for series that have stopped."""
        if not self._state["holds"].any():
            return []
        stale = now - self._state["end"] > self._stale_ns
        codes = np.flatnonzero(self._state["holds"] & stale)
        self._state["holds"][codes] = False
        return [self._signal(int(code), active=False, stopped=now) for code in codes]

    def _signal(self, code: int, *, active: bool, stopped: int | None = None) -> Signal:
        key, settings = self._series[code], self._settings
        unit, word = QUANTITIES[key.quantity].unit, _UNITS[settings.window]
        what, level = label(key.quantity, key.qualifiers), amount(settings.above, unit)
        level += self._brought.words
        value = float(self._state["value"][code])
        end = int(self._state["end"][code])
        if stopped is not None:
            sentence = f"{what} has not been known since {format_instant(end)}; no longer judged"
        elif not active:
            sentence = f"{what} {amount(value, unit)} in the last {word} is not above {level}"
        else:
            row = (
                f" for {settings.consecutive} {word}s in a row" if settings.consecutive > 1 else ""
            )
            sentence = f"{what} {amount(value, unit)} in the last {word} is above {level}{row}"
            sentence += f". {settings.advice}" if settings.advice else ""
        return Signal(
            subject=key.sensor,
            quantity=key.quantity,
            qualifiers=key.qualifiers,
            active=active,
            at=end if stopped is None else stopped,
            observed=value,
            expected=settings.above,
            band_low=np.nan,
            band_high=np.nan,
            unit=unit,
            sentence=sentence,
            clears_when=f"{what} in one {word} is not above {level}",
        )


def _shifted(bits: npt.NDArray[np.uint64], ahead: Int64Array) -> npt.NDArray[np.uint64]:
    """Return rows of bits as they stand so many windows later; what was before 64 falls out."""
    steps = np.clip(ahead, 0, _REMEMBERED - 1).astype(np.uint64)
    moved: npt.NDArray[np.uint64] = np.where(ahead >= _REMEMBERED, 0, np.left_shift(bits, steps))
    return moved
