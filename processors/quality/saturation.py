# SPDX-License-Identifier: EUPL-1.2
"""Saturation: an instrument that stays at the end of its scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.explained import QuantitySettings
from lamppost.flags import Reason
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import NO_TIME, SECOND_NS
from lamppost.wording import by_quantity, exactly, listed, with_unit
from processors._per_series import PerSeries, QuantityName, optional

from ._runs import began_at, chosen_rows
from ._verdicts import answer

SATURATION: Final = Reason(
    17,
    "saturation",
    "The instrument has stayed at the end of its scale for longer than the weather does.",
    "citizen networks' humidity sensors stuck at 99.9 % (DHT22); durations are the city's",
)


class SaturationLimits(Settings):
    """The end of one quantity's scale, and how long a reading may stay there."""

    high: float | None = Field(
        default=None, description="Values from here upwards are the upper end of the scale."
    )
    low: float | None = Field(
        default=None, description="Values from here downwards are the lower end of the scale."
    )
    suspect_s: float = Field(
        gt=0, description="Time at the end of the scale that makes readings suspect, seconds."
    )
    fail_s: float | None = Field(
        default=None, description="Time that makes them fail, seconds; never when left out."
    )

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if self.high is None and self.low is None:
            raise ValueError("give high, low or both")
        if self.fail_s is not None and self.fail_s < self.suspect_s:
            raise ValueError("fail_s must not be below suspect_s")
        return self

    def ends(self, unit: str) -> Iterator[str]:
        """Yield the ends of the scale in words."""
        if self.high is not None:
            yield f"{with_unit(self.high, unit)} and more"
        if self.low is not None:
            yield f"{with_unit(self.low, unit)} and less"

    def numbers(self) -> tuple[float, ...]:
        """Return both ends and both durations, nanoseconds."""
        high = np.inf if self.high is None else self.high
        low = -np.inf if self.low is None else self.low
        return high, low, self.suspect_s * SECOND_NS, optional(self.fail_s) * SECOND_NS

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        if self.low is not None and self.high is not None and self.low >= self.high:
            yield "low", "must lie below high, else every value is at the end of the scale"


class SaturationSettings(QuantitySettings):
    """Limits by quantity; a quantity without limits is not judged."""

    quantities: dict[QuantityName, SaturationLimits] = Field(
        default_factory=dict, description="Limits by canonical quantity name."
    )


@register("check")
class Saturation:
    """Flags readings of an instrument that stays at the end of its scale.

    A run lasts while every value is ``>= high`` or ``<= low``; a reading is suspect or fails when
    its run has lasted ``suspect_s`` or ``fail_s``. Unlike with a flat line, values may move within
    the end of the scale. One healthy value ends the run; a missing one neither ends nor prolongs
    it. Stand it before what relies on the quantity: humidity corrects particles.

    Known failures: fog keeps a healthy humidity sensor near 100 % for a night, so ``suspect_s``
    must be longer; a sensor that saturates from 90 % on and dries at noon is found only in damp.
    """

    name: ClassVar[str] = "saturation"
    reasons: ClassVar[tuple[Reason, ...]] = (SATURATION,)
    scope: ClassVar[Scope] = "series"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[SaturationSettings]] = SaturationSettings

    @classmethod
    def describe(cls, settings: SaturationSettings) -> str:
        """Say where the scales end, and how long a value may stay there."""
        given = settings.given()
        ends = by_quantity(given, lambda one, unit: listed(list(one.ends(unit)), "or"))
        suspect = by_quantity(given, lambda one, _: f"after {exactly(one.suspect_s)}")
        fail = by_quantity(
            given, lambda one, _: "" if one.fail_s is None else f"after {exactly(one.fail_s)}"
        )
        fails = f" and then fails ({fail})" if fail else ""
        return (
            f"A reading of an instrument that stays at the end of its scale ({ends}) is suspect"
            f" ({suspect}){fails}."
        )

    def __init__(self, settings: SaturationSettings, series: SeriesTable) -> None:
        """Prepare the limits."""
        self._limits = PerSeries.given_by(series, settings.quantities, width=4)
        self._series = series
        self._state = SeriesState(began=np.int64(NO_TIME))

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the settings say anything about the quantity."""
        return self._limits.given_for(key.quantity)

    def judge(self, rows: Rows) -> Verdict:
        """Find since when each series has been at the end of its scale."""
        self._state.grow(len(self._series))
        high, low, suspect_ns, fail_ns = self._limits.of_rows(rows.groups)
        judged = ~np.isnan(high)
        at_end = (rows.value >= high) | (rows.value <= low)
        where, seen = chosen_rows(rows, judged & ~rows.missing)
        groups, holds = seen.groups, at_end[where]
        began = began_at(groups, holds, seen.time, self._state["began"][groups.places])
        self._state["began"][groups.places] = began[groups.lasts]
        lasted = np.full(len(rows), -1.0)
        lasted[where] = np.where(holds, seen.time - began, -1)
        flag, reasons = answer(
            rows.missing,
            reason=SATURATION,
            evaluated=judged,
            suspect=lasted >= suspect_ns,
            fail=lasted >= fail_ns,
        )
        return Verdict(flag, reasons)

    def snapshot(self) -> Snapshot:
        """Return since when each series has been at the end of its scale."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over since when each series has been at the end of its scale."""
        self._state.restore(snapshot)
