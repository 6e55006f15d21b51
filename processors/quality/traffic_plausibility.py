# SPDX-License-Identifier: EUPL-1.2
"""Traffic plausibility: flow, occupancy and speed of one detector and instant must fit together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.batch import FloatArray, Int32Array, ReasonArray
from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.details import Detail
from lamppost.flags import Reason
from lamppost.grouping import BoolArray
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import Snapshot
from lamppost.stations import Station
from lamppost.wording import counted, digits, listed, span, unit_of, with_unit
from processors._per_series import optional
from processors._roads import Roads

from ._latest import LEVELS, NOBODY, Findings, Latest, Levels, Siblings
from ._runs import chosen_rows
from ._together import Together

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
    lanes: tuple[float, float] = Field(
        default=(1.0, 1.0),
        description="Fewest and most lanes a flow may count together where neither the series nor"
        " its station says how many.",
    )
    max_flow: float | None = Field(
        default=None, gt=0, description="Most vehicles an hour that a lane carries."
    )
    max_density: float | None = Field(
        default=None, gt=0, description="Most vehicles on a kilometre of a lane."
    )
    min_flow: float = Field(
        default=120.0, ge=0, description="Below this flow, veh/h, no length is computed."
    )
    min_occupancy: float = Field(
        default=2.0, ge=0, description="Below this occupancy, %, no length is computed."
    )
    empty_speed: Literal["missing", "fail", "suspect"] = Field(
        default="missing",
        description="What speed 0 without vehicles is; a suspect one enters mean speeds.",
    )

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if not 0 <= self.vehicle_length_m[0] <= self.vehicle_length_m[1]:
            raise ValueError("vehicle_length_m must run from low to high")
        if not 0 < self.lanes[0] <= self.lanes[1]:
            raise ValueError("lanes must run from few to many")
        return self

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        if not self.vehicle_length_m[1] > 0:
            yield "vehicle_length_m", "no vehicle is that short"


@register("check")
class TrafficPlausibility:
    """Flags readings of one detector and instant that contradict each other.

    Speed 0 while occupancy is 0, or flow or count is 0 and no occupancy tells of a vehicle that
    stands there, is no measurement (``no_vehicle``): there was nobody to be measured. Of a detector
    with an occupancy, the one of that instant is waited for. Such a speed is missing (QARTOD 9),
    stays out of every statistic, and what is published has no number; flow, count and occupancy
    stay as they are, for an empty road at night is real. Suspect are speed above 0 without
    vehicles, speed 0 with vehicles and a known occupancy below 100 %, a flow above
    ``max_flow lanes``, a density ``q / (v lanes)`` above ``max_density``, and a triple whose
    effective vehicle length ``L = 10 v occ lanes / q`` (m; km/h, %, veh/h) lies outside
    ``vehicle_length_m``. A series with the qualifier ``lane`` is about one lane, else its station
    says about how many; where neither
    does, whatever fits any number within ``lanes`` is believed. Whichever reading arrives last is
    judged with the newest of the others at the same instant, which are amended; the detail of the
    reason tells all of them, and the length they make. Series belong together when sensor and
    qualifiers are the same.

    Known failures: vehicles that stand still for all of an interval are counted by nobody; where no
    occupancy is sent, a speed of 0 is missing in such a jam, too. Where a detector has lost its
    occupancy, its speeds of 0 at night stay. A station that tells a wrong number of lanes is
    flagged for it; whole percents of occupancy make the length of light traffic coarse, hence
    ``min_flow`` and ``min_occupancy``.
    """

    name: ClassVar[str] = "traffic_plausibility"
    reasons: ClassVar[tuple[Reason, ...]] = (TRAFFIC_PLAUSIBILITY, NO_VEHICLE)
    scope: ClassVar[Scope] = "city"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[TrafficPlausibilitySettings]] = TrafficPlausibilitySettings

    @classmethod
    def describe(cls, settings: TrafficPlausibilitySettings) -> str:
        """Say what of a detector contradicts itself."""
        low, high = map(digits, settings.vehicle_length_m)
        verdict = {"missing": "counts as missing", "fail": "fails", "suspect": "is suspect"}[
            settings.empty_speed
        ]
        most = [
            f", above {digits(limit)} {unit}"
            for limit, unit in (
                (settings.max_flow, "veh/h and lane"),
                (settings.max_density, "veh/km and lane"),
            )
            if limit is not None
        ]
        return (
            "Readings of one detector and instant are suspect when there is speed without"
            f" vehicles or the reverse{''.join(most)}, or when flow (of"
            f" {span(settings.lanes, 'lanes')} where nobody says how many), occupancy and speed"
            f" make vehicles shorter than {low} m or longer than {high} m, which is judged from"
            f" {digits(settings.min_flow)} veh/h and {digits(settings.min_occupancy)} % on; a"
            f" speed of 0 km/h without vehicles {verdict}."
        )

    def __init__(
        self,
        settings: TrafficPlausibilitySettings,
        series: SeriesTable,
        stations: Mapping[str, Station],
    ) -> None:
        """Take the limits."""
        self._roads = Roads(series, stations)
        self._settings = settings
        self._series = series
        self._detectors = Siblings(series, _role_of, roles=len(_ROLES))
        self._latest = Latest(series)

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the series is a detector's flow, count, occupancy or speed."""
        return _role_of(key) is not None

    def judge(self, rows: Rows) -> Verdict:
        """Put every reading together with what the detector showed at the same instant."""
        findings, details = Findings(rows, self._series), list[Detail]()
        _, role = self._detectors.places(rows.groups.series)
        where, seen = chosen_rows(rows, role != NOBODY)
        if len(seen):
            found = Together.of(seen, self._detectors, self._latest)
            # Those of a detector have the same qualifiers and station, so any of them will do.
            anyone = found.series.max(axis=0)
            lanes = self._lanes(anyone)
            level, reasons = self._contradictions(found, lanes, self._roads.per_hour(anyone))
            contradicts = (level > 1) & (reasons & TRAFFIC_PLAUSIBILITY.mask != 0)
            details = _details(found, lanes, contradicts)
            row = found.row if isinstance(where, slice) else np.append(where, NOBODY)[found.row]
            findings.add(found.series.ravel(), row.ravel(), level.ravel(), reasons.ravel())
            self._latest.keep(seen, seen.usable)
        return replace(findings.verdict(), details=details)

    def _lanes(self, series: Int32Array) -> FloatArray:
        """Return the fewest and the most lanes each series is about, shape (2, n)."""
        lanes = self._roads.lanes(series)
        fewest, most = self._settings.lanes
        return np.where(np.isnan(lanes), [[fewest], [most]], lanes)

    def _contradictions(
        self, found: Together, lanes: FloatArray, per_hour: FloatArray
    ) -> tuple[Levels, ReasonArray]:
        """Return what the rules say of each reading, and why; both of shape (roles, n).

        Whoever is known at an instant when its last reading arrives was known to no more rules
        before, so one look at the end is enough.
        """
        settings, value = self._settings, found.value
        flow, count, occupancy, speed = value
        with np.errstate(all="ignore"):
            empty = (flow == 0) | (count == 0)
            # An occupied detector that counts nobody has a vehicle standing on it.
            occupied = (occupancy > 0) | found.awaited[_OCCUPANCY]
            nobody = (speed == 0) & ((empty & ~occupied) | (occupancy == 0))
            busy = (flow > 0) | (count > 0)
            length_m = 10 * speed * occupancy * lanes / flow
            most = optional(settings.max_flow) * lanes[1]
            dense = flow > optional(settings.max_density) * speed * lanes[1]
            crowded = (flow > most) | (dense & (speed > 0) & (flow >= settings.min_flow))
            rushed = count * per_hour > most
        standing = (speed == 0) & busy & (occupancy < 100)
        phantom = (speed > 0) & empty
        both = ~np.isnan(speed) & (empty | busy)
        triple = (flow >= settings.min_flow) & (occupancy >= settings.min_occupancy) & (speed > 0)
        low, high = settings.vehicle_length_m
        unlike = triple & ~((length_m[1] >= low) & (length_m[0] <= high))
        wrong, unmeasured = LEVELS["suspect"], LEVELS[settings.empty_speed]
        said = (
            (both, phantom | standing, wrong, TRAFFIC_PLAUSIBILITY, (_FLOW, _COUNT, _SPEED)),
            (crowded, crowded, wrong, TRAFFIC_PLAUSIBILITY, (_FLOW,)),
            (rushed, rushed, wrong, TRAFFIC_PLAUSIBILITY, (_COUNT,)),
            (triple, unlike, wrong, TRAFFIC_PLAUSIBILITY, (_FLOW, _OCCUPANCY, _SPEED)),
            (nobody, nobody, unmeasured, NO_VEHICLE, (_SPEED,)),
        )
        level, reasons = np.zeros(value.shape, np.int8), np.zeros(value.shape, np.uint32)
        for evaluated, bad, worst, reason, roles in said:
            rows = np.flatnonzero(bad)
            for one in roles:
                # Of what is not evaluated nothing is said, which is 0; evaluated and good is 1.
                np.maximum(level[one], evaluated.view(np.int8), out=level[one])
                level[one, rows] = np.maximum(level[one, rows], worst)
                reasons[one, rows] |= reason.mask
        level[np.isnan(value)] = 0
        return level, reasons

    def snapshot(self) -> Snapshot:
        """Return the newest reading of each series."""
        return self._latest.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the newest reading of each series."""
        self._latest.restore(snapshot)


def _details(found: Together, lanes: FloatArray, bad: BoolArray) -> list[Detail]:
    """Return the numbers that contradict each other, for each of the readings they are of."""
    details = []
    for place in np.flatnonzero(bad.any(axis=0)).tolist():
        told = _sentence(found.value[:, place].tolist(), lanes[:, place].tolist())
        for role in np.flatnonzero(bad[:, place]).tolist():
            code, at = int(found.series[role, place]), int(found.time[place])
            details.append(Detail(code, at, TRAFFIC_PLAUSIBILITY.bit, told))
    return details


def _sentence(shown: Sequence[float], lanes: Sequence[float]) -> str:
    """Say what a detector shows at an instant.

    >>> _sentence([0.0, np.nan, np.nan, 90.0], [1.0, 4.0])
    'The detector shows flow 0 veh/h and speed 90 km/h on 1 to 4 lanes.'
    """
    told = [
        f"{name.replace('_', ' ')} {with_unit(float(f'{number:.6g}'), unit_of(name))}"
        for name, number in zip(_ROLES, shown, strict=True)
        if not math.isnan(number)
    ]
    flow, _, occupancy, speed = shown
    length = ""
    if flow > 0 and speed > 0 and occupancy > 0:
        low, high = (f"{10 * speed * occupancy * many / flow:.3g}" for many in lanes)
        length = f": vehicles {low if low == high else f'{low} to {high}'} m long"
    return f"The detector shows {listed(told)} on {_road(lanes)}{length}."


def _road(lanes: Sequence[float]) -> str:
    fewest, most = lanes
    return counted(most, "lane") if fewest == most else span((fewest, most), "lanes")


def _role_of(key: SeriesKey) -> tuple[object, int] | None:
    role = _ROLES.get(key.quantity)
    return None if role is None else ((key.sensor, key.qualifiers), role)
