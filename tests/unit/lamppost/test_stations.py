# SPDX-License-Identifier: EUPL-1.2
"""The station file is read whole, or its mistake is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lamppost.errors import ConfigError
from lamppost.stations import (
    Registry,
    RegistryWatch,
    Station,
    load_stations,
    parse_stations,
)


def feature(**changes: Any) -> dict[str, Any]:
    """Return a GeoJSON feature of a station."""
    return {
        "type": "Feature",
        "id": "aq-017",
        "geometry": {"type": "Point", "coordinates": [8.4, 49.0]},
        "properties": {"name": "Market place", "kind": "air_quality", "period_s": 60},
        **changes,
    }


def collection(*features: Any) -> str:
    """Return a GeoJSON text."""
    return json.dumps({"type": "FeatureCollection", "features": features})


def test_a_feature_becomes_a_station() -> None:
    """Longitude comes first in GeoJSON."""
    assert parse_stations(collection(feature()), "s.geojson") == [
        Station(
            sensor="aq-017",
            name="Market place",
            kind="air_quality",
            latitude=49.0,
            longitude=8.4,
            period_s=60.0,
        )
    ]


def test_the_order_of_the_file_is_kept() -> None:
    """And a third coordinate, the altitude, does no harm."""
    high = {"type": "Point", "coordinates": [8.4, 49.0, 115.0]}

    stations = parse_stations(
        collection(feature(id="b"), feature(id="a", geometry=high)), "s.geojson"
    )

    assert [station.sensor for station in stations] == ["b", "a"]


def test_properties_of_other_programs_do_no_harm() -> None:
    """A city's GIS keeps more than we need."""
    extra = feature(properties={"inspector": "k.n.", "lamp_height_m": 6})

    (station,) = parse_stations(collection(extra), "s.geojson")

    assert station.sensor == "aq-017"


def test_properties_may_be_null() -> None:
    """As RFC 7946 section 3.2 says."""
    (station,) = parse_stations(collection(feature(properties=None)), "s.geojson")

    assert (station.sensor, station.period_s) == ("aq-017", None)


def test_a_collection_may_be_empty() -> None:
    """A city may start without stations."""
    assert parse_stations(collection(), "s.geojson") == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "5", "null", "[]", "{}", '{"features": 5}', '{"features": null}'],
)
def test_a_text_that_is_no_collection_is_refused(text: str) -> None:
    """Whatever it is instead, the file is named."""
    with pytest.raises(ConfigError, match=r"^s\.geojson: not a GeoJSON FeatureCollection"):
        parse_stations(text, "s.geojson")


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        (feature(id=""), "features[1].sensor"),
        (feature(id=7), "features[1].sensor"),
        (feature(geometry={"type": "Point", "coordinates": [8.4, 91]}), "features[1].latitude"),
        (feature(geometry={"type": "Point", "coordinates": [181, 49]}), "features[1].longitude"),
        (feature(properties={"period_s": 0}), "features[1].period_s"),
        (feature(properties={"period_s": "often"}), "features[1].period_s"),
        (feature(geometry=None), "features[1]"),
        (feature(geometry={"type": "Point", "coordinates": [8.4]}), "features[1]"),
        (feature(properties=["a"]), "features[1]"),
        ("a station", "features[1]"),
        (None, "features[1]"),
    ],
)
def test_a_wrong_feature_is_named_by_its_place(wrong: object, place: str) -> None:
    """The file, the number of the feature and the field."""
    with pytest.raises(ConfigError) as raised:
        parse_stations(collection(feature(), wrong), "s.geojson")

    assert str(raised.value).startswith(f"s.geojson: {place}: ")
    assert len(str(raised.value).splitlines()) == 1


def test_a_file_is_read(tmp_path: Path) -> None:
    """As UTF-8."""
    path = tmp_path / "s.geojson"
    path.write_text(collection(feature(properties={"name": "Königsplatz"})), encoding="utf-8")

    assert load_stations(path)[0].name == "Königsplatz"


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_named(content: bytes | None, tmp_path: Path) -> None:
    """Missing, or not text."""
    path = tmp_path / "s.geojson"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match="cannot read the station file") as raised:
        load_stations(path)

    assert str(raised.value).startswith(f"{path}: ")


def road(**properties: Any) -> dict[str, Any]:
    """Return a feature of a traffic station."""
    sensor = properties.pop("sensor", "tr-1")
    return feature(id=sensor, properties={"kind": "traffic", **properties})


def test_a_traffic_station_tells_of_its_road() -> None:
    """All of it is optional."""
    (station, _) = parse_stations(
        collection(
            road(
                detector="single_loop",
                lanes=2,
                road_class="street_2",
                free_flow_speed_km_h=50,
                detector_length_m=1.8,
                corridor="Ring",
                position_km=1.5,
                downstream="tr-2",
                downstream_km=0.8,
                direction="1",
            ),
            road(sensor="tr-2"),
        ),
        "s.geojson",
    )

    assert (station.lanes, station.downstream, station.downstream_km) == (2, "tr-2", 0.8)


@pytest.mark.parametrize(
    ("properties", "key"),
    [
        ({"lanes": 0}, "lanes"),
        ({"road_class": "alley"}, "road_class"),
        ({"detector": "ear"}, "detector"),
        ({"free_flow_speed_km_h": -3}, "free_flow_speed_km_h"),
        ({"position_km": float("inf")}, "position_km"),
        ({"downstream": "tr-1"}, "downstream"),
        ({"downstream": "tr-3"}, "downstream"),
    ],
)
def test_a_wrong_property_of_a_road_is_named(properties: dict[str, Any], key: str) -> None:
    """With the number of the feature."""
    with pytest.raises(ConfigError, match=rf"s\.geojson: features\[0\]\.{key}"):
        parse_stations(collection(road(**properties), road(sensor="tr-2")), "s.geojson")


@pytest.mark.parametrize("kind", [Registry, dict])
def test_a_watch_tells_of_each_change_once(kind: type[dict[str, Station]]) -> None:
    """What stands in the registry at first counts as a change; a plain mapping is compared."""
    first, second = (Station(sensor="a", name=name, latitude=0, longitude=0) for name in "xy")
    stations = kind()
    watch = RegistryWatch(stations)

    seen = [watch.changed(), watch.changed()]
    for station in (first, second):
        if isinstance(stations, Registry):
            stations.register([station])
        else:
            stations[station.sensor] = station
        seen += [watch.changed(), watch.changed()]

    assert seen == [True, False] * 3
    assert stations == {"a": second}
