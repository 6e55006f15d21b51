# SPDX-License-Identifier: EUPL-1.2
"""The stations as columns: position, road, calibration and the random key of each one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .calendar_time import SECOND_NS
from .fleet import CITY_OWNER, TRAFFIC, Fleet, Station
from .noise import Floats, Instants, Keys, derive, keys_of, normal, uniform
from .roads import Along, free_speed_of, lanes_of

Places = NDArray[np.int64]
Columns = dict[str, Floats]

TRAFFIC_QUANTITIES = ("vehicle_count", "flow", "speed", "occupancy")
CITIZEN_QUANTITIES = ("pm2_5", "pm10", "temperature", "humidity")
CITY_QUANTITIES = ("pm2_5", "pm10", "no2", "o3", "temperature", "humidity", "pressure")
WIND_QUANTITIES = ("wind_speed", "wind_direction")

_WITH_WIND = 0.4
_WITH_PPB = 0.5
_WITH_FAHRENHEIT = 0.12
_WITH_EPOCH_TIME = 0.25


@dataclass(frozen=True)
class Sites:
    """A fleet under a seed, one array element for each station."""

    fleet: Fleet
    seed: int

    def __len__(self) -> int:
        """Return how many stations there are."""
        return len(self.fleet)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Position of each sensor in the fleet."""
        return {station.sensor: place for place, station in enumerate(self.fleet.stations)}

    @cached_property
    def key(self) -> Keys:
        """Random key of each station."""
        return keys_of(self.seed, [station.sensor for station in self.fleet.stations])

    @cached_property
    def is_traffic(self) -> NDArray[np.bool_]:
        """Which stations count traffic."""
        return np.array([s.kind == TRAFFIC for s in self.fleet.stations], dtype=np.bool_)

    @cached_property
    def is_city_owned(self) -> NDArray[np.bool_]:
        """Which stations belong to the city and are the better instruments."""
        return np.array([s.owner == CITY_OWNER for s in self.fleet.stations], dtype=np.bool_)

    @cached_property
    def position_m(self) -> tuple[Floats, Floats]:
        """Metres east and north of the city's centre."""
        return self.fleet.position_m()

    @cached_property
    def period_ns(self) -> Instants:
        """Time between two readings."""
        periods = [round(station.period_s * SECOND_NS) for station in self.fleet.stations]
        return np.array(periods, dtype=np.int64)

    @cached_property
    def phase_ns(self) -> Instants:
        """Offset of each station's readings within its period."""
        share = self.share("phase") * self.period_ns
        return share.astype(np.int64) // 1_000_000 * 1_000_000

    @cached_property
    def exposure(self) -> Floats:
        """How near to a road the air is taken, 0 to 1."""
        return 0.1 + 0.9 * self.share("exposure") ** 2

    @cached_property
    def gain(self) -> Floats:
        """Calibration error of each station as a factor."""
        spread = np.where(self.is_city_owned, 0.015, 0.05)
        gain: Floats = 1.0 + spread * normal(derive(self.key, "gain"), np.zeros(1, np.int64))
        return gain

    @cached_property
    def warmth(self) -> Floats:
        """Degrees a station's place is warmer than the city's mean."""
        return 0.6 * normal(derive(self.key, "warmth"), np.zeros(1, dtype=np.int64))

    @cached_property
    def lanes(self) -> Floats:
        """Lanes under the detector."""
        return lanes_of(self.key)

    @cached_property
    def roads(self) -> Along:
        """Where each station stands along its road."""
        return Along.of([station.road for station in self.fleet.stations])

    @cached_property
    def capacity(self) -> Floats:
        """Most vehicles in an hour over all lanes."""
        return 1_700.0 * self.lanes

    @cached_property
    def free_speed(self) -> Floats:
        """Speed on the empty road in km/h."""
        return free_speed_of(self.key)

    @cached_property
    def load(self) -> Floats:
        """Demand of a rush hour as a share of capacity."""
        return 0.4 + 0.5 * self.share("load")

    @cached_property
    def equipment(self) -> tuple[tuple[str, ...], ...]:
        """Quantities that each station measures."""
        windy = self.share("wind") < _WITH_WIND
        pairs = zip(self.fleet.stations, windy.tolist(), strict=True)
        return tuple(_equipment(station, with_wind=wind) for station, wind in pairs)

    @cached_property
    def units(self) -> tuple[Mapping[str, str], ...]:
        """Units that each station sends with its values, where they are not the usual ones."""
        return tuple(self._units(place) for place in range(len(self)))

    @cached_property
    def sends_epoch_time(self) -> NDArray[np.bool_]:
        """Which stations send the time as seconds since 1970 instead of text."""
        return self.share("epoch time") < _WITH_EPOCH_TIME

    def share(self, purpose: str) -> Floats:
        """Return one fixed uniform number for each station."""
        return uniform(derive(self.key, purpose), np.zeros(1, dtype=np.int64))

    def _units(self, place: int) -> Mapping[str, str]:
        if self.is_traffic[place]:
            return {}
        if self.is_city_owned[place]:
            return {"no2": "ppb"} if self.share("ppb")[place] < _WITH_PPB else {}
        fahrenheit = self.share("fahrenheit")[place] < _WITH_FAHRENHEIT
        return {"temperature": "degF"} if fahrenheit else {}


def _equipment(station: Station, *, with_wind: bool) -> tuple[str, ...]:
    if station.kind == TRAFFIC:
        return TRAFFIC_QUANTITIES
    if station.owner != CITY_OWNER:
        return CITIZEN_QUANTITIES
    return CITY_QUANTITIES + (WIND_QUANTITIES if with_wind else ())
