# SPDX-License-Identifier: EUPL-1.2
"""Levels of service equal the tables of the Highway Capacity Manual."""

from __future__ import annotations

import numpy as np
import pytest

from lamppost.series import SeriesTable
from processors.traffic import level_of_service_freeway, level_of_service_street
from tests.processor_cases import NAN, build
from tests.road_cases import KM_PER_MILE, STATION, batch, of, one

FREEWAY = pytest.mark.vector("level of service", "Highway Capacity Manual, basic freeway segments")

STREET = pytest.mark.vector(
    "level of service", "Highway Capacity Manual 2000, urban streets (one source)"
)

SHARES = pytest.mark.vector(
    "level of service", "Highway Capacity Manual 2010, urban streets (not confirmed)"
)


@FREEWAY
@pytest.mark.parametrize(
    ("flow", "mph", "expected"),
    [
        # 1500 pc/h/ln at 60 mph is 25.0: C; 11.0 is A, 11.1 is B.
        (1500.0, 60.0, "C"),
        (660.0, 60.0, "A"),
        (666.0, 60.0, "B"),
        # Each upper bound of the table belongs to its level, and what is above to the next.
        *((10.0 * bound, 10.0, letter)
          for bound, letter in zip((11, 18, 26, 35, 45), "ABCDE", strict=True)),
        *((10.0 * bound + 0.1, 10.0, letter)
          for bound, letter in zip((11, 18, 26, 35, 45), "BCDEF", strict=True)),
    ],
)  # fmt: skip
def test_levels_of_a_freeway(flow: float, mph: float, expected: str) -> None:
    """By density in passenger cars per mile and lane."""
    (found,) = level_of_service_freeway.level(*of(flow, mph, NAN))

    assert "ABCDEF"[int(found) - 1] == expected


FLOWS = {75: "825 1330 1775", 70: "770 1260 1735", 65: "715 1170 1665", 60: "660 1080 1560"}


@FREEWAY
@pytest.mark.parametrize(
    ("mph", "flow", "expected"),
    [
        (mph, float(flow), letter)
        for mph, flows in FLOWS.items()
        for flow, letter in zip(flows.split(), "ABC", strict=True)
    ],
)
def test_flows_at_free_flow_speed_have_the_level_of_their_density(
    mph: float, flow: float, expected: str
) -> None:
    """The table of highest flows, as far as speed is still that of free flow."""
    (found,) = level_of_service_freeway.level(*of(flow, mph, mph))

    assert "ABCDEF"[int(found) - 1] == expected


@FREEWAY
@pytest.mark.parametrize(
    ("free_flow", "capacity"), [(75, 2400), (70, 2400), (65, 2350), (60, 2300), (50, 2300)]
)
def test_more_than_capacity_is_f(free_flow: float, capacity: float) -> None:
    """The last column of the table of flows."""
    at, above = (
        level_of_service_freeway.level(*of(flow, 70.0, free_flow))[0]
        for flow in (capacity, capacity + 1)
    )

    assert (at, above) == (4.0, 6.0)


STREETS = {
    "street_1": (42, 34, 27, 21, 16),
    "street_2": (35, 28, 22, 17, 13),
    "street_3": (30, 24, 18, 14, 10),
    "street_4": (25, 19, 13, 9, 7),
}


@STREET
@pytest.mark.parametrize("street", STREETS)
def test_levels_of_a_street(street: str) -> None:
    """A speed must exceed the bound of its level (HCM 2000)."""
    bounds = np.array(STREETS[street], float)[:, None] * KM_PER_MILE

    at = [level_of_service_street.level(bounds[i], bounds)[0] for i in range(5)]
    above = [level_of_service_street.level(bounds[i] + 0.1, bounds)[0] for i in range(5)]

    assert at == [2, 3, 4, 5, 6]
    assert above == [1, 2, 3, 4, 5]
    assert level_of_service_street.SPEEDS_MPH[street] == STREETS[street]


def test_speeds_of_a_street_are_the_policys() -> None:
    """The table of HCM 2000 stands in one source, so a city may have its own."""
    stations = {"tr-1": STATION.model_copy(update={"road_class": "street_1"})}
    own = {"street_1": [60, 50, 40, 30, 20]}

    found = one("level_of_service_street", {"speed": 80.0}, stations, speeds_mph=own)

    assert found == 3


def test_streets_of_a_class_without_speeds_have_no_level() -> None:
    """A city that trusts the table for some of its streets only."""
    series = SeriesTable()
    stations = {"tr-1": STATION.model_copy(update={"road_class": "street_1"})}
    settings = {"speeds_mph": {"street_2": [60, 50, 40, 30, 20]}}
    derivation = build("derivation", "level_of_service_street", settings, series, stations)

    assert not len(derivation.derive(batch(series, [("speed", 0.0, 80.0)])))


@SHARES
def test_levels_of_a_street_by_shares() -> None:
    """HCM 2010: 85, 67, 50, 40, 30 % of the free-flow speed (not verified)."""
    stations = {"tr-1": STATION.model_copy(update={"road_class": "street_1"})}
    speeds = [86.0, 85.0, 67.0, 50.0, 40.0, 30.0]

    found = [
        one("level_of_service_street", {"speed": v}, stations, manual="hcm_2010") for v in speeds
    ]

    assert found == [1, 2, 3, 4, 5, 6]
