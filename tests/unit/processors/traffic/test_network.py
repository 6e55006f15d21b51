# SPDX-License-Identifier: EUPL-1.2
"""Pairs of stations follow from the registry, and keep their numbers when it changes."""

from __future__ import annotations

from typing import Any

import pytest

from lamppost.stations import Station
from processors.traffic._network import Network, Pair, next_stations
from tests.traffic_cases import PAIR, chain


def station(sensor: str, **properties: Any) -> dict[str, Station]:
    """Return one station by name."""
    place = {"latitude": 48.0, "longitude": 8.0, **properties}
    return {sensor: Station(sensor=sensor, **place)}


def test_stations_of_a_corridor_follow_each_other_by_position() -> None:
    """In whatever order the registry names them."""
    stations = dict(reversed(chain(3).items()))

    network = Network(stations)

    assert sorted(network.pairs) == [("tr-1", "tr-2"), ("tr-2", "tr-3")]
    assert network.length_km.tolist() == [1.0, 1.0]


def test_corridors_do_not_run_into_each_other() -> None:
    """The last of one is not upstream of the first of the next."""
    stations = {**chain(2), **station("x-1", corridor="Other", position_km=0.0)}

    assert Network(stations).pairs == [Pair("tr-1", "tr-2")]


def test_a_named_next_station_goes_before_the_order() -> None:
    """Where a road forks, the registry says where the traffic goes."""
    stations = chain(3)
    stations["tr-1"] = stations["tr-1"].model_copy(
        update={"downstream": "tr-3", "downstream_km": 5.0}
    )

    assert next_stations(stations) == {"tr-1": ("tr-3", 5.0), "tr-2": ("tr-3", 1.0)}


def test_without_positions_the_length_is_as_the_crow_flies() -> None:
    """A hundredth of a degree of latitude is 1.11 km."""
    stations = {
        **station("a", downstream="b"),
        **station("b", latitude=48.01),
    }

    assert next_stations(stations)["a"][1] == pytest.approx(1.112, abs=1e-3)


def test_a_pair_whose_other_end_is_unknown_is_none() -> None:
    """The registry may lose a station."""
    assert Network({"tr-1": PAIR["tr-1"]}).pairs == []


def test_numbers_stay_when_the_registry_changes() -> None:
    """A gone pair is absent, and has its number again when it comes back."""
    stations = chain(3)
    network = Network(stations)
    last = stations.pop("tr-3")

    assert network.refresh()
    assert network.present.tolist() == [True, False]
    assert not network.refresh()

    stations.update({**station("tr-0", corridor="Ring", position_km=0.0), "tr-3": last})
    network.refresh()
    assert network.pairs == [("tr-1", "tr-2"), ("tr-2", "tr-3"), ("tr-0", "tr-1")]
    assert network.present.all()


def test_a_restored_network_is_the_same() -> None:
    """Numbers, and what was last seen of the registry, which may have changed since."""
    stations = chain(3)
    network = Network(stations)
    del stations["tr-3"]
    network.refresh()
    snapshot = network.snapshot()

    other = Network({})
    other.restore(snapshot)

    assert other.pairs == network.pairs
    assert other.present.tolist() == network.present.tolist()
    assert other.snapshot()["json"].tolist() == snapshot["json"].tolist()


def test_the_first_road_that_ends_at_a_station_is_upstream_of_it() -> None:
    """Where two roads join, the queue is followed along one of them."""
    network = Network(chain(3))

    assert network.upstream_of(network.sensors.index("tr-3")) == network.pairs.index(
        Pair("tr-2", "tr-3")
    )
    assert network.upstream_of(network.sensors.index("tr-1")) is None
