# SPDX-License-Identifier: EUPL-1.2
"""Counts become flow where no flow is sent."""

from __future__ import annotations

import pytest

from lamppost.series import SeriesTable
from tests.processor_cases import build
from tests.road_cases import STATIONS, batch

IDENTITIES = pytest.mark.vector(
    "traffic flow", "Highway Capacity Manual: q = k v, headway 3600 / q"
)


@IDENTITIES
def test_counts_become_flow_where_no_flow_is_sent() -> None:
    """Not from the first count: only the second shows that no flow comes with it."""
    series = SeriesTable()
    derivation = build("derivation", "flow_from_count", {}, series, STATIONS)
    rows = [("vehicle_count", 60.0 * i, 10.0 + i) for i in range(3)]

    made = derivation.derive(batch(series, rows))

    assert made.value.tolist() == [660.0, 720.0]
    assert series[int(made.series[0])].quantity == "flow"


def test_counts_are_left_alone_where_flow_is_sent() -> None:
    """A detector that sends both needs no help."""
    series = SeriesTable()
    derivation = build("derivation", "flow_from_count", {}, series, STATIONS)
    rows = [(name, 60.0 * i, 10.0) for i in range(3) for name in ("vehicle_count", "flow")]

    assert not len(derivation.derive(batch(series, rows)))
