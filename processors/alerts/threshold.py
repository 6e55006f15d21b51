# SPDX-License-Identifier: EUPL-1.2
"""Threshold: a statistic of a window, or a health index, beyond a limit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from lamppost.alerts import Signal
from lamppost.batch import FIXED, FloatArray, Int64Array
from lamppost.component import Observed, Settings, find, register
from lamppost.flags import MISSING
from lamppost.grouping import Groups
from lamppost.quantities import QUANTITIES
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.stations import Station
from lamppost.times import HOUR_NS, MINUTE_NS, NO_TIME, SECOND_NS, format_instant
from lamppost.units import CONDITIONS, Conditions
from lamppost.wording import exactly, percent, unit_of, with_unit
from processors._per_series import PerSeries, QuantityName

from ._conditions import Brought
from ._latch import latch, worth_saying
from ._wording import amount, label

_UNITS_NS: Final = {"s": SECOND_NS, "min": MINUTE_NS, "h": HOUR_NS}
_LENGTH: Final = re.compile(r"(\d+)(s|min|h)")

Statistic = Literal["mean", "max", "min", "total", "count"]


class ThresholdSettings(Settings):
    """What is compared with which limit."""

    quantity: QuantityName | None = Field(
        default=None, description="Quantity judged; with an index, all its pollutants if left out."
    )
    window: str | None = Field(
        default=None, description="Window length as in windows.yaml: 1min, 15min, 1h."
    )
    statistic: Statistic = Field(
        default="mean", description="Statistic of the window: mean, max, min, total or count."
    )
    index: str | None = Field(
        default=None, description="Name of a health index to judge in place of a window."
    )
    above: float | None = Field(default=None, description="It holds above this value.")
    below: float | None = Field(default=None, description="It holds below this value.")
    clear_below: float | None = Field(
        default=None, description="With above: it ends at this value or below; above if left out."
    )
    clear_above: float | None = Field(
        default=None, description="With below: it ends at this value or above; below if left out."
    )
    gas_conditions: Conditions | None = Field(
        default=None,
        description="Temperature and pressure at which the limits of a gas are written: eu_20c or"
        " us_25c. Left out: those of units.gas_conditions; values are compared as they are.",
    )
    min_coverage: float = Field(
        default=0.75, ge=0, le=1, description="Coverage a window must have to be judged."
    )
    stale_s: float = Field(
        default=10_800.0,
        gt=0,
        description="Older windows are not judged, and without newer ones it no longer holds.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.index is None) == (self.window is None):
            raise ValueError("give either window or index")
        if self.window is not None and (self.quantity is None or not self.window_ns):
            raise ValueError("a window needs a quantity and a length such as 15min")
        if (self.above is None) == (self.below is None):
            raise ValueError("give either above or below")
        if self.gas_conditions is not None and (
            self.index is not None or self.statistic not in {"mean", "max", "min"}
        ):
            raise ValueError("gas_conditions goes with the mean, max or min of a window")
        wrong = self.clear_above if self.below is None else self.clear_below
        if wrong is not None:
            raise ValueError("clear_below goes with above, and clear_above with below")
        if self.below is None and self.clear > self.limit:
            raise ValueError("clear_below must not lie above the limit")
        if self.above is None and self.clear < self.limit:
            raise ValueError("clear_above must not lie below the limit")
        return self

    @property
    def window_ns(self) -> int:
        """Length of the window; 0 where none is given."""
        match = _LENGTH.fullmatch(self.window or "")
        return int(match[1]) * _UNITS_NS[match[2]] if match else 0

    def judged(self) -> str:
        """Return in words what is compared."""
        if self.index is not None:
            return f"the index {self.index} of {self.quantity or 'any pollutant'}"
        return f"the {self.statistic} of {self.quantity} over {self.window}"

    def windows_needed(self) -> Mapping[str, int]:
        """Return the window that is judged."""
        return {} if self.window is None else {"window": self.window_ns}

    def indices_needed(self) -> Mapping[str, str]:
        """Return the index that is judged."""
        return {} if self.index is None else {"index": self.index}

    @property
    def limit(self) -> float:
        """The value beyond which it holds."""
        return float(self.above if self.above is not None else self.below or 0.0)

    @property
    def clear(self) -> float:
        """The value at which it ends."""
        given = self.clear_below if self.above is not None else self.clear_above
        return self.limit if given is None else given


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Numbers to judge, one row each."""

    series: npt.NDArray[np.int32]
    end: Int64Array
    revision: npt.NDArray[np.int32]
    value: FloatArray

    def take(self, rows: npt.NDArray[Any]) -> _Evidence:
        """Return some of the rows."""
        return _Evidence(self.series[rows], self.end[rows], self.revision[rows], self.value[rows])


