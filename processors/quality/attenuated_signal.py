# SPDX-License-Identifier: EUPL-1.2
"""Attenuated signal: an instrument that hardly moves any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.batch import FlagArray, FloatArray, ReasonArray
from lamppost.component import Rows, Scope, Settings, Verdict, register, restore_each, snapshot_of
from lamppost.explained import QuantitySettings
from lamppost.flags import Reason
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import Snapshot
from lamppost.times import SECOND_NS
from lamppost.wording import by_quantity, counted, exactly, in_common, with_unit
from processors._per_series import PerSeries, QuantityName, optional

from ._chosen import Chosen
from ._concern import Where
from ._long_runs import LONG, follow_long
from ._runs import chosen_rows, spread
from ._sliding import Activity, Seen, Sliding
from ._verdicts import answer, unsaid

ATTENUATED_SIGNAL: Final = Reason(
    14,
    "attenuated_signal",
    "The values have moved less over a time than this quantity does.",
    "QARTOD attenuated signal test (ioos_qc attenuated_signal_test)",
)

_ACTIVITIES: Final[tuple[Activity, ...]] = ("sd", "range")
_MEASURES: Final = {
    "sd": "the standard deviation",
    "range": "the distance from the smallest to the largest",
}


class AttenuatedLimits(Settings):
    """How much one quantity moves at least."""

    window_s: float = Field(gt=0, description="Time looked back on, seconds.")
    suspect: float = Field(ge=0, description="Activity below which a reading is suspect.")
    fail: float | None = Field(
        default=None, description="Activity below which it fails; never when left out."
    )
    activity: Activity = Field(
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
        """Return window (ns), limits, and readings needed."""
        window_ns = self.window_s * SECOND_NS
        return window_ns, self.suspect, optional(self.fail), float(self.min_readings)

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        for name in ("suspect", "fail"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                yield name, "must be above 0: nothing moves less"


class AttenuatedSignalSettings(QuantitySettings):
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

    @classmethod
    def describe(cls, settings: AttenuatedSignalSettings) -> str:
        """Say how much the values must move, and in which time."""
        given = settings.given()
        suspect = by_quantity(given, lambda one, unit: f"less than {with_unit(one.suspect, unit)}")
        fail = by_quantity(
            given,
            lambda one, unit: "" if one.fail is None else f"less than {with_unit(one.fail, unit)}",
        )
        measure = in_common(given, lambda one, _: _MEASURES[one.activity])
        window = in_common(given, lambda one, _: exactly(one.window_s))
        needed = in_common(given, lambda one, _: counted(one.min_readings, "reading"))
        fails = f" or fails ({fail})" if fail else ""
        return (
            f"A reading before which the values have hardly moved is suspect ({suspect}){fails},"
            f" measured by {measure} over {window} with at least {needed}"
            " (QARTOD attenuated signal test)."
        )

    def __init__(self, settings: AttenuatedSignalSettings, series: SeriesTable) -> None:
        """Prepare the limits."""
        self._limits = PerSeries.given_by(series, settings.quantities, width=4)
        self._windows = {
            activity: (Chosen(series, names), Sliding(activity))
            for activity in _ACTIVITIES
            if (names := _named(settings, activity))
        }

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the settings say anything about the quantity."""
        return self._limits.given_for(key.quantity)

    def judge(self, rows: Rows) -> Verdict:
        """Measure how much the readings up to each one moved."""
        flag, reasons = unsaid(rows.missing)
        for chosen, windows in self._windows.values():
            windows.grow(len(chosen))
            where, mine = chosen.rows(rows)
            if not len(mine):
                continue
            limits = self._limits.of_rows(rows.groups)
            flag[where], reasons[where] = _judge(mine, windows, _of(limits, where))
        return Verdict(flag, reasons)

    def snapshot(self) -> Snapshot:
        """Return the stretches each window is made of."""
        return snapshot_of({name: windows for name, (_, windows) in self._windows.items()})

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the stretches each window is made of."""
        restore_each({name: windows for name, (_, windows) in self._windows.items()}, snapshot)


def _named(settings: AttenuatedSignalSettings, activity: Activity) -> list[str]:
    """Return the quantities whose activity is measured in one way."""
    return [name for name, one in settings.quantities.items() if one.activity == activity]


def _of(limits: FloatArray, where: Where) -> FloatArray:
    """Return the limits of some rows; those of one series are the same for all."""
    return limits if limits.shape[1] == 1 else limits[:, where]


def _judge(rows: Rows, windows: Sliding, limits: FloatArray) -> tuple[FlagArray, ReasonArray]:
    """Judge rows whose activity is measured alike; their codes are numbers of windows."""
    where, seen = chosen_rows(rows, rows.usable & np.isfinite(rows.value))
    limits = _of(limits, where)
    found = _follow(windows, seen, limits)
    _, suspect, fail, min_readings = limits
    enough = (found.count >= min_readings.astype(np.int64)) & ~np.isnan(found.activity)
    return answer(
        rows.missing,
        reason=ATTENUATED_SIGNAL,
        evaluated=spread(where, len(rows), enough),
        suspect=spread(where, len(rows), enough & (found.activity < suspect)),
        fail=spread(where, len(rows), enough & (found.activity < fail)),
    )


def _follow(windows: Sliding, rows: Rows, limits: FloatArray) -> Seen:
    """Return what the windows of rows hold; a batch that is one long run takes a shortcut."""
    if windows.by_sd and len(rows.groups.places) == 1 and len(rows) >= LONG:
        return follow_long(windows, rows, int(limits[0, 0]), limits[1:3, 0])
    window_ns = np.broadcast_to(limits[0].astype(np.int64), len(rows))
    return windows.follow(rows, window_ns)
