# SPDX-License-Identifier: EUPL-1.2
"""Headway equals the identity it is defined by."""

from __future__ import annotations

import pytest

from processors.traffic import headway_from_flow
from tests.road_cases import of

IDENTITIES = pytest.mark.vector(
    "traffic flow", "Highway Capacity Manual: q = k v, headway 3600 / q"
)


@IDENTITIES
def test_headway_is_an_hour_over_the_flow() -> None:
    """3600 / q seconds."""
    (found,) = headway_from_flow.headway(*of(1200.0, 1.0))

    assert found == pytest.approx(3.0)
