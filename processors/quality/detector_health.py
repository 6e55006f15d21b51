# SPDX-License-Identifier: EUPL-1.2
"""Detector health: loops and radars that have lost touch with the road."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import Rows, Scope, Settings, Verdict, register, restore_each, snapshot_of
from lamppost.flags import FAIL, GOOD, SUSPECT, Reason
from lamppost.grouping import BoolArray, Groups
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.stations import LaneType, Station
from lamppost.times import HOUR_NS, NO_TIME, SECOND_NS
from lamppost.wording import by_quantity, digits, exactly, listed
from processors._per_series import PerSeries, QuantityName
from processors._roads import LANE_TYPES, Roads

from ._runs import chosen_rows, elapsed_in_state, latched
from ._verdicts import unsaid

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
_NEVER: Final = 2**62


class _Rule(Settings):
    verdict: Literal["suspect", "fail"] = Field(
        default="suspect", description="What readings are while the fault lasts."
    )

    def ends(self, clear_s: float, of: str) -> str:
        """Return in words when it ends, and what readings are until then."""
        return f" until {exactly(clear_s)} of {of} ({self.verdict})"


class _RuleByLane(_Rule):
    by_lane_type: dict[LaneType, float] = Field(
        default_factory=dict,
        description="By type of lane in place of the time of all others, seconds.",
    )

    def times_ns(self, usual_s: float | None) -> Int64Array:
        """Return the time of each type of lane; where none is given, none is long enough."""
        usual_ns = _NEVER if usual_s is None else round(usual_s * SECOND_NS)
        given: dict[str, int] = {
            name: round(seconds * SECOND_NS) for name, seconds in self.by_lane_type.items()
        }
        return np.array([given.get(name, usual_ns) for name in LANE_TYPES])

    def by_lane(self) -> str:
        """Return in words how long it must last on lanes of some types."""
        alike: dict[str, list[str]] = {}
        for name, seconds in self.by_lane_type.items():
            alike.setdefault(exactly(seconds), []).append(name)
        told = [f"{listed(names)} {lasting}" for lasting, names in alike.items()]
        return f" ({'; '.join(told)})" if told else ""

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        for name, seconds in self.by_lane_type.items():
            if seconds < 0:
                yield f"by_lane_type.{name}", "must not be below 0"


class NoHits(_RuleByLane):
    """Nobody counted."""

    trigger_s: float = Field(default=14_400.0, ge=0, description="Longer than this, seconds.")
    clear_s: float = Field(default=30.0, ge=0, description="Time with vehicles that clears it.")


class Chatter(_Rule):
    """More counted than a road carries."""

    flow: float = Field(default=4_440.0, gt=0, description="More than this, veh/h and lane.")
    trigger_s: float = Field(default=30.0, ge=0, description="Longer than this, seconds.")
    clear_s: float = Field(default=86_400.0, ge=0, description="Time below that clears it.")


class LockedOn(_RuleByLane):
    """Occupied all the time."""

    trigger_s: float = Field(default=120.0, ge=0, description="Longer than this, seconds.")
    clear_s: float = Field(default=86_400.0, ge=0, description="Time below 100 % that clears it.")


class NoChange(_Rule):
    """The same occupancy above 0."""

    trigger_s: float = Field(default=86_400.0, ge=0, description="Longer than this, seconds.")
    clear_s: float = Field(default=30.0, ge=0, description="Time with changes that clears it.")


class OccupancySpike(_RuleByLane):
    """Jumps of 25 points and more, which add up faster than time takes them away."""

    limit_s: float | None = Field(
        default=60.0,
        ge=0,
        description="More credit than this, seconds; without it only what by_lane_type names is"
        " judged.",
    )
    clear_s: float = Field(default=3_600.0, ge=0, description="Time below that clears it.")

    def longer(self) -> str:
        """Return in words how much credit is too much."""
        usual = "its type of lane allows" if self.limit_s is None else exactly(self.limit_s)
        return f"{usual}{self.by_lane()}"

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        yield from super().doubts()
        if self.limit_s is None and not self.by_lane_type:
            yield "limit_s", "must be given, or by_lane_type: no lane would be judged"


class DetectorHealthSettings(Settings):
    """Which faults are looked for; one that is left out is not."""

    period_s: dict[QuantityName, float] = Field(
        default_factory=dict,
        description="By quantity judged: what a reading stands for after a gap or at first, s.",
    )
    max_gap_s: float = Field(
        default=600.0, gt=0, description="A reading stands for the time since the last, up to this."
    )
    lanes: float = Field(
        default=1.0, gt=0, description="Lanes where neither the series nor its station tells them."
    )
    no_hits: NoHits | None = Field(default=None, description="On flow and vehicle_count.")
    chatter: Chatter | None = Field(default=None, description="On flow and vehicle_count.")
    locked_on: LockedOn | None = Field(default=None, description="On occupancy.")
    no_change: NoChange | None = Field(default=None, description="On occupancy.")
    occupancy_spike: OccupancySpike | None = Field(default=None, description="On occupancy.")

    def faults(self) -> Iterator[str]:
        """Yield what each fault that is looked for means, in words."""
        if self.no_hits:
            longer = exactly(self.no_hits.trigger_s)
            ends = self.no_hits.ends(self.no_hits.clear_s, "vehicles")
            yield f"it counts nobody for more than {longer}{self.no_hits.by_lane()}{ends}"
        if self.chatter:
            flow, longer = digits(self.chatter.flow), exactly(self.chatter.trigger_s)
            ends = self.chatter.ends(self.chatter.clear_s, "less")
            yield f"it counts more than {flow} veh/h and lane for over {longer}{ends}"
        if self.locked_on:
            longer = exactly(self.locked_on.trigger_s)
            ends = self.locked_on.ends(self.locked_on.clear_s, "less")
            by_lane = self.locked_on.by_lane()
            yield f"it is occupied to 100 % for more than {longer}{by_lane}{ends}"
        if self.no_change:
            longer = exactly(self.no_change.trigger_s)
            ends = self.no_change.ends(self.no_change.clear_s, "changes")
            yield f"its occupancy stays the same above 0 % for more than {longer}{ends}"
        if self.occupancy_spike:
            longer = self.occupancy_spike.longer()
            ends = self.occupancy_spike.ends(self.occupancy_spike.clear_s, "less")
            yield f"its occupancy jumps by {digits(_JUMP)} points for more than {longer}{ends}"

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        if not any(self.faults()):
            yield "", "no fault is looked for; name one, such as no_hits"
        if not self.period_s:
            yield "period_s", "no quantity is named, so that nothing would be judged"
        for name, period_s in self.period_s.items():
            if period_s <= 0:
                yield f"period_s.{name}", "must be above 0"


@dataclass(frozen=True, slots=True)
class _Detector:
    """Readings of detectors: what they show, showed before, and how long each stands for."""

    groups: Groups
    time: Int64Array
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

    def __init__(
        self,
        reason: Reason,
        rule: Any,  # noqa: ANN401 - one of the rules of the settings
        condition: _Condition,
        roads: Roads,
    ) -> None:
        """Take a rule of the settings, what it looks at, and the roads under the detectors."""
        self.reason = reason
        self.level = FAIL if rule.verdict == "fail" else SUSPECT
        usual_s = getattr(rule, "trigger_s", -1)
        times = rule if isinstance(rule, NoHits | LockedOn) else _RuleByLane()
        self._trigger_ns = times.times_ns(usual_s)
        self._clear_ns = round(rule.clear_s * SECOND_NS)
        self._condition = condition
        self._roads = roads
        self.state = SeriesState(
            held=np.bool_(False), elapsed=np.int64(0), triggered=np.bool_(False)
        )

    def follow(self, seen: _Detector, size: int) -> Int64Array:
        """Return the readings at which the fault stands, and keep it.

        Where the condition neither holds nor held, and the fault does not stand, there is nothing
        to be kept: how long all has been well is of no consequence.
        """
        self.state.grow(size)
        groups = seen.groups
        holds = self._condition(seen)
        busy = self.state["held"][groups.places] | self.state["triggered"][groups.places]
        busy[groups.group[np.flatnonzero(holds)]] = True
        rows = np.flatnonzero(busy[groups.group])
        if not len(rows):
            return rows
        triggered = self._stands(groups.take(rows), holds[rows], seen.step[rows])
        return rows[np.flatnonzero(triggered)]

    def _stands(self, groups: Groups, holds: BoolArray, step: Int64Array) -> BoolArray:
        places = groups.places
        was = {name: self.state[name][places] for name in ("held", "elapsed", "triggered")}
        elapsed = elapsed_in_state(groups, holds, step, (was["held"], was["elapsed"]))
        trigger_ns = self._trigger_ns.take(self._roads.lane_type(places))
        on = holds & (elapsed > (trigger_ns if groups.once else trigger_ns[groups.group]))
        off = ~holds & (elapsed >= self._clear_ns)
        triggered = latched(groups, on, off, was["triggered"])
        newest = groups.lasts
        for name, column in (("held", holds), ("elapsed", elapsed), ("triggered", triggered)):
            self.state[name][places] = column[newest]
        return triggered


@register("check")
class DetectorHealth:
    """Flags readings of traffic detectors that have lost touch with the road.

    No hits: nothing counted for ``trigger_s``. Chatter: more than ``flow lanes`` veh/h. Locked on:
    occupancy 100 %. No change: the same occupancy above 0. Each is triggered when its condition has
    held strictly longer than ``trigger_s``, or what ``by_lane_type`` says, and cleared when it has
    been gone for ``clear_s``; readings are flagged until then. Lanes and their type are those of
    the station; a series with the qualifier ``lane`` is about one, and may name its own
    ``lane_type``. Occupancy spike: ``credit = max(0, credit - period) + period
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
    scope: ClassVar[Scope] = "city"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[DetectorHealthSettings]] = DetectorHealthSettings

    @classmethod
    def describe(cls, settings: DetectorHealthSettings) -> str:
        """Say which faults are looked for, when they begin and when they end."""
        stands_for = by_quantity(settings.period_s, lambda seconds, _: exactly(seconds))
        return (
            f"Readings of a detector are flagged while {'; or while '.join(settings.faults())}; a"
            f" reading stands for the time since the last, up to {exactly(settings.max_gap_s)},"
            f" else for its own ({stands_for}), and for {digits(settings.lanes)} lanes where"
            " nobody says how many (IRIS, Minnesota)."
        )

    def __init__(
        self, settings: DetectorHealthSettings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Prepare a counter for each fault that is looked for."""
        self._roads = Roads(series, stations)
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
        spike = settings.occupancy_spike or OccupancySpike()
        self._credit_ns = spike.times_ns(spike.limit_s)
        self._counters: list[tuple[bool, _Counter]] = [
            (on_occupancy, _Counter(reason, rule, condition, self._roads))
            for reason, rule, on_occupancy, condition in (
                (NO_HITS, settings.no_hits, False, _nobody),
                (CHATTER, settings.chatter, False, self._too_many),
                (LOCKED_ON, settings.locked_on, True, _occupied),
                (NO_CHANGE, settings.no_change, True, _unchanged),
                (OCCUPANCY_SPIKE, settings.occupancy_spike, True, self._jumps),
            )
            if rule is not None
        ]

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the settings say anything about the quantity."""
        return self._numbers.given_for(key.quantity)

    def judge(self, rows: Rows) -> Verdict:
        """Let every counter follow the readings it looks at."""
        self._last.grow(len(self._series))
        flag, reasons = unsaid(rows.missing)
        period, on_occupancy, _ = self._numbers.of_rows(rows.groups)
        judged = ~(np.isnan(period) | rows.missing)
        for of_occupancy in (False, True):
            counters = [one for wants, one in self._counters if wants == of_occupancy]
            where, mine = chosen_rows(rows, judged & ((on_occupancy == 1) == of_occupancy))
            if not len(mine) or not counters:
                continue
            seen = self._seen(mine)
            verdict = np.full(len(mine), GOOD, np.uint8)
            told = np.zeros(len(mine), np.uint32)
            for counter in counters:
                bad = counter.follow(seen, len(self._series))
                verdict[bad] = np.maximum(verdict[bad], counter.level)
                told[bad] |= counter.reason.mask
            flag[where], reasons[where] = verdict, told
            self._remember(seen)
        return Verdict(flag, reasons)

    def _seen(self, rows: Rows) -> _Detector:
        """Return what detectors show now, showed before, and how long each reading stands for."""
        groups, time, places = rows.groups, rows.time, rows.groups.places
        period, _, is_count = self._numbers.of_rows(groups)
        before_time = groups.previous_int(time, self._last["time"][places])
        # The first instant minus "no time" may wrap around; it is replaced by the period.
        gap = time - before_time
        longest = round(self._settings.max_gap_s * SECOND_NS)
        near = (before_time != NO_TIME) & (gap > 0) & (gap <= longest)
        step = np.where(near, gap, period.astype(np.int64))
        before = groups.previous(rows.value, self._last["value"][places])
        return _Detector(groups, time, rows.value, before, step, is_count == 1)

    def _remember(self, seen: _Detector) -> None:
        newest = slice(None) if seen.groups.once else seen.groups.lasts
        self._last["time"][seen.groups.places] = seen.time[newest]
        self._last["value"][seen.groups.places] = seen.value[newest]

    def _too_many(self, seen: _Detector) -> BoolArray:
        rule = self._settings.chatter or Chatter()
        per_hour = np.where(seen.is_count, HOUR_NS / np.maximum(seen.step, 1), 1.0)
        lanes = self._roads.lanes(seen.groups.places)
        most = rule.flow * np.where(np.isnan(lanes), self._settings.lanes, lanes)
        if not seen.groups.once:
            most = most[seen.groups.group]
        with np.errstate(over="ignore", invalid="ignore"):
            many: BoolArray = seen.value * per_hour > most
        return many

    def _jumps(self, seen: _Detector) -> BoolArray:
        """Return where jumps have earned too much credit (Lindley's recursion, in whole ns)."""
        groups = seen.groups
        most = self._credit_ns.take(self._roads.lane_type(groups.places))
        unjudged = most == _NEVER
        if unjudged.all():
            self._last["credit"][groups.places] = 0
            return np.zeros(len(seen.value), np.bool_)
        with np.errstate(over="ignore", invalid="ignore"):
            points = np.nan_to_num(np.abs(seen.value - seen.before), nan=0.0, posinf=100.0)
        earned = np.floor(np.minimum(points, 100.0) / _JUMP).astype(np.int64) * seen.step
        starts, lasts, codes = groups.starts, groups.lasts, groups.places
        gained = groups.previous_int(earned, self._last["credit"][codes]) - seen.step
        total = np.cumsum(gained)
        total -= (total - gained)[starts][groups.group]
        # What is left is the walk above its lowest point so far, or above 0 at the start.
        lowest = -groups.running_max(-total, np.zeros(len(starts), np.int64))
        credit = total - np.minimum(lowest, total) + earned
        self._last["credit"][codes] = np.where(unjudged, 0, credit[lasts])
        above: BoolArray = credit > (most if groups.once else most[groups.group])
        return above

    def snapshot(self) -> Snapshot:
        """Return where every counter stands."""
        return snapshot_of(self._parts())

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over where every counter stood."""
        restore_each(self._parts(), snapshot)

    def _parts(self) -> dict[str, SeriesState]:
        return {"last": self._last, **{one.reason.name: one.state for _, one in self._counters}}


def _nobody(seen: _Detector) -> BoolArray:
    nobody: BoolArray = seen.value == 0
    return nobody


def _occupied(seen: _Detector) -> BoolArray:
    occupied: BoolArray = seen.value >= 100
    return occupied


def _unchanged(seen: _Detector) -> BoolArray:
    unchanged: BoolArray = (seen.value == seen.before) & (seen.value > 0)
    return unchanged
