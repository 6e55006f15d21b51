# SPDX-License-Identifier: EUPL-1.2
"""Bottlenecks by the rule of PeMS, and how far back their queues reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lamppost.alerts import Signal
from lamppost.stations import Station
from processors.traffic import bottleneck
from tests.processor_cases import NAN, build, step
from tests.road_cases import KM_PER_MILE
from tests.traffic_cases import chain, end_of, interval, traffic_table

PEMS = pytest.mark.vector("incidents", "PeMS, cagov/caldata-mdsa-caltrans-pems: bottlenecks")

FIVE_MIN = 300.0
SLOW, DROP = 60.0, 95.0


def found(
    speeds: Sequence[Sequence[float]], stations: dict[str, Station], **settings: Any
) -> list[Signal]:  # fmt: skip
    """Return what is said of the speeds of all stations, interval by interval."""
    rule = build("alert", "bottleneck", settings, traffic_table(stations), stations)
    signals = []
    for number, row in enumerate(speeds):
        judged = interval(number, [NAN] * len(row), row, length_s=FIVE_MIN)
        now = end_of(number + 1, FIVE_MIN)
        signals += rule.evaluate(step(now, ticked=True, judged=judged))
    return signals


@PEMS
@pytest.mark.parametrize(
    ("slow_in", "expected"),
    [((0, 1, 2, 3, 4), True), ((0, 2, 3, 5, 6), True), ((0, 1, 2, 3), False)],
)
def test_five_of_seven_intervals_make_a_bottleneck(
    slow_in: tuple[int, ...],
    expected: bool,  # noqa: FBT001
) -> None:
    """PeMS: at least five of seven five-minute intervals."""
    speeds = [(SLOW if i in slow_in else 90.0, DROP) for i in range(7)]

    assert bool(found(speeds, chain(2))) is expected


def test_four_in_seven_and_a_fifth_later_do_not() -> None:
    """The eighth interval has forgotten the first."""
    slow_in = (0, 1, 2, 3, 7)

    assert not found([(SLOW if i in slow_in else 90.0, DROP) for i in range(8)], chain(2))


@PEMS
@pytest.mark.parametrize(
    ("up", "down", "expected"),
    [
        (64.3, 96.6, True),
        (64.4, 120.0, False),
        (60.0, 92.1, False),
        (60.0, 92.2, True),
        # A radar that sends whole miles an hour: at least 20 mph less, and below 40 mph.
        (39 * KM_PER_MILE, 59 * KM_PER_MILE, True),
        (33 * KM_PER_MILE, 53 * KM_PER_MILE, True),
        (39 * KM_PER_MILE, 58 * KM_PER_MILE, False),
        (40 * KM_PER_MILE, 65 * KM_PER_MILE, False),
    ],
)
def test_speed_and_drop_have_the_limits_of_pems(
    up: float,
    down: float,
    expected: bool,  # noqa: FBT001
) -> None:
    """Below 40 mph upstream, 20 mph more downstream."""
    assert bool(found([(up, down)] * 5, chain(2))) is expected


@PEMS
@pytest.mark.parametrize(("apart_km", "expected"), [(4.8, True), (3 * KM_PER_MILE, False)])
def test_stations_must_be_less_than_three_miles_apart(
    apart_km: float,
    expected: bool,  # noqa: FBT001
) -> None:
    """At 3 miles they are not."""
    stations = chain(2)
    stations["tr-2"] = stations["tr-2"].model_copy(update={"position_km": 1 + apart_km})

    assert bool(found([(SLOW, DROP)] * 5, stations)) is expected


@pytest.mark.parametrize(("up", "expected"), [(30.0, True), (34.0, False)])
def test_on_a_street_the_limits_follow_the_free_flow_speed(
    up: float,
    expected: bool,  # noqa: FBT001
) -> None:
    """Two thirds and one third of 50 km/h, where 40 mph would always be slow."""
    stations = chain(2, free_flow_speed_km_h=50.0)

    assert bool(found([(up, 51.0)] * 5, stations)) is expected


def test_a_fast_road_keeps_the_limits_of_pems() -> None:
    """The shares of a free-flow speed of 65 mph lie above them."""
    stations = chain(2, free_flow_speed_km_h=104.6)

    assert not found([(65.0, 104.0)] * 5, stations)
    assert found([(64.0, 97.0)] * 5, stations)


def test_the_queue_reaches_back_over_slow_stations() -> None:
    """Half way from the last slow station to the next, and over every one before it."""
    signals = found([(90.0, 40.0, 30.0, 20.0, 95.0)] * 6, chain(5))

    assert [signal.subject for signal in signals] == ["tr-4", "tr-4"]
    assert signals[-1].sentence == (
        "20 km/h at tr-4, 95 km/h at tr-5, 1.0 km downstream, in 6 of the last 7 intervals; "
        "the queue reaches back 2.5 km over 3 stations, since 5 min"
    )


def test_a_ring_road_that_is_slow_all_around_has_an_end() -> None:
    """The queue is followed around once."""
    stations = chain(3)
    stations["tr-3"] = stations["tr-3"].model_copy(
        update={"downstream": "tr-1", "downstream_km": 1.0}
    )

    signals = found([(20.0, 60.0, 20.0)] * 5, stations)

    assert "over 3 stations" in signals[-1].sentence


def test_it_is_over_when_too_few_intervals_are_slow() -> None:
    """And the sentence says so."""
    speeds = [(SLOW, DROP)] * 5 + [(90.0, DROP)] * 3

    signals = found(speeds, chain(2))

    assert [signal.active for signal in signals] == [True, True, True, False]
    assert signals[-1].sentence == "it is over between tr-1 and tr-2 (speed 90 km/h and 95 km/h)"


def test_the_sentence_says_that_the_lower_of_two_limits_counts() -> None:
    """On a street of 50 km/h it is the share, on a freeway the speed."""
    told = bottleneck.Bottleneck.describe(bottleneck.BottleneckSettings())

    assert "(or 67 % and 33 % of the free-flow speed, where that is less)" in told
