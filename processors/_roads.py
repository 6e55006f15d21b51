# SPDX-License-Identifier: EUPL-1.2
"""The road under a detector, as its series and its station tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, Int64Array
from lamppost.series import SeriesKey, SeriesTable, qualifiers_mapping
from lamppost.stations import LaneType, RegistryWatch, Station

LANE_TYPES: Final[tuple[str, ...]] = get_args(LaneType)
"""The types of lane in order of their numbers; the first one is not known."""


class Roads:
    """Lanes and their type under each series, which may change with the registry."""

    def __init__(self, series: SeriesTable, stations: Mapping[str, Station]) -> None:
        """Take series and stations; both may come at any time."""
        self._series = series
        self._stations = stations
        self._watch = RegistryWatch(stations)
        self._lanes: FloatArray = np.empty(0)
        self._type: Int64Array = np.empty(0, np.int64)
        self._per_hour: FloatArray = np.empty(0)

    def lanes(self, codes: npt.NDArray[np.integer[Any]]) -> FloatArray:
        """Return the lanes each series is about, NaN where nobody knows."""
        self._grow()
        return self._lanes.take(codes)

    def lane_type(self, codes: npt.NDArray[np.integer[Any]]) -> Int64Array:
        """Return the number of each series' type of lane, 0 where nobody knows."""
        self._grow()
        return self._type.take(codes)

    def per_hour(self, codes: npt.NDArray[np.integer[Any]]) -> FloatArray:
        """Return the flow, veh/h, that one counted vehicle makes; NaN where nobody knows."""
        self._grow()
        return self._per_hour.take(codes)

    def _grow(self) -> None:
        if self._watch.changed():
            self._lanes, self._per_hour = np.empty(0), np.empty(0)
            self._type = np.empty(0, np.int64)
        known = len(self._lanes)
        if known == len(self._series):
            return
        keys = [self._series[code] for code in range(known, len(self._series))]
        beside = [(key, self._stations.get(key.sensor)) for key in keys]
        lanes = [lanes_at(key, station) or np.nan for key, station in beside]
        types = [LANE_TYPES.index(lane_type_at(key, station)) for key, station in beside]
        counts = [flows_per_count(key, station) or np.nan for key, station in beside]
        self._lanes = np.append(self._lanes, lanes)
        self._type = np.append(self._type, np.array(types, np.int64))
        self._per_hour = np.append(self._per_hour, counts)


def lane_type_at(key: SeriesKey, station: Station | None) -> str:
    """Return the type of lane a series says it is about, else that of its station."""
    told = qualifiers_mapping(key.qualifiers).get("lane_type", "")
    if told in LANE_TYPES and told:
        return told
    return "" if station is None else station.lane_type


def flows_per_count(key: SeriesKey, station: Station | None) -> float | None:
    """Return the flow in veh/h that one vehicle in an interval of a series makes."""
    told = qualifiers_mapping(key.qualifiers).get("period_s", "")
    try:
        period_s = float(told)
    except ValueError:
        period_s = (station.period_s if station is not None else None) or 0.0
    return 3600.0 / period_s if 0.0 < period_s < np.inf else None


def lanes_at(key: SeriesKey, station: Station | None) -> float | None:
    """Return the lanes a series is about: one where it says which, else those of its station."""
    if "lane" in qualifiers_mapping(key.qualifiers):
        return 1.0
    return None if station is None or station.lanes is None else float(station.lanes)
