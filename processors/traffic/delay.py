# SPDX-License-Identifier: EUPL-1.2
"""Delay: the hours that all vehicles together lose on the way to the next station."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray
from lamppost.component import register
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import RegistryWatch, Station
from lamppost.wording import digits, exactly, percent
from processors._roads import flows_per_count

from ._derivations import FLOW_AND_SPEED, RoadDerivation, RoadSettings
from ._network import next_stations
from ._together import Road


class DelaySettings(RoadSettings):
    """Against which speed delay is counted."""

    reference_km_h: float = Field(
        default=96.6,
        gt=0,
        le=250,
        description="Speed below which vehicles lose time (Vt), at most the free-flow speed.",
    )
    reference_share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Where the free-flow speed is known: this share of it, if that is less.",
    )


def delay(
    flow: FloatArray, speed: FloatArray, length_km: FloatArray, reference: FloatArray,
    hours: FloatArray,
) -> FloatArray:  # fmt: skip
    """Return vehicle-hours lost in an interval; NaN where nothing moves.

    >>> delay(*(np.array([x]) for x in (1200.0, 30.0, 2.0, 60.0, 0.5)))
    array([20.])
    """
    found = np.full(len(flow), np.nan)
    moving = (speed > 0) & (flow >= 0)
    np.divide(length_km, speed, out=found, where=moving)
    lost = np.maximum(found - length_km / reference, 0.0)
    return np.asarray(flow * hours * lost, np.float64)


@register("derivation")
class Delay(RoadDerivation[DelaySettings]):
    """Works out the vehicle-hours lost between a station and the next one downstream.

    ``F * (L / V - L / Vt)``, never below 0: F vehicles of the reading's interval, L the length to
    the next station, V their speed, Vt the reference: the lesser of ``reference_km_h`` and
    ``reference_share`` of the free-flow speed. The sum over a window is what was lost in it.

    Source: PeMS, which publishes it for Vt from 35 to 60 mph (96.6 km/h); one source, but
    official.

    Known failures: the speed at the detector stands for all of the length, so that a queue shorter
    than it counts too much or not at all. What a signal costs everybody is counted as well.
    Intervals without a reading lose nothing: look at the coverage before comparing sums.
    """

    name: ClassVar[str] = "delay"
    Settings: ClassVar[type[DelaySettings]] = DelaySettings
    inputs: ClassVar[Mapping[str, int]] = FLOW_AND_SPEED
    quantity: ClassVar[str] = "delay"

    @classmethod
    def describe(cls, settings: DelaySettings) -> str:
        """Say against which speed delay is counted."""
        return (
            "Works out the vehicle-hours lost between a station and the next one downstream,"
            f" against {digits(settings.reference_km_h)} km/h or, if that is less,"
            f" {percent(settings.reference_share)} of the free-flow speed; flow and speed of one"
            f" instant wait up to {exactly(settings.wait_s)} for each other (PeMS)."
        )

    def __init__(
        self, settings: DelaySettings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Prepare what belongs together."""
        self._watch = RegistryWatch(stations)
        self._following: dict[str, tuple[str, float]] = {}
        super().__init__(settings, series, stations)

    def facts(self, key: SeriesKey, station: Station | None) -> tuple[float, ...] | None:
        """Return length, reference and interval."""
        if self._watch.changed():
            self._following = next_stations(self.stations)
        following = self._following.get(key.sensor)
        per_count = flows_per_count(key, station)
        if following is None or per_count is None:
            return None
        free_flow = np.inf if station is None else station.free_flow_speed_km_h or np.inf
        reference = min(self.settings.reference_km_h, self.settings.reference_share * free_flow)
        return following[1], reference, 1.0 / per_count

    def value(self, road: Road) -> FloatArray:
        """Count the time lost."""
        return delay(*road.values, *road.facts)
