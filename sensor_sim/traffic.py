# SPDX-License-Identifier: EUPL-1.2
"""The traffic on the city's roads: demand by weekday and hour, and what a loop would see of it.

Flow, speed and density always obey flow = density x speed, so a detector's triple is consistent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .calendar_time import hour_of_day, is_weekend
from .noise import Floats, Instants

# Vehicle and loop together cover 6.5 m of road, so 1 vehicle/km keeps a loop busy 0.65 %.
OCCUPANCY_PER_DENSITY = 0.65

_SLOWEST_KM_H = 3.0
_MOST_LOADED = 0.97
_MOST_OCCUPIED = 92.0


@dataclass(frozen=True)
class TrafficFlow:
    """The true state of a road: flow in veh/h over all lanes, speed in km/h, occupancy in %."""

    flow: Floats
    speed: Floats
    occupancy: Floats


def demand_share(time_ns: Instants) -> Floats:
    """Return the city's traffic demand as a share of a usual rush hour."""
    hour = hour_of_day(time_ns)
    weekday = 0.06 + 0.75 * _peak(hour, 7.75, 1.0) + 0.80 * _peak(hour, 17.2, 1.4)
    weekday = weekday + 0.45 * _peak(hour, 12.5, 3.2)
    weekend = 0.06 + 0.55 * _peak(hour, 14.0, 3.6) + 0.12 * _peak(hour, 20.0, 1.8)
    return np.where(is_weekend(time_ns), weekend, weekday)


def road_state(
    demand: Floats, *, lanes: Floats, capacity: Floats, free_speed: Floats, blockage: Floats
) -> TrafficFlow:
    """Return the state of roads under a demand in veh/h; `blockage` 1 is a blocked road.

    Speed follows Greenshields; a blockage moves the state from the free to the congested branch.
    """
    load = np.minimum(demand / capacity, _MOST_LOADED)
    branch = 1.0 - 2.0 * blockage
    speed = np.maximum(0.5 * free_speed * (1.0 + branch * np.sqrt(1.0 - load)), _SLOWEST_KM_H)
    flow = load * capacity * (1.0 - 0.4 * blockage)
    return TrafficFlow(flow=flow, speed=speed, occupancy=occupancy_of(flow, speed, lanes))


def occupancy_of(flow: Floats, speed: Floats, lanes: Floats) -> Floats:
    """Return the percentage of time that a loop is covered, from flow and speed."""
    return np.minimum(OCCUPANCY_PER_DENSITY * flow / speed / lanes, _MOST_OCCUPIED)


def _peak(hour: Floats, centre: float, width: float) -> Floats:
    peak: Floats = np.exp(-0.5 * ((hour - centre) / width) ** 2)
    return peak
