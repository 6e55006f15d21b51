# SPDX-License-Identifier: EUPL-1.2
"""The road as the station registry tells it: which station stands downstream of which."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from pydantic import TypeAdapter

from lamppost.batch import FloatArray, Int64Array
from lamppost.grouping import BoolArray
from lamppost.state import Snapshot
from lamppost.stations import RegistryWatch, Station

_KM_PER_DEGREE: Final = 111.195
_STATIONS: Final = TypeAdapter(list[Station])


class Pair(NamedTuple):
    """Two stations that traffic passes one after the other."""

    up: str
    down: str


class Network:
    """Stations and pairs of them by number; a number once given stays, gone pairs are absent.

    Attributes:
        sensors: stations of the pairs, by number.
        pairs: the pairs, by number.
        up, down: number of the station at either end of each pair.
        present: whether the registry still has each pair.
        length_km: length of road between the stations of each pair.
        free_flow_km_h: speed on the empty road at each station, NaN where it is not told.
    """

    def __init__(self, stations: Mapping[str, Station]) -> None:
        """Take the registry, which may change under us; look at it with :meth:`refresh`."""
        self._stations = stations
        self._watch = RegistryWatch(stations)
        self._met: dict[str, Station] = {}
        self._number: dict[str, int] = {}
        self._pair_number: dict[Pair, int] = {}
        self.sensors: list[str] = []
        self.pairs: list[Pair] = []
        self._follow({})
        self.refresh()

    def station(self, number: int) -> Station:
        """Return a station of the pairs as the registry last told it."""
        return self._met[self.sensors[number]]

    def number_of(self, sensor: str) -> int | None:
        """Return the number of a station, or None where it is in no pair."""
        return self._number.get(sensor)

    def upstream_of(self, number: int) -> int | None:
        """Return the pair that ends at a station: the first, where roads join."""
        found = np.flatnonzero((self.down == number) & self.present)
        return int(found[0]) if len(found) else None

    def refresh(self) -> bool:
        """Follow the registry, and return whether anything changed."""
        if not self._watch.changed():
            return False
        self._follow(_on_roads(self._stations))
        return True

    def snapshot(self) -> Snapshot:
        """Return the numbers given, and the stations last seen, as JSON."""
        content = {
            "sensors": self.sensors,
            "pairs": self.pairs,
            "stations": [station.model_dump() for station in self._met.values()],
            "here": list(self._here),
        }
        return {"json": np.frombuffer(json.dumps(content).encode(), np.uint8)}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the numbers given."""
        content = json.loads(np.asarray(snapshot["json"], np.uint8).tobytes())
        self.sensors = content["sensors"]
        self.pairs = [Pair(*pair) for pair in content["pairs"]]
        self._number = {sensor: number for number, sensor in enumerate(self.sensors)}
        self._pair_number = {pair: number for number, pair in enumerate(self.pairs)}
        self._watch = RegistryWatch(self._stations)
        known = _STATIONS.validate_python(content["stations"])
        self._met = {station.sensor: station for station in known}
        self._follow({sensor: self._met[sensor] for sensor in content["here"]})

    def _follow(self, met: dict[str, Station]) -> None:
        links = dict(_links(met))
        self._here = met
        # A station that left the registry is still spoken of when its alert ends.
        self._met = {**self._met, **met}
        for pair in links:
            for sensor in pair:
                self._number.setdefault(sensor, len(self._number))
            self._pair_number.setdefault(pair, len(self._pair_number))
        self.sensors = list(self._number)
        self.pairs = list(self._pair_number)
        self.up: Int64Array = np.array([self._number[pair.up] for pair in self.pairs], np.int64)
        self.down: Int64Array = np.array([self._number[pair.down] for pair in self.pairs], np.int64)
        self.present: BoolArray = np.array([pair in links for pair in self.pairs], np.bool_)
        free_flow = [self._met[sensor].free_flow_speed_km_h for sensor in self.sensors]
        self.free_flow_km_h: FloatArray = np.array(free_flow, np.float64)
        lengths = [links.get(pair, math.nan) for pair in self.pairs]
        self.length_km: FloatArray = np.array(lengths, np.float64)


def next_stations(stations: Mapping[str, Station]) -> dict[str, tuple[str, float]]:
    """Return for each station on a road the next one downstream, and the length to it in km."""
    return {pair.up: (pair.down, length) for pair, length in _links(_on_roads(stations))}


def _on_roads(stations: Mapping[str, Station]) -> dict[str, Station]:
    """Return the stations that may belong to a pair."""
    ends = {station.downstream for station in stations.values() if station.downstream}
    return {
        sensor: station
        for sensor, station in stations.items()
        if sensor in ends or station.downstream or station.corridor
    }


def _links(stations: Mapping[str, Station]) -> Iterator[tuple[Pair, float]]:
    """Yield the pairs with their lengths: those told, then those that follow from the order."""
    for station in stations.values():
        following = stations.get(station.downstream)
        if following is not None:
            yield Pair(station.sensor, following.sensor), _length_km(station, following)
    placed = [found for found in stations.values() if found.corridor and _is_placed(found)]
    placed.sort(key=lambda found: (found.corridor, found.position_km, found.sensor))
    for station, following in itertools.pairwise(placed):
        if station.corridor == following.corridor and not station.downstream:
            yield Pair(station.sensor, following.sensor), _length_km(station, following)


def _is_placed(station: Station) -> bool:
    return station.position_km is not None


def _length_km(up: Station, down: Station) -> float:
    """Return the length of road: as told, else by the positions, else as the crow flies."""
    if up.downstream_km is not None:
        return up.downstream_km
    if up.corridor and up.corridor == down.corridor and _is_placed(up) and _is_placed(down):
        return abs((down.position_km or 0.0) - (up.position_km or 0.0))
    shrink = math.cos(math.radians((up.latitude + down.latitude) / 2))
    east = (down.longitude - up.longitude) * shrink
    return math.hypot(east, down.latitude - up.latitude) * _KM_PER_DEGREE
