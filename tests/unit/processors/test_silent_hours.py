# SPDX-License-Identifier: EUPL-1.2
"""What an index says of hours in which a series was silent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lamppost.batch import IndexBatch
from lamppost.times import HOUR_NS
from tests.processor_cases import NAN, START_NS, build, hours, table

# Values after ten days of 50 ug/m3 (25 ppb of ozone), hour by hour without a window.
CASES = [
    ("nowcast", "pm2_5", {}, [137, NAN]),
    ("nowcast", "o3", {"ozone": "surrogate"}, [23, 23, NAN]),
    ("us_aqi", "pm2_5", {}, [137, 137, 137, 137, 137, 137, NAN]),
    ("us_aqi", "pm2_5", {"valid_hours": 24}, [NAN]),
    ("us_aqi", "no2", {}, [NAN]),
    ("daqi", "o3", {}, [2, 2, NAN]),
    ("eaqi", "pm2_5", {}, [NAN]),
]


def tail(index: Any, first: int, after_hours: int) -> IndexBatch:  # noqa: ANN401 - any index
    """Return what an index says when some hours have closed since one, counted from the start."""
    closed = START_NS + (first + after_hours) * HOUR_NS
    found: IndexBatch = index.run_on(np.array([closed]))
    return found


@pytest.mark.parametrize(("name", "quantity", "raw", "expected"), CASES)
def test_an_hour_without_readings_has_a_value_while_the_hours_before_allow_one(
    name: str, quantity: str, raw: dict[str, Any], expected: list[float]
) -> None:
    """NowCast: two of the three newest hours (EPA); a mean: as many as it may lack. Then none."""
    index = build("index", name, raw, table(quantity))
    index.update(hours([50.0] * 240))

    found = tail(index, 240, 300)

    assert found.end.tolist() == [START_NS + (241 + n) * HOUR_NS for n in range(len(expected))]
    np.testing.assert_array_equal(found.value, expected)
    np.testing.assert_array_equal(found.category == 0, np.isnan(expected))
    assert len(tail(index, 240, 400)) == 0


@pytest.mark.vector("NowCast", "MazamaScience/AirMonitor R/monitor_nowcast.R")
def test_nothing_is_said_before_an_hour_has_closed() -> None:
    """And then of that hour only: [-,20,20,...] -> 20, [-,-,20,...] -> none (AirMonitor)."""
    index = build("index", "nowcast", {}, table("pm2_5"))
    index.update(hours([20.0] * 12))

    said = [tail(index, 12, n).concentration.tolist() for n in range(4)]

    np.testing.assert_equal(said, [[], [20.0], [NAN], []])


def test_a_gap_is_told_of_when_the_next_hour_comes_if_it_was_not_before() -> None:
    """Hours that close together, as in an import, have the same values."""
    index = build("index", "nowcast", {}, table("pm2_5"))
    index.update(hours([20.0] * 12))

    found = index.update(hours([20.0], first=15))

    assert ((found.end - START_NS) // HOUR_NS).tolist() == [13, 14, 16]
    np.testing.assert_array_equal(found.value, [71, NAN, NAN])


def test_late_data_revise_a_silent_hour_and_go_on_from_there() -> None:
    """Its own value first, then the hours after it: with one of three they have none."""
    index = build("index", "nowcast", {}, table("pm2_5"))
    index.update(hours([20.0] * 12))
    tail(index, 12, 10)

    late, after = index.update(hours([20.0], first=13)), tail(index, 12, 10)

    assert ((late.end - START_NS) // HOUR_NS).tolist() == [14]
    assert (late.revision.tolist(), late.value.tolist()) == ([1], [71])
    assert ((after.end - START_NS) // HOUR_NS).tolist() == [15, 16]
    np.testing.assert_array_equal(after.value, [NAN, NAN])


def test_a_series_nobody_heard_of_says_nothing() -> None:
    """Silence begins after the first hour."""
    assert len(tail(build("index", "nowcast", {}, table("pm2_5")), 0, 100)) == 0
