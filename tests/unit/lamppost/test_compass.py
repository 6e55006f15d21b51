# SPDX-License-Identifier: EUPL-1.2
"""Directions in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.compass import POINTS, compass_point

from .strategies import LAW

SIXTEEN = pytest.mark.vector("aggregates", "WMO: sixteen points, N = 0, one every 22.5 degrees")


@SIXTEEN
@pytest.mark.parametrize(("number", "point"), list(enumerate(POINTS)))
def test_a_point_stands_for_the_directions_around_it(number: int, point: str) -> None:
    """Half a step to either side; what lies in the middle belongs to the next one."""
    middle = 22.5 * number

    assert {compass_point(middle + away) for away in (-11.25, -5, 0, 5, 11.2)} == {point}
    assert compass_point(middle + 11.25) == POINTS[(number + 1) % 16]


@LAW
@given(st.floats(-1e4, 1e4))
def test_a_full_turn_changes_nothing(degrees: float) -> None:
    """Nor does a direction below 0 or above 360 stop anything."""
    assert compass_point(degrees) in POINTS
    assert compass_point(float(round(degrees)) + 360) == compass_point(float(round(degrees)))
