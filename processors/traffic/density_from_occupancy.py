# SPDX-License-Identifier: EUPL-1.2
"""Density from occupancy: how many vehicles stand on a kilometre of a lane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray
from lamppost.component import Settings, register
from lamppost.series import SeriesKey
from lamppost.stations import Station
from lamppost.wording import digits

from ._derivations import RoadDerivation
from ._together import Road


class DensityFromOccupancySettings(Settings):
    """How long vehicles are."""

    vehicle_length_m: float = Field(
        default=4.9, gt=0, le=50, description="Mean length of a vehicle."
    )


def density(occupancy: FloatArray, effective_m: FloatArray) -> FloatArray:
    """Return vehicles on a kilometre of a lane.

    >>> density(np.array([10.0]), np.array([6.7056])).round(2)
    array([14.91])
    """
    return np.where(occupancy >= 0, occupancy * 10.0 / effective_m, np.nan)


@register("derivation")
class DensityFromOccupancy(RoadDerivation[DensityFromOccupancySettings]):
    """Works out density per lane from occupancy and the length of vehicles.

    ``k = occupancy / 100 * 1000 / (vehicle + detector)``, in veh/km and lane. Only for stations
    whose registry entry has ``detector_length_m``.

    Source: occupancy is the share of time a detector is covered, which a vehicle is for its own
    length and the detector's. 4.9 m and a detector of 1.8 m make the 22 feet that IRIS and PeMS
    take for both.

    Known failures: lorries are longer; where their share changes through the day, so does the
    error. Detectors that are sensitive to more than their length see longer vehicles.
    """

    name: ClassVar[str] = "density_from_occupancy"
    Settings: ClassVar[type[DensityFromOccupancySettings]] = DensityFromOccupancySettings
    inputs: ClassVar[Mapping[str, int]] = {"occupancy": 0}
    quantity: ClassVar[str] = "density"

    @classmethod
    def describe(cls, settings: DensityFromOccupancySettings) -> str:
        """Say how long vehicles are taken to be."""
        return (
            "Works out density per lane, veh/km, from occupancy, with vehicles of"
            f" {digits(settings.vehicle_length_m)} m and the detector length of the station file."
        )

    def facts(self, key: SeriesKey, station: Station | None) -> tuple[float] | None:
        """Return the effective length."""
        del key
        if station is None or station.detector_length_m is None:
            return None
        return (self.settings.vehicle_length_m + station.detector_length_m,)

    def value(self, road: Road) -> FloatArray:
        """Divide occupancy by the effective length."""
        return density(*road.values, *road.facts)
