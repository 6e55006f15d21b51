# SPDX-License-Identifier: EUPL-1.2
"""The fleet has the size that was asked for, unique stations, and a registry as GeoJSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sensor_sim.fleet import CITY_SIZE_M, Fleet, build_fleet, to_geojson
from sensor_sim.streets import DISTRICTS


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """The city that the demo uses."""
    return build_fleet(1)


@pytest.mark.parametrize(("air_quality", "traffic"), [(150, 100), (0, 3), (4, 0), (1500, 1000)])
def test_a_fleet_has_the_size_that_was_asked_for(air_quality: int, traffic: int) -> None:
    """Both kinds are counted apart, and every sensor and name is unique."""
    fleet = build_fleet(3, air_quality, traffic)

    assert len(fleet.of_kind("air_quality")) == air_quality
    assert len(fleet.of_kind("traffic")) == traffic
    assert len({station.sensor for station in fleet.stations}) == len(fleet)
    assert len({station.name for station in fleet.stations}) == len(fleet)


def test_the_same_seed_builds_the_same_city_and_another_seed_another(fleet: Fleet) -> None:
    """Stations are equal in every field, or not."""
    assert build_fleet(1) == fleet
    assert build_fleet(2) != fleet


def test_stations_lie_in_the_city_and_in_every_district(fleet: Fleet) -> None:
    """No station is farther out than the city is wide, and no district is empty."""
    east, north = fleet.position_m()

    assert np.abs(east).max() < CITY_SIZE_M * 0.52
    assert np.abs(north).max() < CITY_SIZE_M * 0.52
    assert {station.area for station in fleet.stations} == set(DISTRICTS)


def test_no_two_stations_stand_at_the_same_place(fleet: Fleet) -> None:
    """Positions are unique to the metre."""
    places = {(s.latitude, s.longitude) for s in fleet.stations}

    assert len(places) == len(fleet)


def test_the_registry_is_a_geojson_feature_collection(fleet: Fleet) -> None:
    """Every station is a point, longitude first, with the agreed properties."""
    registry = json.loads(json.dumps(to_geojson(fleet)))
    feature, station = registry["features"][0], fleet.stations[0]

    assert registry["type"] == "FeatureCollection"
    assert len(registry["features"]) == len(fleet)
    assert feature["id"] == station.sensor
    assert feature["geometry"] == {
        "type": "Point",
        "coordinates": [station.longitude, station.latitude],
    }
    assert set(feature["properties"]) == {
        "name", "kind", "device", "period_s", "owner", "licence", "area",
    }  # fmt: skip
