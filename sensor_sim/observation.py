# SPDX-License-Identifier: EUPL-1.2
"""What healthy stations observe: the truth, seen through each station's own instrument."""

from __future__ import annotations

import numpy as np

from .air import air_at
from .calendar_time import SECOND_NS
from .events import Event, EventKind, road_strengths, total_strength
from .instruments import INSTRUMENTS, printed
from .noise import Floats, Instants, derive, normal, smooth
from .sites import (
    CITY_QUANTITIES,
    TRAFFIC_QUANTITIES,
    WIND_QUANTITIES,
    Columns,
    Places,
    Sites,
)
from .traffic import OCCUPANCY_PER_DENSITY, demand_share, road_state
from .weather import weather_at

AIR_QUANTITIES = CITY_QUANTITIES + WIND_QUANTITIES

_MASS_QUANTITIES = frozenset({"pm2_5", "pm10", "no2", "o3"})
_HALF_HOUR_S = 1_800.0
_KEPT_AWAY = 0.6


def observe(sites: Sites, events: tuple[Event, ...], places: Places, time_ns: Instants) -> Columns:
    """Return the healthy observation of each reading; NaN where a station has no such value.

    Args:
        sites: the stations.
        events: everything that happens during the readings.
        places: the station of each reading.
        time_ns: the instant of each reading.
    """
    at_road = sites.is_traffic[places]
    columns: Columns = {}
    for which, observe_kind in ((~at_road, observe_air), (at_road, observe_traffic)):
        hit = np.flatnonzero(which)
        if len(hit):
            observed = observe_kind(sites, events, places[hit], time_ns[hit])
            columns.update(_spread(observed, hit, len(places)))
    return columns


def true_air(sites: Sites, events: tuple[Event, ...], places: Places, time_ns: Instants) -> Columns:
    """Return the true air at stations, before any instrument sees it."""
    weather = weather_at(sites.seed, time_ns)
    east, north = sites.position_m
    where = (east[places], north[places])
    air = air_at(
        weather,
        traffic=demand_share(time_ns),
        exposure=sites.exposure[places],
        smoke=total_strength(events, EventKind.SMOKE_PLUME, where, time_ns),
    )
    return {
        "pm2_5": air.pm2_5,
        "pm10": air.pm10,
        "no2": air.no2,
        "o3": air.o3,
        "temperature": weather.temperature + sites.warmth[places],
        "humidity": weather.humidity - 2.0 * sites.warmth[places],
        "pressure": weather.pressure,
        "wind_speed": weather.wind_speed * (1.2 - 0.4 * sites.exposure[places]),
        "wind_direction": weather.wind_direction,
    }


def observe_air(
    sites: Sites, events: tuple[Event, ...], places: Places, time_ns: Instants
) -> Columns:
    """Return what healthy air stations observe."""
    truth = true_air(sites, events, places, time_ns)
    return {name: _measured(sites, name, truth[name], places, time_ns) for name in AIR_QUANTITIES}


def observe_traffic(
    sites: Sites, events: tuple[Event, ...], places: Places, time_ns: Instants
) -> Columns:
    """Return what healthy detectors observe: whole vehicles, and no speed without a vehicle."""
    key, lanes = sites.key[places], sites.lanes[places]
    east, north = sites.position_m
    where = (east[places], north[places])
    blockage, shortage = road_strengths(events, sites.roads, places, where, time_ns)
    wave = 1.0 + 0.08 * smooth(derive(key, "wave"), time_ns, _HALF_HOUR_S)
    demand = sites.capacity[places] * sites.load[places] * demand_share(time_ns) * wave
    demand = demand * (1.0 - _KEPT_AWAY * shortage)
    road = road_state(
        np.maximum(demand, 0.0),
        lanes=lanes,
        capacity=sites.capacity[places],
        free_speed=sites.free_speed[places],
        blockage=blockage,
    )
    period_s = sites.period_ns[places] / SECOND_NS
    count = _whole_vehicles(road.flow * period_s / 3600.0, normal(derive(key, "count"), time_ns))
    speed = _mean_speed(road.speed, count, normal(derive(key, "speed"), time_ns))
    flow = count * 3600.0 / period_s
    covered = np.where(count > 0, OCCUPANCY_PER_DENSITY * flow / speed / lanes, 0.0)
    observed = dict(zip(TRAFFIC_QUANTITIES, (count, flow, speed, covered), strict=True))
    return {name: printed(name, values) for name, values in observed.items()}


def _measured(
    sites: Sites, quantity: str, truth: Floats, places: Places, time_ns: Instants
) -> Floats:
    instrument = INSTRUMENTS[quantity]
    noise = normal(derive(sites.key[places], f"noise {quantity}"), time_ns)
    gain = sites.gain[places] if quantity in _MASS_QUANTITIES else 1.0
    seen = truth * gain + noise * (instrument.noise + instrument.noise_share * truth)
    return printed(quantity, seen)


def _whole_vehicles(mean: Floats, deviate: Floats) -> Floats:
    """Return vehicle counts about as scattered as a Poisson process would have them."""
    return np.maximum(np.round(mean + np.sqrt(mean) * deviate), 0.0)


def _mean_speed(speed: Floats, count: Floats, deviate: Floats) -> Floats:
    scatter = 1.0 + np.clip(0.12 * deviate / np.sqrt(np.maximum(count, 1.0)), -0.5, 0.5)
    return np.where(count > 0, speed * scatter, np.nan)


def _spread(observed: Columns, hit: Places, size: int) -> Columns:
    columns: Columns = {}
    for quantity, values in observed.items():
        column = np.full(size, np.nan)
        column[hit] = values
        columns[quantity] = column
    return columns
