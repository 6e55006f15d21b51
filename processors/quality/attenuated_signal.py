# SPDX-License-Identifier: EUPL-1.2
"""Attenuated signal: an instrument that hardly moves any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.flags import FAIL, MISSING, Reason
from lamppost.series import SeriesTable
from lamppost.state import Snapshot
from lamppost.times import SECOND_NS
from processors._per_series import PerSeries, QuantityName, optional

from ._chosen import Chosen
from ._runs import chosen_rows
from ._sliding import Sliding
from ._verdicts import answer

ATTENUATED_SIGNAL: Final = Reason(
    14,
    "attenuated_signal",
    "The values have moved less over a time than this quantity does.",
    "QARTOD attenuated signal test (ioos_qc attenuated_signal_test)",
)


class AttenuatedLimits(Settings):
    """How much one quantity moves at least."""

    window_s: float = Field(gt=0, description="Time looked back on, seconds.")
    suspect: float = Field(ge=0, description="Activity below which a reading is suspect.")
    fail: float | None = Field(
        default=None, description="Activity below which it fails; never when left out."
    )
    activity: Literal["sd", "range"] = Field(
        default="range",
        description="Standard deviation (of the population), or largest - smallest.",
    )
    min_readings: int = Field(
        default=10, ge=1, description="Readings the window must hold, else nothing is evaluated."
    )

    @model_validator(mode="after")
    def _fall(self) -> Self:
        if self.fail is not None and self.fail > self.suspect:
            raise ValueError("fail must not be above suspect")
        return self

    def numbers(self) -> tuple[float, ...]:
        """Return window (ns), limits, 1 for sd, and readings needed."""
        by_sd = float(self.activity == "sd")
        return (
            self.window_s * SECOND_NS,
            self.suspect,
            optional(self.fail),
            by_sd,
            float(self.min_readings),
        )


class AttenuatedSignalSettings(Settings):
    """Limits by quantity; a quantity without limits is not judged."""

    quantities: dict[QuantityName, AttenuatedLimits] = Field(
        default_factory=dict, description="Limits by canonical quantity name."
    )


@register("check")
class AttenuatedSignal:
    """Flags readings at the end of a time in which the values hardly moved.

    Activity is ``max - min`` or ``sqrt(mean((x - mean)^2))`` of the readings in ``(t - window_s,
    t]``, strictly below the limit to be flagged. Unlike a flat line the values need not be equal.
    Failed readings do not enter the window. Each window is the end of one stretch of ``window_s``
    and the beginning of the next, of which running results are kept: a reading costs the same
    however long the window is.

    Known failures: clean air, and pressure in a calm high, hardly move either; values rounded
    coarsely seem not to.
    """

    name: ClassVar[str] = "attenuated_signal"
    reasons: ClassVar[tuple[Reason, ...]] = (ATTENUATED_SIGNAL,)
    scope: ClassVar[Scope] = "series"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[AttenuatedSignalSettings]] = AttenuatedSignalSettings

    def __init__(self, settings: AttenuatedSignalSettings, series: SeriesTable) -> None:
        """Prepare the limits."""
        given = {name: limits.numbers() for name, limits in settings.quantities.items()}
        self._limits = PerSeries(series, given, width=5)
        self._chosen = Chosen(series, settings.quantities)
        self._windows = Sliding()

    def judge(self, rows: Rows) -> Verdict:
        """Measure how much the readings up to each one moved."""
        self._windows.grow(len(self._chosen))
        chosen = self._chosen.of(rows.groups.codes)[rows.groups.group] >= 0
        usable = chosen & (rows.flag != FAIL) & (rows.flag != MISSING) & np.isfinite(rows.value)
        where, groups = chosen_rows(rows, usable)
        window_ns, suspect, fail, by_sd, min_readings = self._limits.of(groups.series)
        seen = self._windows.follow(
            groups,
            self._chosen.of(groups.codes),
            rows.time[where],
            rows.value[where],
            np.nan_to_num(window_ns, nan=1.0).astype(np.int64),
        )
        activity = np.where(by_sd == 1, seen.sd, seen.range)
        enough = (seen.count >= min_readings) & ~np.isnan(activity)
        evaluated, is_suspect, is_fail = np.zeros((3, len(rows)), np.bool_)
        evaluated[where] = enough
        is_suspect[where] = enough & (activity < suspect)
        is_fail[where] = enough & (activity < fail)
        flag, reasons = answer(
            rows.value,
            evaluated=evaluated,
            suspect=is_suspect,
            fail=is_fail,
            reason=ATTENUATED_SIGNAL,
        )
        return Verdict(flag, reasons)

    def snapshot(self) -> Snapshot:
        """Return the stretches each window is made of."""
        return self._windows.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the stretches each window is made of."""
        self._windows.restore(snapshot)
