# SPDX-License-Identifier: EUPL-1.2
"""Delay and travel-time index equal those of PeMS."""

from __future__ import annotations

import pytest

from processors.traffic import delay, travel_time_index
from tests.road_cases import of

PEMS = pytest.mark.vector("traffic flow", "PeMS, cagov/caldata-mdsa-caltrans-pems")


@PEMS
def test_delay_of_pems() -> None:
    """F (L / V - L / Vt): 100 vehicles, 2 km, 30 against 60 km/h lose 3.33 hours."""
    (found,) = delay.delay(*of(1200.0, 30.0, 2.0, 60.0, 1 / 12))

    assert found == pytest.approx(100 * (2 / 30 - 2 / 60))
    assert delay.delay(*of(1200.0, 90.0, 2.0, 60.0, 1 / 12))[0] == 0.0


@PEMS
def test_travel_time_index_of_pems() -> None:
    """60 mph over the speed."""
    assert travel_time_index.travel_time_index(*of(40.0, 60.0))[0] == pytest.approx(1.5)
