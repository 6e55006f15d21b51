# SPDX-License-Identifier: EUPL-1.2
"""The stations of the simulated city: where they stand, who owns them, how often they speak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .noise import Floats, key_of, keys_of
from .roads import NO_ROAD, Road, free_speed_of, lanes_of
from .streets import ARTERIALS, CITY, DISTRICTS, STREETS

AIR_QUALITY = "air_quality"
TRAFFIC = "traffic"
CITY_OWNER = f"City of {CITY}"
CITIZEN_OWNER = f"{CITY} Air Watch"
ROADS_OWNER = f"{CITY} Roads"

CENTRE_LATITUDE = 48.0
CENTRE_LONGITUDE = 8.0
CITY_SIZE_M = 8_000.0

_M_PER_DEGREE = 111_195.0
_M_PER_DEGREE_EAST = _M_PER_DEGREE * float(np.cos(np.radians(CENTRE_LATITUDE)))
_DISTRICTS_PER_ROW = 3
_CITY_OWNED_EVERY = 5


@dataclass(frozen=True)
class Station:
    """One device at one place, with one owner."""

    sensor: str
    name: str
    kind: str
    latitude: float
    longitude: float
    area: str
    period_s: float
    owner: str
    licence: str
    road: Road = NO_ROAD


@dataclass(frozen=True)
class Fleet:
    """All stations of a city, in a fixed order."""

    stations: tuple[Station, ...]

    def __len__(self) -> int:
        """Return how many stations there are."""
        return len(self.stations)

    def of_kind(self, kind: str) -> tuple[Station, ...]:
        """Return the stations of one kind."""
        return tuple(station for station in self.stations if station.kind == kind)

    def position_m(self) -> tuple[Floats, Floats]:
        """Return the metres east and north of the city's centre for every station."""
        latitude = np.array([station.latitude for station in self.stations], dtype=np.float64)
        longitude = np.array([station.longitude for station in self.stations], dtype=np.float64)
        east: Floats = (longitude - CENTRE_LONGITUDE) * _M_PER_DEGREE_EAST
        north: Floats = (latitude - CENTRE_LATITUDE) * _M_PER_DEGREE
        return east, north


def build_fleet(
    seed: int, air_quality: int = 150, traffic: int = 100, period_s: float = 60.0
) -> Fleet:
    """Build the stations of Lampenfeld; the same seed builds the same city."""
    taken: set[str] = set()
    air = _air_stations(seed, air_quality, period_s, taken)
    roads = _traffic_stations(seed, traffic, period_s, taken)
    return Fleet(stations=(*air, *roads))


def to_geojson(fleet: Fleet) -> dict[str, Any]:
    """Return the station registry as a GeoJSON FeatureCollection."""
    return {
        "type": "FeatureCollection",
        "features": [_feature(station) for station in fleet.stations],
    }


def _feature(station: Station) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": station.sensor,
        "geometry": {"type": "Point", "coordinates": [station.longitude, station.latitude]},
        "properties": {
            "name": station.name,
            "kind": station.kind,
            "device": "ntcip_1209" if station.kind == "traffic" else "sds011",
            "period_s": station.period_s,
            "owner": station.owner,
            "licence": station.licence,
            "area": station.area,
            **_road(station.road),
        },
    }


def _road(road: Road) -> dict[str, Any]:
    if road is NO_ROAD:
        return {}
    return {
        "detector": "double_loop",
        "road_class": "street_2",
        "corridor": road.corridor,
        "position_km": road.position_km,
        "lanes": road.lanes,
        "free_flow_speed_km_h": road.free_flow_speed_km_h,
    }


def _air_stations(seed: int, count: int, period_s: float, taken: set[str]) -> list[Station]:
    draw = np.random.default_rng(key_of(seed, "air stations"))
    east, north = _spread(draw, count)
    streets = draw.integers(len(STREETS), size=count)
    stations = []
    for index in range(count):
        from_city = index % _CITY_OWNED_EVERY == 0
        stations.append(
            _station(
                sensor=f"aq-{index + 1:03d}",
                name=_address(STREETS[streets[index]], draw, taken),
                kind=AIR_QUALITY,
                place_m=(float(east[index]), float(north[index])),
                period_s=period_s,
                rights=(CITY_OWNER, "CC-BY-4.0") if from_city else (CITIZEN_OWNER, "ODbL-1.0"),
            )
        )
    return stations