@register("alert")
class Threshold:
    """Holds while a window's statistic, or a health index, lies beyond a limit.

    With ``clear_below`` (or ``clear_above``) it goes on holding until that value is reached, so
    that a value swinging around the limit is one alert. Windows with too little coverage are not
    judged, and a correction counts only for the newest window of its series.

    Source: limits of laws and guidelines, with their citation in the policy; how it is held and let
    go is Lamppost's own.

    Known failures: two stations on both sides of a limit tell two stories about the same air. Where
    a series is corrected, ``rating`` in the policy says whether the raw one is judged too.
    """

    name: ClassVar[str] = "threshold"
    Settings: ClassVar[type[ThresholdSettings]] = ThresholdSettings

    @classmethod
    def describe(cls, settings: ThresholdSettings) -> str:
        """Say what is beyond which limit, and when it no longer is."""
        unit = (
            ""
            if settings.index or settings.statistic == "count"
            else unit_of(settings.quantity or "")
        )
        given = settings.gas_conditions
        weighed = f" at {CONDITIONS[given]}" if given else ""
        side, back = ("above", "or less") if settings.above is not None else ("below", "or more")
        return (
            f"It holds while {settings.judged()} is {side}"
            f" {with_unit(settings.limit, unit)}{weighed}, until it is"
            f" {with_unit(settings.clear, unit)} {back}; windows with less than"
            f" {percent(settings.min_coverage)} covered are not judged, nor older ones than"
            f" {exactly(settings.stale_s)}."
        )

    def __init__(
        self,
        settings: ThresholdSettings,
        series: SeriesTable,
        stations: Mapping[str, Station],  # noqa: ARG002 - every alert rule is given the stations
    ) -> None:
        """Prepare the memory of what holds."""
        self._settings = settings
        self._series = series
        wanted = QUANTITIES if settings.quantity is None else (settings.quantity,)
        self._wanted = PerSeries(series, dict.fromkeys(wanted, (1.0,)), width=1)
        self._brought = Brought(settings.quantity or "", settings.gas_conditions)
        self._index = 0 if settings.index is None else _index_number(settings.index)
        self._state = SeriesState(holds=np.bool_(False), end=np.int64(NO_TIME))

    def weigh_at(self, conditions: Conditions) -> None:
        """Take masses of gases to be given at some conditions."""
        self._brought = self._brought.weighed_at(conditions)

    def evaluate(self, observed: Observed) -> list[Signal]:
        """Judge the windows or index values of this step."""
        self._state.grow(len(self._series))
        judged = observed.aggregates if self._settings.index is None else observed.indices
        signals = self._judge(self._evidence(observed), observed.now) if len(judged) else []
        return signals + (self._given_up(observed.now) if observed.ticked else [])

    def _news(self, evidence: _Evidence, now: int) -> _Evidence:
        """Return what is to be judged, sorted by series and time."""
        evidence = evidence.take(~np.isnan(self._wanted.of(evidence.series)[0]))
        order = np.lexsort((evidence.revision, evidence.end, evidence.series))
        evidence = evidence.take(order)
        oldest = np.int64(now - round(self._settings.stale_s * SECOND_NS))
        since = np.maximum(self._state["end"][evidence.series], oldest)
        return evidence.take(np.isfinite(evidence.value) & (evidence.end >= since))

    def snapshot(self) -> Snapshot:
        """Return what holds for each series."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over what holds for each series."""
        self._state.restore(snapshot)

    def _evidence(self, observed: Observed) -> _Evidence:
        if self._settings.index is not None:
            batch = observed.indices
            rows = np.flatnonzero(batch.index == self._index)
            return _Evidence(batch.series, batch.end, batch.revision, batch.value).take(rows)
        found = observed.aggregates
        rows = np.flatnonzero(found.length == self._settings.window_ns)
        usable = (found.calendar[rows] == FIXED) & (found.flag[rows] != MISSING)
        rows = rows[usable & (found.coverage[rows] >= self._settings.min_coverage)]
        value = np.asarray(getattr(found, self._settings.statistic)[rows], np.float64)
        value = self._brought.of(value)
        end = found.start[rows] + found.length[rows]
        return _Evidence(found.series[rows], end, found.revision[rows], value)

    def _judge(self, evidence: _Evidence, now: int) -> list[Signal]:
        evidence = self._news(evidence, now)
        if not len(evidence.series):
            return []
        groups = Groups(np.arange(len(evidence.series)), evidence.series)
        carried = self._state["holds"][groups.codes]
        if self._settings.above is not None:
            on, off = evidence.value > self._settings.limit, evidence.value <= self._settings.clear
        else:
            on, off = evidence.value < self._settings.limit, evidence.value >= self._settings.clear
        holds = latch(groups, on, off, carried)
        self._state["holds"][groups.codes] = holds[groups.lasts]
        self._state["end"][groups.codes] = evidence.end[groups.lasts]
        said = np.flatnonzero(worth_saying(groups, holds, carried))
        return [
            self._signal(
                int(evidence.series[row]),
                bool(holds[row]),
                int(evidence.end[row]),
                float(evidence.value[row]),
            )
            for row in said
        ]

    def _given_up(self, now: int) -> list[Signal]:
        """End what holds on evidence that is too old."""
        if not self._state["holds"].any():
            return []
        stale = now - self._state["end"] > self._settings.stale_s * SECOND_NS
        codes = np.flatnonzero(self._state["holds"] & stale)
        self._state["holds"][codes] = False
        return [self._signal(int(code), active=False, at=now, value=np.nan) for code in codes]

    def _signal(self, code: int, active: bool, at: int, value: float) -> Signal:  # noqa: FBT001
        key, settings = self._series[code], self._settings
        unit = "1" if settings.index is not None else QUANTITIES[key.quantity].unit
        side, clear_side = (
            ("above", "falls to") if settings.above is not None else ("below", "rises to")
        )
        what = self._what(key.quantity, key.qualifiers)
        if np.isnan(value):
            since = format_instant(int(self._state["end"][code]))
            sentence = f"{what} has not been known since {since}; it is no longer judged"
        else:
            verb = "is" if active else "is no longer"
            limit = amount(settings.limit, unit) + self._brought.words
            sentence = f"{what} {amount(value, unit)} {verb} {side} {limit}"
        return Signal(
            subject=key.sensor,
            quantity=key.quantity,
            qualifiers=key.qualifiers,
            active=active,
            at=at,
            observed=value,
            expected=settings.limit,
            band_low=np.nan,
            band_high=np.nan,
            unit=unit,
            sentence=sentence,
            clears_when=f"{what} {clear_side} {amount(settings.clear, unit)}",
        )

    def _what(self, quantity: str, qualifiers: str) -> str:
        if self._settings.index is not None:
            return f"{label(quantity, qualifiers)} index ({self._settings.index})"
        return f"{label(quantity, qualifiers)} {self._settings.window} {self._settings.statistic}"


def _index_number(name: str) -> int:
    return int(find("index", name, "settings.index").cls.number)
