# SPDX-License-Identifier: EUPL-1.2
"""Level of service of freeways, by density, after the Highway Capacity Manual."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray
from lamppost.component import register
from lamppost.series import SeriesKey
from lamppost.stations import Station
from lamppost.wording import counted, digits, exactly
from processors._roads import lanes_at

from ._derivations import FLOW_AND_SPEED, KM_PER_MILE, RoadDerivation, RoadSettings
from ._together import Road

DENSITIES: Final = (11.0, 18.0, 26.0, 35.0, 45.0)
"""Upper bounds of A to E, passenger cars on a mile of a lane."""

_FREE_FLOW: Final = (60.0, 65.0, 70.0, 75.0)
_CAPACITY: Final = (2300.0, 2350.0, 2400.0, 2400.0)
"""Free-flow speed, mph, and the flow of a lane at capacity."""

# Rounding of a division must not lift a density over a bound it equals.
_ROUNDING: Final = 1e-9


class LevelOfServiceFreewaySettings(RoadSettings):
    """How vehicles become passenger cars."""

    cars_per_vehicle: float = Field(
        default=1.0,
        ge=1,
        le=10,
        description="Passenger cars a mean vehicle stands for; 1 where no lorries drive.",
    )


def level(flow: FloatArray, speed_mph: FloatArray, free_flow_mph: FloatArray) -> FloatArray:
    """Return 1 to 6 for A to F, from passenger cars per hour and lane; NaN where nothing moves.

    >>> level(np.array([1500.0]), np.array([60.0]), np.array([np.nan]))
    array([3.])
    """
    density = np.full(len(flow), np.nan)
    np.divide(flow, speed_mph, out=density, where=(speed_mph > 0) & (flow >= 0))
    found = 1.0 + np.searchsorted(DENSITIES, density - _ROUNDING)
    limit = np.interp(
        np.where(np.isnan(free_flow_mph), np.inf, free_flow_mph), _FREE_FLOW, _CAPACITY
    )
    found[flow > limit] = 6.0
    return np.where(np.isnan(density), np.nan, found)


@register("derivation")
class LevelOfServiceFreeway(RoadDerivation[LevelOfServiceFreewaySettings]):
    """Works out the level of service of freeways, 1 for A to 6 for F, from flow and speed.

    Density in passenger cars per mile and lane, ``q / (v * lanes)``, up to 11 A, 18 B, 26 C, 35 D,
    45 E, above F; F as well where the flow exceeds capacity: 2300 to 2400 per hour and lane for
    free-flow speeds of 60 to 75 mph. Only for stations of the road class ``freeway``.

    Source: Highway Capacity Manual, basic freeway segments; the bands of density agree in two
    sources.

    Known failures: the manual means the busiest 15 minutes; a reading of a minute jumps between
    levels, so look at the quantiles of 15 minutes or more. A mean of levels means nothing. At a
    speed of 0 there is no density and so no level, not F. Lorries count as one car unless
    ``cars_per_vehicle`` says otherwise.
    """

    name: ClassVar[str] = "level_of_service_freeway"
    Settings: ClassVar[type[LevelOfServiceFreewaySettings]] = LevelOfServiceFreewaySettings
    inputs: ClassVar[Mapping[str, int]] = FLOW_AND_SPEED
    quantity: ClassVar[str] = "level_of_service"

    @classmethod
    def describe(cls, settings: LevelOfServiceFreewaySettings) -> str:
        """Say what the levels are, and how many cars a vehicle is."""
        bounds = ", ".join(map(digits, DENSITIES))
        return (
            "Works out the level of service of freeways, 1 for A to 6 for F, by density (up to"
            f" {bounds} cars per mile and lane, {counted(settings.cars_per_vehicle, 'car')} a"
            f" vehicle), or F where a lane carries more than {digits(_CAPACITY[0])} to"
            f" {digits(_CAPACITY[-1])} cars an hour, by its free-flow speed; flow and speed of one"
            f" instant wait up to {exactly(settings.wait_s)} for each other (Highway Capacity"
            " Manual)."
        )

    def facts(self, key: SeriesKey, station: Station | None) -> tuple[float, float] | None:
        """Return lanes and free-flow speed."""
        lanes = lanes_at(key, station)
        if lanes is None or station is None or station.road_class != "freeway":
            return None
        return lanes, (station.free_flow_speed_km_h or np.nan) / KM_PER_MILE

    def value(self, road: Road) -> FloatArray:
        """Look density up."""
        flow, speed = road.values
        lanes, free_flow = road.facts
        return level(flow * self.settings.cars_per_vehicle / lanes, speed / KM_PER_MILE, free_flow)
