# SPDX-License-Identifier: EUPL-1.2
"""Travel-time index: how many times longer a way takes than on the empty road."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from lamppost.batch import FloatArray
from lamppost.component import Settings, register
from lamppost.series import SeriesKey
from lamppost.stations import Station

from ._derivations import RoadDerivation
from ._together import Road


class TravelTimeIndexSettings(Settings):
    """Nothing can be set."""


def travel_time_index(speed: FloatArray, free_flow: FloatArray) -> FloatArray:
    """Return the index; NaN where nothing moves.

    >>> travel_time_index(np.array([30.0, 60.0]), np.array([60.0, 60.0]))
    array([2., 1.])
    """
    found = np.full(len(speed), np.nan)
    np.divide(free_flow, speed, out=found, where=speed > 0)
    return found


@register("derivation")
class TravelTimeIndex(RoadDerivation[TravelTimeIndexSettings]):
    """Works out how many times longer a way takes than at free flow: free-flow speed over speed.

    ``free-flow speed / speed``: 2 means that a way takes twice as long. Only for stations whose
    registry entry has ``free_flow_speed_km_h``. The mean over a window is the mean index of its
    readings, each with the same weight.

    Source: PeMS has 60 mph over the speed; here the station's own free-flow speed stands for 60.

    Known failures: it is the index at the detector, not along a way with signals. Below 1 it says
    that traffic is faster than the registry's free-flow speed, mostly at night. A wrong entry
    shifts everything.
    """

    name: ClassVar[str] = "travel_time_index"
    Settings: ClassVar[type[TravelTimeIndexSettings]] = TravelTimeIndexSettings
    inputs: ClassVar[Mapping[str, int]] = {"speed": 0}
    quantity: ClassVar[str] = "travel_time_index"

    def facts(self, key: SeriesKey, station: Station | None) -> tuple[float] | None:
        """Return the free-flow speed."""
        del key
        free_flow = None if station is None else station.free_flow_speed_km_h
        return None if free_flow is None else (free_flow,)

    def value(self, road: Road) -> FloatArray:
        """Divide the free-flow speed by the speed."""
        return travel_time_index(*road.values, *road.facts)
