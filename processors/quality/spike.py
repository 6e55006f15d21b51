# SPDX-License-Identifier: EUPL-1.2
"""Spike: one value that stands apart from the two beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.batch import FlagArray, FloatArray, Int32Array, ReasonArray
from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.explained import QuantitySettings
from lamppost.flags import FAIL, NOT_EVALUATED, SUSPECT, Reason
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import NO_TIME, SECOND_NS
from lamppost.wording import by_quantity, exactly, in_common, with_unit
from processors._per_series import PerSeries, QuantityName, optional

from ._verdicts import answer, unsaid, without_failed

SPIKE: Final = Reason(
    10,
    "spike",
    "The value stands far apart from the readings just before and just after it.",
    "QARTOD spike test, average or differential method (ioos_qc spike_test)",
)

_MEASURES: Final = {
    "average": "from the mean of both",
    "differential": "by the smaller of the jumps there and back",
}


class SpikeLimits(Settings):
    """How far one quantity may stand apart."""

    suspect: float = Field(
        gt=0, description="Distance from the mean of both neighbours above which it is suspect."
    )
    fail: float | None = Field(
        default=None, description="Distance above which it fails; never when left out."
    )
    method: Literal["average", "differential"] = Field(
        default="average",
        description=(
            "What is compared: the distance from the neighbours' mean, or the smaller of the jumps"
            " there and back."
        ),
    )
    max_gap_s: float | None = Field(
        default=None,
        gt=0,
        description="A reading further away than this is no neighbour, seconds; no limit if unset.",
    )

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if self.fail is not None and self.fail < self.suspect:
            raise ValueError("fail must not be below suspect")
        return self

    def numbers(self) -> tuple[float, ...]:
        """Return suspect, the longest gap in nanoseconds, fail, and 1 for differential."""
        gap_s = np.inf if self.max_gap_s is None else self.max_gap_s
        differential = float(self.method == "differential")
        return self.suspect, gap_s * SECOND_NS, optional(self.fail), differential


class SpikeSettings(QuantitySettings):
    """Limits by quantity; a quantity without limits is not judged."""

    quantities: dict[QuantityName, SpikeLimits] = Field(
        default_factory=dict, description="Limits by canonical quantity name."
    )
    default: SpikeLimits | None = Field(
        default=None, description="Limits of every quantity not named; none when left out."
    )


@register("check")
class Spike:
    """Flags single values far from the readings before and after.

    Average: ``|x - (before + after) / 2|`` strictly above the threshold. Differential:
    ``min(|x - before|, |after - x|)`` strictly above it, where the value goes up and down again or
    down and up; else 0. The newest reading of a series is not evaluated; its verdict comes as an
    amendment with the next reading. Beside a missing value nothing is evaluated, nor beside one
    that an earlier check has failed.

    Known failures: by the average, a step and both neighbours of a spike stand apart, too; by the
    difference, a spike of two readings does not. A lorry or a bonfire is a spike.
    """

    name: ClassVar[str] = "spike"
    reasons: ClassVar[tuple[Reason, ...]] = (SPIKE,)
    scope: ClassVar[Scope] = "series"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[SpikeSettings]] = SpikeSettings

    @classmethod
    def describe(cls, settings: SpikeSettings) -> str:
        """Say how far a reading may stand apart, and from what."""
        given = settings.given()
        suspect = by_quantity(given, lambda one, unit: f"more than {with_unit(one.suspect, unit)}")
        fail = by_quantity(
            given,
            lambda one, unit: "" if one.fail is None else f"more than {with_unit(one.fail, unit)}",
        )
        measure = in_common(given, lambda one, _: _MEASURES[one.method])
        near = in_common(
            given, lambda one, _: "any time" if one.max_gap_s is None else exactly(one.max_gap_s)
        )
        fails = f" or fails ({fail})" if fail else ""
        return (
            f"A reading that stands apart from the one before and the one after it is suspect"
            f" ({suspect}){fails}, measured {measure}; neither may lie further away than {near}"
            " (QARTOD spike test)."
        )

    def __init__(self, settings: SpikeSettings, series: SeriesTable) -> None:
        """Prepare the limits."""
        self._limits = PerSeries.given_by(series, settings.quantities, settings.default, width=4)
        given = (settings.default, *settings.quantities.values())
        self._any_differential = any(one and one.method == "differential" for one in given)
        self._series = series
        self._state = SeriesState(
            before=np.float64(np.nan), last=np.float64(np.nan), time=np.int64(NO_TIME)
        )

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the settings say anything about the quantity."""
        return self._limits.given_for(key.quantity)

    def judge(self, rows: Rows) -> Verdict:
        """Judge every reading whose successor is known, the carried ones included."""
        self._state.grow(len(self._series))
        groups, value, places = rows.groups, without_failed(rows), rows.groups.places
        newest = slice(None) if groups.once else groups.lasts
        suspect, gap_ns = self._limits.of_rows(groups, slice(2))
        carried, carried_time = self._state["last"][places], self._state["time"][places]
        gap = rows.time - groups.previous_int(rows.time, carried_time)
        # The first instant minus "no time" may wrap around, but then there is no neighbour anyway.
        far = np.abs(gap, out=gap) > gap_ns
        before = groups.previous(value, carried).copy()
        before[far] = np.nan
        next_value = value if groups.once else value[groups.starts]
        next_value = np.where(far if groups.once else far[groups.starts], np.nan, next_value)
        if groups.once:
            flag, reasons = unsaid(rows.missing)
        else:
            after = np.full_like(value, np.nan)
            after[:-1] = np.where(far[1:], np.nan, value[1:])
            after[newest] = np.nan
            flag, reasons = self._judge(groups.series, value, (before, after), suspect)
            if value is not rows.value:
                failed = np.flatnonzero((rows.flag == FAIL) & ~rows.missing)
                flag[failed], reasons[failed] = NOT_EVALUATED, 0
            suspect = self._limits.of(places)[0]
        around = self._state["before"][places], next_value
        amended = self._judge(groups.codes, carried, around, suspect)
        self._state["before"][places] = before[newest]
        self._state["last"][places] = value[newest]
        self._state["time"][places] = rows.time[newest]
        # Of what was missing or had failed there is nothing more to say.
        known = ~np.isnan(carried)
        if known.all():
            return Verdict(flag, reasons, groups.codes, *amended)
        return Verdict(flag, reasons, groups.codes[known], amended[0][known], amended[1][known])

    def _judge(
        self,
        series: Int32Array,
        value: FloatArray,
        around: tuple[FloatArray, FloatArray],
        suspect: FloatArray,
    ) -> tuple[FlagArray, ReasonArray]:
        distance = self._distances(series, value, *around)
        flag, reasons = answer(
            np.isnan(value),
            reason=SPIKE,
            evaluated=~np.isnan(distance + suspect),
            suspect=distance > suspect,
        )
        bad = np.flatnonzero(flag == SUSPECT)
        if len(bad):
            _, _, fail, _ = self._limits.of(series[bad])
            flag[bad[distance[bad] > fail]] = FAIL
        return flag, reasons

    def _distances(
        self, series: Int32Array, value: FloatArray, before: FloatArray, after: FloatArray
    ) -> FloatArray:
        """Return how far values stand apart, NaN beside a missing one."""
        with np.errstate(over="ignore", invalid="ignore"):
            distance = before + after
            distance /= 2
            np.subtract(value, distance, out=distance)
            np.abs(distance, out=distance)
        if self._any_differential:
            jumps = np.flatnonzero(self._limits.of(series)[3] == 1)
            distance[jumps] = _smaller_jump(value[jumps], before[jumps], after[jumps])
        return distance

    def snapshot(self) -> Snapshot:
        """Return the last two values of each series."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the last two values of each series."""
        self._state.restore(snapshot)


def _smaller_jump(value: FloatArray, before: FloatArray, after: FloatArray) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        there, back = value - before, after - value
        turns = np.sign(there) * np.sign(back) < 0
        # A neighbour that is missing leaves the jump, and with it the verdict, open.
        smaller = np.where(turns, np.minimum(np.abs(there), np.abs(back)), 0.0)
    smaller[np.isnan(before) | np.isnan(after) | np.isnan(value)] = np.nan
    return smaller
