# SPDX-License-Identifier: EUPL-1.2
"""Which stations stand near which, and what series they have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, Int32Array, Int64Array
from lamppost.grouping import BoolArray
from lamppost.stations import Station

from ._chosen import Chosen
from ._latest import NOBODY

_EARTH_M: Final = 6_371_000.0
_HAIR: Final = 1e-9  # what rounding may make of two chords of one length
_UNKNOWN: Final = -2  # a station whose neighbours were not looked for yet


def distances_m(places: FloatArray, here: FloatArray) -> FloatArray:
    """Return the great-circle distance of places from one, metres.

    Args:
        places: latitude and longitude, radians, shape (2, n).
        here: the same of the one, shape (2, 1).
    """
    across, along = np.square(np.sin((places - here) / 2))
    haversine = across + np.cos(places[0]) * np.cos(here[0]) * along
    distance: FloatArray = 2 * _EARTH_M * np.arcsin(np.sqrt(np.minimum(haversine, 1.0)))
    return distance


class Nearest:
    """For each series the same quantity's series at the nearest stations of the same kind.

    Stations are compared, not series: whom a reading is compared with must not depend on which
    series happen to be known already. Stations and series may come at any time. A station's
    neighbours are looked for once, among all stations. Series go by their numbers among the chosen.
    """

    def __init__(
        self,
        chosen: Chosen,
        stations: Mapping[str, Station],
        *,
        most: int,
        radii_m: Sequence[float],
    ) -> None:
        """Take whom to compare, at most how many, and how far away."""
        self._chosen = chosen
        self._stations = stations
        self._most = most
        self._radii_m = np.sort(np.array(radii_m))
        self._known: list[Station] = []
        self._groups: dict[tuple[str, ...], int] = {}
        self._place: Int64Array = np.empty(0, np.int64)
        self._group: Int64Array = np.empty(0, np.int64)
        self._code: Int32Array = np.empty((0, 0), np.int32)
        self._near_series: Int64Array = np.empty((most, 0), np.int64)
        self._ring_series: npt.NDArray[np.int8] = np.empty((most, 0), np.int8)
        self._accompanied: BoolArray = np.empty(0, np.bool_)
        self._forget([])

    def all(self) -> Int64Array:
        """Return the neighbours of every series, NOBODY among them, shape (most, series)."""
        self._refresh()
        return self._near_series

    def any(self) -> BoolArray:
        """Return which series have a neighbour, shape (series,)."""
        self._refresh()
        return self._accompanied

    def of(self, number: Int64Array) -> tuple[Int64Array, npt.NDArray[np.int8]]:
        """Return the neighbours of some series, shape (n, most), and the radius each is within.

        Radii are numbered from the smallest.
        """
        self._refresh()
        near = self._near_series.take(number, axis=1), self._ring_series.take(number, axis=1)
        return near[0].T, near[1].T

    def _refresh(self) -> None:
        # Comparing lists of the very same objects costs next to nothing.
        stations = list(self._stations.values())
        if stations != self._known:
            self._forget(stations)
        known, total = len(self._place), len(self._chosen)
        if known == total:
            return
        place, group = np.full(total, NOBODY), np.full(total, NOBODY)
        place[:known], group[:known] = self._place, self._group
        for number, key in enumerate(self._chosen.keys(known), start=known):
            if key.sensor in self._number:
                place[number] = self._number[key.sensor]
                group[number] = self._groups.setdefault(key[1:], len(self._groups))
        added = np.full((len(self._groups), len(self._known)), NOBODY, np.int32)
        added[: len(self._code)] = self._code
        fresh = np.flatnonzero(place[known:] != NOBODY) + known
        added[group[fresh], place[fresh]] = fresh
        self._place, self._group, self._code = place, group, added
        self._note_neighbours()

    def _note_neighbours(self) -> None:
        """Keep for each series the series beside it, so that asking is one look-up."""
        placed = np.flatnonzero(self._place != NOBODY)
        place = self._place[placed]
        self._look(np.unique(place))
        beside = self._near[place].T
        series = self._code[self._group[placed], beside] if placed.size else beside
        self._near_series = np.full((self._most, len(self._place)), NOBODY)
        self._ring_series = np.zeros(self._near_series.shape, np.int8)
        self._near_series[:, placed] = np.where(beside == NOBODY, NOBODY, series)
        self._accompanied = (self._near_series != NOBODY).any(axis=0)
        self._ring_series[:, placed] = np.searchsorted(self._radii_m, self._distance[place].T)

    def _forget(self, stations: list[Station]) -> None:
        """Start anew with other stations."""
        self._known = stations
        self._number = {station.sensor: number for number, station in enumerate(stations)}
        degrees = [(station.latitude, station.longitude) for station in stations]
        self._place_rad = np.radians(np.array(degrees, np.float64).reshape(-1, 2).T)
        latitude, longitude = self._place_rad
        across = np.cos(latitude)
        self._on_sphere = np.stack(
            [across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)]
        )
        kinds = {
            name: number for number, name in enumerate(dict.fromkeys(s.kind for s in stations))
        }
        self._kind = np.array([kinds[station.kind] for station in stations], np.int64)
        self._near: npt.NDArray[np.int64] = np.full((len(stations), self._most), _UNKNOWN)
        self._distance = np.full((len(stations), self._most), np.inf)
        self._groups = {}
        self._place = self._group = np.empty(0, np.int64)
        self._code = np.empty((0, len(stations)), np.int32)

    def _look(self, places: Int64Array) -> None:
        """Find the neighbours of the stations that have none yet."""
        for here in places[self._near[places, 0] == _UNKNOWN].tolist():
            some = self._hardly_further(here)
            distance = distances_m(self._place_rad[:, some], self._place_rad[:, [here]])
            order = np.argsort(distance, kind="stable")[: self._most]
            nearest, distance = some[order], distance[order]
            inside = distance <= self._radii_m[-1]
            self._near[here] = NOBODY
            self._near[here, : inside.sum()] = nearest[inside]
            self._distance[here, : inside.sum()] = distance[inside]

    def _hardly_further(self, here: int) -> Int64Array:
        """Return the nearest stations of the same kind through the Earth, and all as near as these.

        A chord is as good as an arc for finding them, at a tenth of the cost.
        """
        chord = np.square(self._on_sphere - self._on_sphere[:, [here]]).sum(axis=0)
        chord[self._kind != self._kind[here]] = np.inf
        chord[here] = np.inf
        edge = np.inf
        if self._most < len(chord):
            edge = np.partition(chord, self._most - 1)[self._most - 1] * (1 + _HAIR)
        return np.flatnonzero((chord <= edge) & np.isfinite(chord))
