# SPDX-License-Identifier: EUPL-1.2
"""Speed from a single loop: from flow, occupancy and how long vehicles look to the loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray
from lamppost.component import register
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import Snapshot, nested, part
from lamppost.stations import Station
from lamppost.wording import counted, digits, exactly
from processors._roads import lanes_at

from ._calibration import Calibration
from ._derivations import FLOW, KM_PER_MILE, M_PER_FOOT, RoadDerivation, RoadSettings
from ._together import Road

USUAL_LENGTH_M: Final = 22 * M_PER_FOOT
LEAST_DENSITY_PER_KM: Final = 1.2 / KM_PER_MILE


class SingleLoopSpeedSettings(RoadSettings):
    """How long vehicles look, and what is believed."""

    vehicle_length_m: float = Field(
        default=4.8768,
        gt=0,
        le=50,
        description="Mean length of a vehicle, where the registry tells the detector's; 22 feet "
        "for both where it does not.",
    )
    calibrate: bool = Field(
        default=True,
        description="Whether the length is learnt where the free-flow speed is known.",
    )
    percentile: float = Field(
        default=60.0,
        gt=0,
        lt=100,
        description="Learnt from readings below this percentile of occupancy of the day before.",
    )
    smoothing_h: int = Field(
        default=6, ge=0, le=11, description="Hours to either side that a learnt hour is mean of."
    )
    least_readings: int = Field(
        default=200, ge=1, description="Readings a day must have to be learnt from."
    )
    slowest_km_h: float = Field(default=4.8, ge=0, description="Slower speeds are taken for this.")
    fastest_km_h: float = Field(
        default=139.2, gt=0, description="Faster speeds are taken for this."
    )

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        if self.slowest_km_h >= self.fastest_km_h:
            yield "slowest_km_h", "must lie below fastest_km_h"


def speed(flow: FloatArray, occupancy: FloatArray, length_m: FloatArray) -> FloatArray:
    """Return km/h from the flow of a lane; NaN where too few vehicles passed to tell.

    >>> speed(np.array([1800.0]), np.array([10.0]), np.array([6.7056])).round(2)
    array([120.7])
    """
    found = np.full(len(flow), np.nan)
    told = (flow > 0) & (occupancy * 10.0 / length_m > LEAST_DENSITY_PER_KM)
    np.divide(flow * length_m, occupancy * 10.0, out=found, where=told)
    return found


@register("derivation")
class SingleLoopSpeed(RoadDerivation[SingleLoopSpeedSettings]):
    """Works out speed from flow and occupancy, for detectors that cannot measure it.

    ``v = q * g / (1000 * occupancy / 100)`` km/h with q of one lane and g, the effective length of
    vehicle and loop in m. No speed where density, ``10 * occupancy / g``, is at most 1.2 vehicles
    per mile, or flow is 0. g is 22 feet, or ``vehicle_length_m`` and the registry's
    ``detector_length_m``, until it is learnt: each day gives a g for each hour, the mean of
    ``occupancy * 10 * free-flow speed / q`` over readings below the ``percentile`` of occupancy
    of the day before, smoothed over ``smoothing_h`` hours to either side; it is used from the next
    day on. Days are UTC days of the readings. Only for stations with ``detector`` ``single_loop``.

    Source: IRIS (formula, least density, 22 feet) and PeMS (calibration below the 60th percentile,
    hourly means smoothed over 6 hours, speeds of 3 to 86.5 mph); both agree on the formula.

    Known failures: a share of lorries that differs from that in free traffic makes it wrong by as
    much. A wrong free-flow speed in the registry is learnt. PeMS smooths the speed itself, too,
    which is not done here: windows do.
    """

    name: ClassVar[str] = "single_loop_speed"
    Settings: ClassVar[type[SingleLoopSpeedSettings]] = SingleLoopSpeedSettings
    inputs: ClassVar[Mapping[str, int]] = {**FLOW, "occupancy": 1}
    quantity: ClassVar[str] = "speed"

    @classmethod
    def describe(cls, settings: SingleLoopSpeedSettings) -> str:
        """Say how long vehicles look to a loop, and what is believed."""
        learnt = (
            "learnt where the free-flow speed is known"
            f" (from days of {counted(settings.least_readings, 'reading')}"
            f" or more, below percentile {digits(settings.percentile)} of occupancy, smoothed over"
            f" {settings.smoothing_h} h to either side)"
        )
        length = f", or as {learnt}" if settings.calibrate else ", never learnt"
        slowest, fastest = digits(settings.slowest_km_h), digits(settings.fastest_km_h)
        return (
            "Works out speed from flow and occupancy of single loops, with vehicles of"
            f" {digits(settings.vehicle_length_m)} m beside the detector length of the station file"
            f" (22 feet for both without){length}; it stays within {slowest} to {fastest} km/h, and"
            f" readings of one instant wait up to {exactly(settings.wait_s)} for each other."
        )

    def __init__(
        self,
        settings: SingleLoopSpeedSettings,
        series: SeriesTable,
        stations: Mapping[str, Station],
    ) -> None:
        """Start with the usual length everywhere."""
        super().__init__(settings, series, stations)
        self._calibration = Calibration(
            percentile=settings.percentile,
            smoothing_h=settings.smoothing_h,
            least_readings=settings.least_readings,
        )

    def facts(self, key: SeriesKey, station: Station | None) -> tuple[float, ...] | None:
        """Return lanes, length and free-flow speed."""
        lanes = lanes_at(key, station)
        if lanes is None or station is None or station.detector != "single_loop":
            return None
        detector_m = station.detector_length_m
        length_m = USUAL_LENGTH_M
        if detector_m is not None:
            length_m = detector_m + self.settings.vehicle_length_m
        return lanes, length_m, station.free_flow_speed_km_h or np.nan

    def value(self, road: Road) -> FloatArray:
        """Return the speeds, and learn lengths from them."""
        flow, occupancy = road.values[0] / road.facts[0], road.values[1]
        length_m = road.facts[1]
        if self.settings.calibrate:
            length_m = self._learnt(road, flow, occupancy)
        found = speed(flow, occupancy, length_m)
        return np.clip(found, self.settings.slowest_km_h, self.settings.fastest_km_h)

    def snapshot(self) -> Snapshot:
        """Return what was learnt, and the inputs that wait for others."""
        return {**super().snapshot(), **nested("learnt", self._calibration.snapshot())}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over what was learnt."""
        super().restore(snapshot)
        self._calibration.restore(part("learnt", snapshot))

    def _learnt(self, road: Road, flow: FloatArray, occupancy: FloatArray) -> FloatArray:
        free_flow = road.facts[2]
        passed = road.usable & (flow > 0) & (occupancy > 0) & np.isfinite(free_flow)
        length = np.full(len(flow), np.nan)
        np.divide(occupancy * 10.0 * free_flow, flow, out=length, where=passed)
        learnt = self._calibration.lengths(road.series, road.instants, occupancy, length)
        return np.where(np.isnan(learnt), road.facts[1], learnt)
