# SPDX-License-Identifier: EUPL-1.2
"""Stations: the registry of devices, as a GeoJSON file a city's GIS can keep."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import ConfigError
from .validation import first_problem


class Station(BaseModel):
    """One physical device at one place with one owner.

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
