# SPDX-License-Identifier: EUPL-1.2
"""The cities that are measured are what their names say."""

from __future__ import annotations

import pytest

from benchmarks.cities import City, cities, every_check, stations_of
from lamppost.series import SeriesTable
from lamppost_app.pipeline import Pipeline
from tests.processor_conformance import components

CITIES = {city.name: city for city in cities()}


@pytest.mark.parametrize("quantities", [("pm2_5", "temperature"), ("flow", "occupancy", "speed")])
def test_every_check_is_every_registered_one(quantities: tuple[str, ...]) -> None:
    """A check that is written tomorrow fails this until it is measured, too."""
    policy = every_check(quantities)

    assert set(policy.quality) == set(components("check"))
    assert policy.quality["detector_health"]["occupancy_spike"]
    for name in ("climatology", "percentile_range", "attenuated_signal"):
        assert set(policy.quality[name]["quantities"]) == set(quantities)


@pytest.mark.parametrize("city", CITIES.values(), ids=CITIES)
def test_its_policy_can_be_used_and_its_stations_are_registered(city: City) -> None:
    """Ten thousand series, give or take a sensor."""
    stations = {station.sensor: station for station in stations_of(city)}

    assert Pipeline(city.policy, SeriesTable(), stations)
    assert 9_990 <= len(stations) * len(city.quantities) <= 10_000
    assert all(bool(station.corridor) == city.traffic for station in stations.values())
