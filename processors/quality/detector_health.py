# SPDX-License-Identifier: EUPL-1.2
"""Detector health: loops and radars that have lost touch with the road."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import Rows, Scope, Settings, Verdict, register, restore_each, snapshot_of
from lamppost.flags import FAIL, GOOD, MISSING, MISSING_VALUE, NOT_EVALUATED, SUSPECT, Reason, merge
from lamppost.grouping import BoolArray, Groups
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import HOUR_NS, NO_TIME, SECOND_NS
from processors._per_series import PerSeries, QuantityName

from ._runs import chosen_rows, elapsed_in_state, latched

_IRIS: Final = "IRIS docs/vehicle_detection.md and DetectorImpl.java (MnDOT): {}"
NO_HITS: Final = Reason(
    23, "no_hits", "The detector has counted nobody for unusually long.", _IRIS.format("no hits")
)
CHATTER: Final = Reason(
    24,
    "chatter",
    "The detector counts more vehicles than a road can carry.",
    _IRIS.format("chatter"),
)
LOCKED_ON: Final = Reason(
    25,
    "locked_on",
    "The detector says that a vehicle stands on it without a break.",
    _IRIS.format("locked on"),
)
NO_CHANGE: Final = Reason(
    26,
    "no_change",
    "The detector's occupancy has been the same for unusually long.",
    _IRIS.format("no change"),
)
OCCUPANCY_SPIKE: Final = Reason(
    27,
    "occupancy_spike",
    "The detector's occupancy jumps up and down as no traffic does.",
    _IRIS.format("occ spike"),
)

_JUMP: Final = 25.0  # points of occupancy that earn one period of credit


class _Rule(Settings):
    verdict: Literal["suspect", "fail"] = Field(
        default="suspect", description="What readings are while the fault lasts."
    )


class NoHits(_Rule):
    """Nobody counted."""

    trigger_s: float = Field(default=14_400.0, ge=0, description="Longer than this, seconds.")
    clear_s: float = Field(default=30.0, ge=0, description="Time with vehicles that clears it.")


class Chatter(_Rule):
    """More counted than a road carries."""

    flow: float = Field(default=4_440.0, gt=0, description="More than this, veh/h.")
    trigger_s: float = Field(default=30.0, ge=0, description="Longer than this, seconds.")
    clear_s: float = Field(default=86_400.0, ge=0, description="Time below that clears it.")


class LockedOn(_Rule):
    """Occupied all the time."""

    trigger_s: float = Field(default=120.0, ge=0, description="Longer than this, seconds.")
    clear_s: float = Field(default=86_400.0, ge=0, description="Time below 100 % that clears it.")


class NoChange(_Rule):
    """The same occupancy above 0."""

    trigger_s: float = Field(default=86_400.0, ge=0, description="Longer than this, seconds.")
    clear_s: float = Field(default=30.0, ge=0, description="Time with changes that clears it.")


class OccupancySpike(_Rule):
    """Jumps of 25 points and more, which add up faster than time takes them away."""

    limit_s: float = Field(default=60.0, ge=0, description="More credit than this, seconds.")
    clear_s: float = Field(default=3_600.0, ge=0, description="Time below that clears it.")


class DetectorHealthSettings(Settings):
    """Which faults are looked for; one that is left out is not."""

    period_s: dict[QuantityName, float] = Field(
        default_factory=dict,
        description="By quantity judged: what a reading stands for after a gap or at first, s.",
    )
    max_gap_s: float = Field(
        default=600.0, gt=0, description="A reading stands for the time since the last, up to this."
    )
    no_hits: NoHits | None = Field(default=None, description="On flow and vehicle_count.")
    chatter: Chatter | None = Field(default=None, description="On flow and vehicle_count.")
    locked_on: LockedOn | None = Field(default=None, description="On occupancy.")
    no_change: NoChange | None = Field(default=None, description="On occupancy.")
    occupancy_spike: OccupancySpike | None = Field(default=None, description="On occupancy.")


@dataclass(frozen=True, slots=True)
class _Detector:
    """Readings of detectors: what they show, showed before, and how long each stands for."""

    groups: Groups
    value: FloatArray
    before: FloatArray
    step: Int64Array
    is_count: BoolArray


_Condition = Callable[[_Detector], BoolArray]


class _Counter:
    """One fault: triggered after its condition held too long, cleared after it was gone.

    The trigger is strict, the time to clear need only be reached, and a change of the condition
    starts both anew.
    """

    def __init__(self, reason: Reason, rule: Any, condition: _Condition) -> None:  # noqa: ANN401
        """Take a rule of the settings and what it looks at."""
        self._reason = reason
        self._level = FAIL if rule.verdict == "fail" else SUSPECT
        self._trigger_ns = round(getattr(rule, "trigger_s", -1) * SECOND_NS)
        self._clear_ns = round(rule.clear_s * SECOND_NS)
        self._condition = condition
        self.state = SeriesState(
            held=np.bool_(False), elapsed=np.int64(0), triggered=np.bool_(False)
        )

    def follow(self, seen: _Detector, chosen: BoolArray, size: int) -> tuple[Any, Any]:
        """Return flag and reasons of the readings it applies to, and keep where it stands."""
        self.state.grow(size)
        where = np.flatnonzero(chosen)
        groups = Groups(seen.groups.order[where], seen.groups.series[where])
        codes, lasts = groups.codes, groups.lasts
        holds = self._condition(seen)[where]
        carried = self.state["held"][codes], self.state["elapsed"][codes]
        elapsed = elapsed_in_state(groups, holds, seen.step[where], carried)
        on = holds & (elapsed > self._trigger_ns)
        off = ~holds & (elapsed >= self._clear_ns)
        triggered = latched(groups, on, off, self.state["triggered"][codes])
        self.state["held"][codes] = holds[lasts]
        self.state["elapsed"][codes] = elapsed[lasts]
        self.state["triggered"][codes] = triggered[lasts]
        flag = np.full(len(seen.value), NOT_EVALUATED, np.uint8)
        flag[where] = np.where(triggered, np.uint8(self._level), np.uint8(GOOD))
        return flag, np.where(flag >= SUSPECT, self._reason.mask, np.uint32(0))


@register("check")
class DetectorHealth:
    """Flags readings of traffic detectors that have lost touch with the road.

    No hits: nothing counted for ``trigger_s``. Chatter: more than ``flow`` veh/h. Locked on:
    occupancy 100 %. No change: the same occupancy above 0. Each is triggered when its condition has
    held strictly longer than ``trigger_s`` and cleared when it has been gone for ``clear_s``;
    readings are flagged until then. Occupancy spike: ``credit = max(0, credit - period) + period
    floor(|change| / 25)``, triggered above ``limit_s``. A reading stands for the time since the one
    before it.

    Known failures: an empty road counts nobody all night, and a loop before a red light is rightly
    occupied for minutes: times belong to the kind of detector. Faults of a pair that agree (both
    wires cut) look like an empty road.
    """

    name: ClassVar[str] = "detector_health"
    reasons: ClassVar[tuple[Reason, ...]] = (
        NO_HITS,
        CHATTER,
        LOCKED_ON,
        NO_CHANGE,
        OCCUPANCY_SPIKE,
    )
    scope: ClassVar[Scope] = "series"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[DetectorHealthSettings]] = DetectorHealthSettings

    def __init__(self, settings: DetectorHealthSettings, series: SeriesTable) -> None:
        """Prepare a counter for each fault that is looked for."""
        self._settings = settings
        self._series = series
        numbers = {
            name: (period_s * SECOND_NS, float(name == "occupancy"), float(name == "vehicle_count"))
            for name, period_s in settings.period_s.items()
        }
        self._numbers = PerSeries(series, numbers, width=3)
        self._last = SeriesState(
            time=np.int64(NO_TIME), value=np.float64(np.nan), credit=np.int64(0)
        )
        self._counters: list[tuple[str, bool, _Counter]] = [
            (reason.name, on_occupancy, _Counter(reason, rule, condition))
            for reason, rule, on_occupancy, condition in (
                (NO_HITS, settings.no_hits, False, _nobody),
                (CHATTER, settings.chatter, False, self._too_many),
                (LOCKED_ON, settings.locked_on, True, _occupied),
                (NO_CHANGE, settings.no_change, True, _unchanged),
                (OCCUPANCY_SPIKE, settings.occupancy_spike, True, self._jumps),
            )
            if rule is not None
        ]

    def judge(self, rows: Rows) -> Verdict:
        """Let every counter follow the readings it looks at."""
        self._last.grow(len(self._series))
        period, on_occupancy, is_count = self._numbers.of(rows.groups.codes)[:, rows.groups.group]
        where, groups = chosen_rows(rows, ~np.isnan(period) & ~np.isnan(rows.value))
        seen = self._seen(rows, where, groups, (period[where], is_count[where] == 1))
        flag = np.full(len(rows), NOT_EVALUATED, np.uint8)
        reasons = np.zeros(len(rows), np.uint32)
        for _, wants_occupancy, counter in self._counters:
            chosen = (on_occupancy[where] == 1) == wants_occupancy
            said_flag, said_reasons = counter.follow(seen, chosen, len(self._series))
            flag[where] = merge(flag[where], said_flag)
            reasons[where] |= said_reasons
        codes, lasts = groups.codes, groups.lasts
        self._last["time"][codes] = rows.time[where][lasts]
        self._last["value"][codes] = seen.value[lasts]
        missing = np.isnan(rows.value)
        flag[missing], reasons[missing] = MISSING, MISSING_VALUE.mask
        return Verdict(flag, reasons)

    def _seen(
        self,
        rows: Rows,
        where: Int64Array,
        groups: Groups,
        numbers: tuple[FloatArray, BoolArray],
    ) -> _Detector:
        period, is_count = numbers
        time, value = rows.time[where], rows.value[where]
        last_time = self._last["time"][groups.codes]
        # The first instant minus "no time" may wrap around; it is replaced by the period.
        gap = time - groups.previous_int(time, last_time)
        alone = groups.previous_int(time, last_time) == NO_TIME
        near = ~alone & (gap > 0) & (gap <= self._settings.max_gap_s * SECOND_NS)
        step = np.where(near, gap, period.astype(np.int64))
        before = groups.previous(value, self._last["value"][groups.codes])
        return _Detector(groups, value, before, step, is_count)

    def _too_many(self, seen: _Detector) -> BoolArray:
        rule = self._settings.chatter or Chatter()
        per_hour = np.where(seen.is_count, HOUR_NS / np.maximum(seen.step, 1), 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            many: BoolArray = seen.value * per_hour > rule.flow
        return many

    def _jumps(self, seen: _Detector) -> BoolArray:
        """Return where jumps have earned too much credit (Lindley's recursion, in whole ns)."""
        rule = self._settings.occupancy_spike or OccupancySpike()
        groups = seen.groups
        with np.errstate(over="ignore", invalid="ignore"):
            points = np.nan_to_num(np.abs(seen.value - seen.before), nan=0.0, posinf=100.0)
        earned = np.floor(np.minimum(points, 100.0) / _JUMP).astype(np.int64) * seen.step
        starts, lasts, codes = groups.starts, groups.lasts, groups.codes
        gained = groups.previous_int(earned, self._last["credit"][codes]) - seen.step
        total = np.cumsum(gained)
        total -= (total - gained)[starts][groups.group]
        # What is left is the walk above its lowest point so far, or above 0 at the start.
        lowest = -groups.running_max(-total, np.zeros(len(starts), np.int64))
        credit = total - np.minimum(lowest, total) + earned
        self._last["credit"][codes] = credit[lasts]
        above: BoolArray = credit > rule.limit_s * SECOND_NS
        return above

    def snapshot(self) -> Snapshot:
        """Return where every counter stands."""
        return snapshot_of(self._parts())

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over where every counter stood."""
        restore_each(self._parts(), snapshot)

    def _parts(self) -> dict[str, SeriesState]:
        return {"last": self._last, **{name: counter.state for name, _, counter in self._counters}}


def _nobody(seen: _Detector) -> BoolArray:
    nobody: BoolArray = seen.value == 0
    return nobody


def _occupied(seen: _Detector) -> BoolArray:
    occupied: BoolArray = seen.value >= 100
    return occupied


def _unchanged(seen: _Detector) -> BoolArray:
    unchanged: BoolArray = (seen.value == seen.before) & (seen.value > 0)
    return unchanged