def _traffic_stations(seed: int, count: int, period_s: float, taken: set[str]) -> list[Station]:
    draw = np.random.default_rng(key_of(seed, "traffic stations"))
    stations = []
    for index in range(count):
        arterial = index % len(ARTERIALS)
        sensor = f"tr-{index + 1:03d}"
        name = _address(ARTERIALS[arterial], draw, taken)
        place_m = _on_arterial(arterial, index // len(ARTERIALS), count, draw)
        stations.append(
            _station(
                sensor=sensor,
                name=name,
                kind=TRAFFIC,
                place_m=place_m,
                period_s=period_s,
                rights=(ROADS_OWNER, "CC-BY-4.0"),
                road=_road_at(seed, sensor, arterial, place_m),
            )
        )
    return stations


def _road_at(seed: int, sensor: str, arterial: int, place_m: tuple[float, float]) -> Road:
    """Return the road under a detector; traffic runs east on the even arterials, else north."""
    along_m = place_m[0] if arterial % 2 == 0 else place_m[1]
    keys = keys_of(seed, [sensor])
    return Road(
        corridor=ARTERIALS[arterial],
        position_km=round((along_m + CITY_SIZE_M / 2) / 1000, 3),
        lanes=int(lanes_of(keys)[0]),
        free_flow_speed_km_h=round(float(free_speed_of(keys)[0]), 1),
    )


def _station(
    *,
    sensor: str,
    name: str,
    kind: str,
    place_m: tuple[float, float],
    period_s: float,
    rights: tuple[str, str],
    road: Road = NO_ROAD,
) -> Station:
    east, north = place_m
    return Station(
        sensor=sensor,
        name=name,
        kind=kind,
        latitude=round(CENTRE_LATITUDE + north / _M_PER_DEGREE, 6),
        longitude=round(CENTRE_LONGITUDE + east / _M_PER_DEGREE_EAST, 6),
        area=_district(east, north),
        period_s=period_s,
        owner=rights[0],
        licence=rights[1],
        road=road,
    )


def _spread(draw: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    """Place stations evenly but not on a grid (a jittered R2 sequence)."""
    steps = np.arange(1, count + 1, dtype=np.float64)
    jitter = draw.uniform(-0.02, 0.02, size=(2, count))
    east = np.mod(steps * 0.7548776662466927 + jitter[0], 1.0)
    north = np.mod(steps * 0.5698402909980532 + jitter[1], 1.0)
    return (east - 0.5) * CITY_SIZE_M, (north - 0.5) * CITY_SIZE_M


def _on_arterial(
    road: int, place: int, count: int, draw: np.random.Generator
) -> tuple[float, float]:
    """Place a detector on one of five roads each way across the city."""
    places = max(1, -(-count // len(ARTERIALS)))
    along = ((place + 0.5) / places - 0.5) * CITY_SIZE_M + float(draw.uniform(-60.0, 60.0))
    lanes = len(ARTERIALS) // 2
    across = ((road // 2 + 0.5) / lanes - 0.5) * CITY_SIZE_M * 0.94
    return (along, across) if road % 2 == 0 else (across, along)


def _district(east: float, north: float) -> str:
    column = int(np.clip((east / CITY_SIZE_M + 0.5) * _DISTRICTS_PER_ROW, 0, 2))
    row = int(np.clip((north / CITY_SIZE_M + 0.5) * _DISTRICTS_PER_ROW, 0, 2))
    return DISTRICTS[row * _DISTRICTS_PER_ROW + column]


def _address(street: str, draw: np.random.Generator, taken: set[str]) -> str:
    number = int(draw.integers(1, 120))
    while f"{street} {number}" in taken:
        number += 1
    taken.add(f"{street} {number}")
    return f"{street} {number}"
