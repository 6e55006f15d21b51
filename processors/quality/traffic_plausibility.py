# SPDX-License-Identifier: EUPL-1.2
"""Traffic plausibility: flow, occupancy and speed of one detector and instant must fit together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.batch import FloatArray, Int32Array, Int64Array
from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.flags import FAIL, MISSING, Reason
from lamppost.grouping import BoolArray
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import Snapshot

from ._latest import NOBODY, Findings, Found, Latest, Levels, Siblings, levels

TRAFFIC_PLAUSIBILITY: Final = Reason(
    21,
    "traffic_plausibility",
    "Flow, occupancy and speed of the detector contradict each other.",
    "flow-occupancy-speed consistency: effective vehicle length 10 v occ / q (limits unverified)",
)
NO_VEHICLE: Final = Reason(
    22,
    "no_vehicle",
    "The speed is 0 because no vehicle passed: it stands for no measurement.",
    "loop-speed archives in which 0 stands for a missing value",
)

_FLOW: Final = 0
_COUNT: Final = 1
_OCCUPANCY: Final = 2
_SPEED: Final = 3
_ROLES: Final = {"flow": _FLOW, "vehicle_count": _COUNT, "occupancy": _OCCUPANCY, "speed": _SPEED}


class TrafficPlausibilitySettings(Settings):
    """What a detector can see at one instant."""

    vehicle_length_m: tuple[float, float] = Field(
        default=(2.7, 18.0),
        description="Shortest and longest believable mean length of vehicle and detector, metres.",
    )
    lanes: float = Field(
        default=1.0,
        gt=0,
        description="Lanes a flow counts together while its occupancy is the mean of one lane.",
    )
    min_flow: float = Field(
        default=120.0, ge=0, description="Below this flow, veh/h, no length is computed."
    )
    min_occupancy: float = Field(
        default=2.0, ge=0, description="Below this occupancy, %, no length is computed."
    )
    empty_speed_fails: bool = Field(
        default=True,
        description="Whether speed 0 without vehicles fails, and so stays out of mean speeds.",
    )

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if not 0 <= self.vehicle_length_m[0] <= self.vehicle_length_m[1]:
            raise ValueError("vehicle_length_m must run from low to high")
        return self


@register("check")
class TrafficPlausibility:
    """Flags readings of one detector and instant that contradict each other.

    Speed 0 while flow or count is 0 is no measurement (``no_vehicle``), and only the speed is
    flagged: an empty road at night is real. Suspect are speed above 0 without vehicles, speed 0
    with vehicles and a known occupancy below 100 %, and a triple whose effective vehicle length
    ``L = 10 v occ lanes / q`` (m; km/h, %, veh/h) lies outside ``vehicle_length_m``. Whichever
    reading arrives last is judged with the newest of the others at the same instant, which are
    amended. Series belong together when sensor and qualifiers are the same.

    Known failures: detectors that count lanes together need ``lanes``; whole percents of occupancy
    make the length of light traffic coarse, hence ``min_flow`` and ``min_occupancy``.
    """

    name: ClassVar[str] = "traffic_plausibility"
    reasons: ClassVar[tuple[Reason, ...]] = (TRAFFIC_PLAUSIBILITY, NO_VEHICLE)
    scope: ClassVar[Scope] = "sensor"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[TrafficPlausibilitySettings]] = TrafficPlausibilitySettings

    def __init__(self, settings: TrafficPlausibilitySettings, series: SeriesTable) -> None:
        """Take the limits."""
        self._settings = settings
        self._series = series
        self._detectors = Siblings(series, _role_of, roles=len(_ROLES))
        self._latest = Latest(series)

    def judge(self, rows: Rows) -> Verdict:
        """Put every reading together with what the detector showed at the same instant."""
        findings = Findings(rows, self._series)
        usable = (rows.flag != FAIL) & (rows.flag != MISSING) & ~np.isnan(rows.value)
        members, role = self._detectors.of(rows.groups.series)
        asking = np.flatnonzero((role != NOBODY) & usable)
        found = self._together(rows, asking, members[asking], usable)
        # The reading itself stands among the others.
        place = np.arange(len(asking)), role[asking]
        found.row[place], found.value[place] = asking, rows.value[asking]
        for level, reason, roles in self._contradictions(found.value):
            for one in roles:
                known = ~np.isnan(found.value[:, one])
                said = np.where(known, level, np.int8(0))
                findings.add(found.series[:, one], found.row[:, one], said, reason.mask)
        self._latest.keep(rows, usable)
        return findings.verdict()

    def _together(
        self, rows: Rows, asking: Int64Array, members: Int32Array, usable: BoolArray
    ) -> Found:
        """Return what the detector showed at the very instant of each row, else NaN."""
        found = self._latest.before(rows, asking, members, usable)
        same = found.time == rows.time[asking][:, None]
        found.value[~same] = np.nan
        return found

    def _contradictions(self, value: FloatArray) -> list[tuple[Levels, Reason, tuple[int, ...]]]:
        """Return each rule's verdicts, its reason, and whose readings they concern."""
        settings = self._settings
        flow, count, occupancy, speed = value.T
        with np.errstate(all="ignore"):
            empty = (flow == 0) | (count == 0)
            busy = (flow > 0) | (count > 0)
            length_m = 10 * speed * occupancy * settings.lanes / flow
        standing = (speed == 0) & busy & (occupancy < 100)
        phantom = (speed > 0) & empty
        both = ~np.isnan(speed) & (empty | busy)
        triple = (flow >= settings.min_flow) & (occupancy >= settings.min_occupancy) & (speed > 0)
        low, high = settings.vehicle_length_m
        unlike = ~((length_m >= low) & (length_m <= high))
        vehicles = (_FLOW, _COUNT, _SPEED)
        return [
            (levels(both, phantom | standing), TRAFFIC_PLAUSIBILITY, vehicles),
            (levels(triple, unlike), TRAFFIC_PLAUSIBILITY, (_FLOW, _OCCUPANCY, _SPEED)),
            (
                levels(both, (speed == 0) & empty, fails=settings.empty_speed_fails),
                NO_VEHICLE,
                (_SPEED,),
            ),
        ]

    def snapshot(self) -> Snapshot:
        """Return the newest reading of each series."""
        return self._latest.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the newest reading of each series."""
        self._latest.restore(snapshot)


def _role_of(key: SeriesKey) -> tuple[object, int] | None:
    role = _ROLES.get(key.quantity)
    return None if role is None else ((key.sensor, key.qualifiers), role)
