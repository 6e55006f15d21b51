# SPDX-License-Identifier: EUPL-1.2
"""Stations: the registry of devices, as a GeoJSON file a city's GIS can keep."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import ConfigError
from .validation import first_problem

RoadClass = Literal["", "freeway", "street_1", "street_2", "street_3", "street_4"]
"""Kind of road: a motorway, or an urban street of class I (fast) to IV (slow) of the HCM 2000."""

DetectorKind = Literal["", "single_loop", "double_loop", "radar", "camera", "other"]
"""How traffic is detected; a single loop measures no speed."""

LaneType = Literal[
    "",
    "mainline",
    "velocity",
    "exit",
    "hov",
    "wrong_way",
    "merge",
    "queue",
    "passage",
    "auxiliary",
    "parking",
    "other",
    "cd_lane",
    "reversible",
    "bypass",
    "omnibus",
    "green",
    "hot",
    "shoulder",
]
"""What the lane of a detector is for, in the words of IRIS."""


class Station(BaseModel):
    """One physical device at one place with one owner.

    What follows ``area`` is for traffic stations, and all of it may be left out.

    Attributes:
        sensor: identity used in its messages.
        name: printed name.
        kind: what it is for.
        device: its type of device, as the policy's tables of sentinel values name it.
        latitude, longitude: WGS 84, degrees.
        period_s: nominal seconds between its readings.
        owner: who answers for it.
        licence: SPDX id of its data's licence.
        area: part of the city.
        detector: how it detects vehicles.
        lanes: lanes under the detector, all of one direction of travel.
        lane_type: what these lanes are for; how long nobody may pass depends on it.
        road_class: kind of road.
        free_flow_speed_km_h: mean speed on the empty road.
        detector_length_m: length of road a detector feels.
        corridor: name of the road and direction that stations stand along, in order of travel.
        position_km: distance of the station along its corridor.
        downstream: the next station in the direction of travel, where the order on the corridor
            does not tell.
        downstream_km: length of road to the next station, where positions do not tell.
        direction: the ``direction`` of the station's series that corridor and next station are
            about; all of its series where it is left out.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    sensor: str = Field(min_length=1)
    name: str = ""
    kind: str = ""
    device: str = ""
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    period_s: float | None = Field(default=None, gt=0)
    owner: str = ""
    licence: str = ""
    area: str = ""
    detector: DetectorKind = ""
    lanes: int | None = Field(default=None, ge=1, le=20)
    lane_type: LaneType = ""
    road_class: RoadClass = ""
    free_flow_speed_km_h: float | None = Field(default=None, gt=0, le=250)
    detector_length_m: float | None = Field(default=None, gt=0, le=100)
    corridor: str = ""
    position_km: float | None = Field(default=None, ge=-100_000, le=100_000)
    downstream: str = ""
    downstream_km: float | None = Field(default=None, gt=0, le=1_000)
    direction: str = ""


class Registry(dict[str, Station]):
    """The stations by sensor, with a count of how often they changed.

    Attributes:
        changes: how often stations were registered.
    """

    changes: int = 0

    def register(self, stations: Iterable[Station]) -> None:
        """Take stations in, each in place of the one of its name."""
        self.update({station.sensor: station for station in stations})
        self.changes += 1


class RegistryWatch:
    """Tells whether a registry changed since it was last asked; cheap where that counts itself."""

    def __init__(self, stations: Mapping[str, Station]) -> None:
        """Take the registry; what stands in it now counts as a change."""
        self._stations = stations
        self._seen: object = None

    def changed(self) -> bool:
        """Return whether anything has changed."""
        stations = self._stations
        now = stations.changes if isinstance(stations, Registry) else stations
        if self._seen == now:
            return False
        self._seen = now if isinstance(now, int) else dict(now)
        return True


def parse_stations(text: str, where: str) -> list[Station]:
    """Read a GeoJSON FeatureCollection of points.

    Args:
        text: the file's content.
        where: name of the file, for the error message.

    Raises:
        ConfigError: not GeoJSON, or a feature lacks what a station needs.
    """
    try:
        features = list(json.loads(text)["features"])
    except (ValueError, KeyError, TypeError) as error:
        problem = f"not a GeoJSON FeatureCollection: {error}"
        raise ConfigError(problem, where=where) from error
    stations: dict[str, Station] = {}
    for number, feature in enumerate(features):
        station = _station(feature, number, where)
        if station.sensor in stations:
            problem = f"a second station is called {station.sensor!r}"
            raise ConfigError(problem, where=f"{where}: features[{number}]")
        stations[station.sensor] = station
    _check_downstream(stations, where)
    return list(stations.values())


def load_stations(path: Path) -> list[Station]:
    """Read the station file.

    Raises:
        ConfigError: the file is missing or wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the station file: {error}", where=str(path)) from error
    return parse_stations(text, str(path))


def _check_downstream(stations: Mapping[str, Station], where: str) -> None:
    for number, station in enumerate(stations.values()):
        following = station.downstream
        if not following or (following in stations and following != station.sensor):
            continue
        place = f"{where}: features[{number}].downstream"
        if following == station.sensor:
            raise ConfigError("a station is not downstream of itself", where=place)
        close = difflib.get_close_matches(following, stations, n=1)
        hint = f"did you mean {close[0]}?" if close else "name a sensor of this file"
        raise ConfigError(f"there is no station called {following!r}", where=place, hint=hint)


def _station(feature: object, number: int, where: str) -> Station:
    try:
        if not isinstance(feature, dict):
            raise TypeError("not an object")  # noqa: TRY301 - one way out for every wrong shape
        longitude, latitude = feature["geometry"]["coordinates"][:2]
        fields = {**(feature.get("properties") or {}), "latitude": latitude, "longitude": longitude}
        fields.setdefault("sensor", feature.get("id", ""))
        return Station.model_validate(fields)
    except ValidationError as error:
        keys, problem = first_problem(error)
        place = f"{where}: features[{number}].{'.'.join(keys)}"
        raise ConfigError(problem, where=place) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"not a point feature: {error}", where=f"{where}: features[{number}]"
        ) from error
