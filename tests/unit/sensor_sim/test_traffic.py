# SPDX-License-Identifier: EUPL-1.2
"""Traffic has rush hours, and flow, speed and density fit together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensor_sim.calendar_time import CITY_OFFSET_NS, DAY_NS, HOUR_NS
from sensor_sim.traffic import OCCUPANCY_PER_DENSITY, TrafficFlow, demand_share, road_state

MONDAY_NS = 20_458 * DAY_NS - CITY_OFFSET_NS
WEEK = MONDAY_NS + np.arange(7 * 24, dtype=np.int64) * HOUR_NS


def state(demand: float, blockage: float) -> TrafficFlow:
    """Return the state of a road of two lanes."""
    return road_state(
        np.array([demand]),
        lanes=np.array([2.0]),
        capacity=np.array([3400.0]),
        free_speed=np.array([60.0]),
        blockage=np.array([blockage]),
    )


def test_weekdays_have_two_rush_hours_and_weekends_none() -> None:
    """Demand at 8 and at 17 on a Monday beats noon; on a Sunday the early afternoon leads."""
    days = demand_share(WEEK).reshape(7, 24)

    assert days[0, 8] > days[0, 10]
    assert days[0, 17] > days[0, 14]
    assert days[6].argmax() in {13, 14, 15}
    assert days[6, 8] < days[0, 8] / 2


def test_the_quiet_of_the_night_is_not_zero() -> None:
    """Some vehicles are always about."""
    assert 0 < demand_share(WEEK).min() < 0.1


@given(st.floats(1, 6000), st.floats(0, 1))
def test_flow_is_density_times_speed(demand: float, blockage: float) -> None:
    """Occupancy per lane is the density times the covered length, unless the loop is full."""
    road = state(demand, blockage)

    covered = OCCUPANCY_PER_DENSITY * road.flow / road.speed / 2.0
    assert np.isclose(road.occupancy, np.minimum(covered, 92.0)).all()
    assert 3.0 <= road.speed[0] <= 60.0
    assert 0.0 < road.flow[0] <= 3400.0


def test_a_blocked_road_is_slow_and_full() -> None:
    """An incident lowers flow and speed and raises occupancy."""
    free, blocked = state(2000.0, 0.0), state(2000.0, 0.9)

    assert blocked.speed[0] < free.speed[0] / 2
    assert blocked.occupancy[0] > free.occupancy[0] * 1.5
    assert blocked.flow[0] < free.flow[0]


def test_more_demand_is_slower() -> None:
    """Speed falls all the way to capacity."""
    speeds = [state(demand, 0.0).speed[0] for demand in (100, 1000, 2000, 3000, 3300)]

    assert speeds == sorted(speeds, reverse=True)
