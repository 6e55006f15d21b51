# SPDX-License-Identifier: EUPL-1.2
"""Spike: one value that stands apart from the two beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.batch import FloatArray
from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.flags import Reason
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import NO_TIME, SECOND_NS
from processors._per_series import PerSeries, QuantityName, optional

from ._verdicts import answer

SPIKE: Final = Reason(
    10,
    "spike",
    "The value stands far apart from the readings just before and just after it.",
    "QARTOD spike test, average or differential method (ioos_qc spike_test)",
)


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
        """Return suspect, fail, the longest gap in nanoseconds, and 1 for differential."""
        gap_s = np.inf if self.max_gap_s is None else self.max_gap_s
        differential = float(self.method == "differential")
        return self.suspect, optional(self.fail), gap_s * SECOND_NS, differential


class SpikeSettings(Settings):
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
    amendment with the next reading. Beside a missing value nothing is evaluated.

    Known failures: by the average, a step and both neighbours of a spike stand apart, too; by the
    difference, a spike of two readings does not. A lorry or a bonfire is a spike.
    """

    name: ClassVar[str] = "spike"
    reasons: ClassVar[tuple[Reason, ...]] = (SPIKE,)
    scope: ClassVar[Scope] = "series"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[SpikeSettings]] = SpikeSettings

    def __init__(self, settings: SpikeSettings, series: SeriesTable) -> None:
        """Prepare the limits."""
        self._limits = PerSeries(
            series,
            {name: limits.numbers() for name, limits in settings.quantities.items()},
            settings.default.numbers() if settings.default else None,
            width=4,
        )
        self._series = series
        self._state = SeriesState(
            before=np.float64(np.nan), last=np.float64(np.nan), time=np.int64(NO_TIME)
        )

    def judge(self, rows: Rows) -> Verdict:
        """Judge every reading whose successor is known, the carried ones included."""
        self._state.grow(len(self._series))
        groups, value = rows.groups, rows.value
        starts, lasts, codes = groups.starts, groups.lasts, groups.codes
        limits = self._limits.of(groups.series)
        carried, carried_time = self._state["last"][codes], self._state["time"][codes]
        gap = rows.time - groups.previous_int(rows.time, carried_time)
        # The first instant minus "no time" may wrap around, but then there is no neighbour anyway.
        near = np.abs(gap) <= limits[2]
        before = np.where(near, groups.previous(value, carried), np.nan)
        after = np.full_like(value, np.nan)
        after[:-1] = np.where(near[1:], value[1:], np.nan)
        after[lasts] = np.nan
        flag, reasons = _judge(value, before, after, limits)
        next_value = np.where(near[starts], value[starts], np.nan)
        amended_flag, amended_reasons = _judge(
            carried, self._state["before"][codes], next_value, limits[:, starts]
        )
        self._state["before"][codes] = before[lasts]
        self._state["last"][codes] = value[lasts]
        self._state["time"][codes] = rows.time[lasts]
        known = np.flatnonzero(carried_time != NO_TIME)
        return Verdict(flag, reasons, codes[known], amended_flag[known], amended_reasons[known])

    def snapshot(self) -> Snapshot:
        """Return the last two values of each series."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the last two values of each series."""
        self._state.restore(snapshot)


def _judge(
    value: FloatArray, before: FloatArray, after: FloatArray, limits: FloatArray
) -> tuple[Any, Any]:
    suspect, fail, _, differential = limits
    with np.errstate(over="ignore", invalid="ignore"):
        distance = np.abs(value - (before + after) / 2)
    by_jumps = np.flatnonzero(differential == 1)
    if len(by_jumps):
        distance[by_jumps] = _smaller_jump(value[by_jumps], before[by_jumps], after[by_jumps])
    return answer(
        value,
        evaluated=~np.isnan(distance + suspect),
        suspect=distance > suspect,
        fail=distance > fail,
        reason=SPIKE,
    )


def _smaller_jump(value: FloatArray, before: FloatArray, after: FloatArray) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        there, back = value - before, after - value
        turns = np.sign(there) * np.sign(back) < 0
        # A neighbour that is missing leaves the jump, and with it the verdict, open.
        smaller = np.where(turns, np.minimum(np.abs(there), np.abs(back)), 0.0)
    smaller[np.isnan(before) | np.isnan(after) | np.isnan(value)] = np.nan
    return smaller
