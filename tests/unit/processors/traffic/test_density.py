# SPDX-License-Identifier: EUPL-1.2
"""Density equals the vectors of its sources."""

from __future__ import annotations

import pytest

from processors.traffic import density_from_occupancy, density_from_speed
from tests.road_cases import FIELD_M, KM_PER_MILE, of

IRIS = pytest.mark.vector("traffic flow", "mnit-rtmc/iris: density and speed of a single loop")

IDENTITIES = pytest.mark.vector(
    "traffic flow", "Highway Capacity Manual: q = k v, headway 3600 / q"
)


@IRIS
def test_density_of_iris() -> None:
    """15 vehicles in 30 s, 10 %, field 22 ft: 24.0 veh/mi."""
    (found,) = density_from_occupancy.density(*of(10.0, FIELD_M))

    assert found * KM_PER_MILE == pytest.approx(24.0, abs=0.05)


@IDENTITIES
def test_flow_is_density_times_speed() -> None:
    """Q = k v."""
    (found,) = density_from_speed.density(*of(3600.0, 90.0, 2.0))

    assert found * 90.0 * 2.0 == pytest.approx(3600.0)
