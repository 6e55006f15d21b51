# SPDX-License-Identifier: EUPL-1.2
"""Statistics that can be merged, against formulas applied to the readings themselves."""

from __future__ import annotations

import cmath
import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.periods import parse_period
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS
from lamppost.zones import CityCalendar
from processors.windows import _counters as counters
from processors.windows import _directions as directions
from processors.windows import _held as held
from processors.windows import _speeds as speeds
from processors.windows._frames import Frames, RowArray
from processors.windows._publication import Rule
from processors.windows._settings import EventTimeSettings
from processors.windows._statistics import STATE
from processors.windows._validity import valid_hours
from tests.unit.lamppost.strategies import LAW

LOCF = pytest.mark.vector("aggregates", "computed: last observation carried forward")
LINEAR = pytest.mark.vector("aggregates", "computed: trapezoids, the last value held to the end")
CIRCULAR = pytest.mark.vector("aggregates", "computed: direction and length of the mean vector")
NORTH = pytest.mark.vector("traps", "a plain atan2 returns 360, or an angle where R is 0")
YAMARTINO = pytest.mark.vector("aggregates", "Yamartino 1984: standard deviation of wind direction")
SPACE_MEAN = pytest.mark.vector("traffic flow", "Highway Capacity Manual: n / sum(1 / v)")
CAPTURE = pytest.mark.vector(
    "aggregates", "2008/50/EC, Annexes VII and XI; UK SI 2007/64: 45 minutes of an hour"
)

NAN = float("nan")
WRAPS = (65_536.0, 2.0**32)
CUTS = st.lists(st.integers(0, 40), max_size=5)
STEPS = st.lists(st.integers(1, 4000), min_size=1, max_size=30)
VALUES = st.floats(-1e6, 1e6)
Merge = Callable[[Frames, RowArray], RowArray]


def one(states: RowArray, merge: Merge) -> RowArray:
    """Return all states merged at once."""
    return merge(Frames.of(np.zeros(len(states), np.int64)), states)


def by_parts(states: RowArray, merge: Merge, cuts: Sequence[int]) -> RowArray:
    """Return the states merged part by part, and then the parts."""
    group = np.searchsorted(sorted(cuts), np.arange(len(states)), side="right")
    return one(merge(Frames.of(group), states), merge)


def instants(seconds: Sequence[float]) -> np.ndarray:
    """Return seconds as nanoseconds."""
    return np.array([round(second * SECOND_NS) for second in seconds], np.int64)


def time_weighted(
    seconds: Sequence[float],
    values: Sequence[float],
    end: float,
    hold: float = 1e6,
    *,
    linear: bool = False,
) -> float:
    """Return the time-weighted mean of one window."""
    limit = np.full(len(values), round(hold * SECOND_NS))
    merge = partial(held.merge, linear=linear)
    states = one(held.lift(instants(seconds), np.array(values, np.float64), limit), merge)
    return float(held.means(states, instants([end]))[0])


@LOCF
def test_a_value_holds_until_the_next() -> None:
    """Worked by hand; here the plain mean is the same."""
    assert time_weighted([0, 10, 50], [10, 20, 30], 60) == pytest.approx(20.0)


def test_a_value_that_held_longer_counts_for_more() -> None:
    """Ten for 40 s, 20 for 10 s, 30 for 10 s: 15, while the plain mean is 20."""
    assert time_weighted([0, 40, 50], [10, 20, 30], 60) == pytest.approx(15.0)


@LINEAR
def test_between_readings_a_straight_line_may_be_taken() -> None:
    """15 for 10 s, 25 ... for 40 s, and the last reading held for 10 s."""
    assert time_weighted([0, 10, 50], [10, 20, 30], 60, linear=True) == pytest.approx(
        24.1667, abs=5e-5
    )


def test_no_line_is_drawn_across_an_outage() -> None:
    """Ten for 20 s, as long as it may hold, then an outage, then 40 for 10 s."""
    assert time_weighted([0, 50], [10, 40], 60, hold=20, linear=True) == pytest.approx(20.0)
    assert time_weighted([0, 20], [10, 40], 30, hold=20, linear=True) == pytest.approx(30.0)


def test_no_value_holds_longer_than_its_limit() -> None:
    """Ten for 20 s, then an outage, then 40 for 10 s."""
    assert time_weighted([0, 50], [10, 40], 60, hold=20) == pytest.approx(20.0)


def test_a_window_knows_only_its_own_readings() -> None:
    """The half before its first reading counts for nothing; one at the very end for itself."""
    assert time_weighted([30], [7], 60) == pytest.approx(7.0)
    assert time_weighted([60], [7], 60) == pytest.approx(7.0)


@LAW
@given(STEPS, st.data(), CUTS, st.booleans())
def test_time_weighted_means_merge(
    steps: list[int],
    data: st.DataObject,
    cuts: list[int],
    linear: bool,  # noqa: FBT001
) -> None:
    """From parts as from readings, and as the sum over each reading says."""
    seconds = list(itertools.accumulate(steps))
    size = len(steps)
    values = data.draw(st.lists(VALUES, min_size=size, max_size=size))
    limits = data.draw(st.lists(st.integers(1, 3000), min_size=size, max_size=size))
    end = seconds[-1] + data.draw(st.integers(0, 5000))

    lifted = held.lift(instants(seconds), np.array(values), instants(limits))
    merge = partial(held.merge, linear=linear)
    whole, parts = one(lifted, merge), by_parts(lifted, merge, cuts)

    spans = [
        min(after - at, limit)
        for at, after, limit in zip(seconds, [*seconds[1:], end], limits, strict=True)
    ]
    gaps = [after - at for at, after in itertools.pairwise(seconds)]
    levels = [
        (value + after) / 2 if linear and gap <= limit else value
        for value, after, gap, limit in zip(values, values[1:], gaps, limits, strict=False)
    ]
    weighted = math.fsum(
        level * span for level, span in zip([*levels, values[-1]], spans, strict=True)
    )
    truth = weighted / sum(spans) if sum(spans) else values[-1]
    for states in (whole, parts):
        assert held.means(states, instants([end]))[0] == pytest.approx(truth, rel=1e-9, abs=1e-6)


def direction(degrees: Sequence[float], calm: Sequence[bool] = ()) -> tuple[float, float, float]:
    """Return mean, length of the mean vector and deviation of directions."""
    still = np.array(calm or [False] * len(degrees))
    states = one(directions.lift(np.array(degrees, np.float64), still), directions.merge)
    return (
        float(directions.means(states, 0.01)[0]),
        float(directions.resultants(states)[0]),
        float(directions.deviations(states)[0]),
    )


@CIRCULAR
@pytest.mark.parametrize(
    ("degrees", "mean", "resultant"),
    [([350, 10], 0.0, 0.984808), ([0, 90], 45.0, 0.707107), ([0, 180], NAN, 0.0)],
)
def test_directions_are_averaged_on_the_circle(
    degrees: list[float], mean: float, resultant: float
) -> None:
    """Opposite directions have no mean."""
    found = direction(degrees)

    assert found[0] == pytest.approx(mean, abs=1e-9, nan_ok=True)
    assert found[1] == pytest.approx(resultant, abs=1e-6)


@YAMARTINO
def test_the_deviation_of_directions_is_yamartinos() -> None:
    """There is none of one direction."""
    assert direction([350, 10])[2] == pytest.approx(10.01, abs=5e-3)
    assert math.isnan(direction([350])[2])


def test_calm_has_no_direction() -> None:
    """What a vane says while the air stands still does not count."""
    assert direction([90, 270], [False, True])[0] == pytest.approx(90.0)
    assert all(math.isnan(number) for number in direction([90, 270], [True, True]))


@LAW
@given(st.lists(st.floats(-720, 720), min_size=1, max_size=30), CUTS)
def test_directions_merge(degrees: list[float], cuts: list[int]) -> None:
    """As the sum of complex numbers says; the mean is never 360."""
    lifted = directions.lift(np.array(degrees), np.zeros(len(degrees), np.bool_))
    vector = sum(cmath.rect(1, math.radians(angle)) for angle in degrees) / len(degrees)

    for states in (one(lifted, directions.merge), by_parts(lifted, directions.merge, cuts)):
        assert directions.resultants(states)[0] == pytest.approx(min(abs(vector), 1), abs=1e-9)
        (mean,) = directions.means(states, 1e-3)
        assert math.isnan(mean) or 0 <= mean < 360
        if abs(vector) > 2e-3:
            turn = cmath.phase(vector / cmath.rect(1, math.radians(mean)))
            assert turn == pytest.approx(0, abs=1e-6)


@NORTH
@pytest.mark.parametrize("degrees", [-1e-15, -1e-30, 360.0, 720.0])
def test_a_direction_is_never_360(degrees: float) -> None:
    """North is 0, however it is rounded."""
    assert 0 <= direction([degrees])[0] < 360


def speed(values: Sequence[float], volumes: Sequence[float] = ()) -> tuple[float, float]:
    """Return harmonic and volume-weighted mean of speeds."""
    volume = np.array(volumes or [NAN] * len(values), np.float64)
    states = one(speeds.lift(np.array(values, np.float64), volume), speeds.merge)
    return float(speeds.harmonic(states)[0]), float(speeds.volume_weighted(states)[0])


@SPACE_MEAN
def test_the_space_mean_speed_is_the_harmonic_mean() -> None:
    """Of 60, 40 and 30 it is 40, where the time-mean is 43.33."""
    assert speed([60, 40, 30]) == pytest.approx((40.0, NAN), nan_ok=True)


def test_a_speed_counts_as_often_as_vehicles_had_it() -> None:
    """Three vehicles at 60 and one at 20: 50 over time, 40 over space."""
    assert speed([60, 20], [3, 1]) == pytest.approx((40.0, 50.0))
    assert speed([60, 60, 60, 20])[0] == pytest.approx(40.0)


def test_a_minute_without_vehicles_has_no_speed() -> None:
    """Neither a speed of 0 nor one beside a count of 0 enters."""
    assert speed([60, 0, 50], [1, 0, 0]) == pytest.approx((60.0, 60.0))
    assert speed([0, 0], [1, 0]) == pytest.approx((NAN, NAN), nan_ok=True)


@LAW
@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.sampled_from([NAN, 0.0, 1.0, 7.0, 30.0])),
        min_size=1,
        max_size=30,
    ),
    CUTS,
)
def test_speeds_merge(rows: list[tuple[int, float]], cuts: list[int]) -> None:
    """As the formulas applied to the rows say."""
    values, volumes = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    passed = [(v, w) for v, w in zip(values, volumes, strict=True) if v > 0 and w != 0]
    counted = [(v, w) for v, w in passed if not math.isnan(w)]
    vehicles = [(v, 1.0 if math.isnan(w) else w) for v, w in passed]
    slowness = math.fsum(w / v for v, w in vehicles)
    harmonic = math.fsum(w for _, w in vehicles) / slowness if passed else NAN
    weighted = (
        math.fsum(v * w for v, w in counted) / math.fsum(w for _, w in counted) if counted else NAN
    )
    lifted = speeds.lift(values, volumes)

    for states in (one(lifted, speeds.merge), by_parts(lifted, speeds.merge, cuts)):
        assert speeds.harmonic(states)[0] == pytest.approx(harmonic, nan_ok=True)
        assert speeds.volume_weighted(states)[0] == pytest.approx(weighted, nan_ok=True)


def merge_counters(frames: Frames, states: RowArray) -> RowArray:
    """Merge with the usual numbers to wrap at."""
    return counters.merge(frames, states, WRAPS)


def rate(minutes: Sequence[float], values: Sequence[float]) -> float:
    """Return the rate per hour of one window."""
    lifted = counters.lift(
        instants([60 * minute for minute in minutes]), np.array(values, np.float64)
    )
    return float(counters.rates(one(lifted, merge_counters))[0])


@pytest.mark.parametrize(
    ("minutes", "values", "expected"),
    [
        ([0, 30, 60], [100, 150, 220], 120.0),
        ([0, 30, 60], [100, 150, 20], 70.0),  # set to 0: 50 and 20
        ([0, 30, 60], [65_500, 65_530, 24], 60.0),  # wrapped: 30 and 30
        ([0, 60], [2**32 - 10, 5], 15.0),
        ([0, 60], [40_000, 20], 20.0),  # too far below 65,536 to have wrapped
        ([0, 60], [65_500, 30_000], 30_000.0),  # too far above 0 to have wrapped
        ([0, 90], [0, 90], 60.0),
        ([5], [100], NAN),
    ],
)
def test_rates_allow_for_resets_and_wraps(
    minutes: list[float], values: list[float], expected: float
) -> None:
    """Per hour, between the first and the last reading."""
    assert rate(minutes, values) == pytest.approx(expected, nan_ok=True)


@LAW
@given(STEPS, st.data(), CUTS)
def test_rates_merge(steps: list[int], data: st.DataObject, cuts: list[int]) -> None:
    """What rose between two parts is not lost."""
    size = len(steps)
    number = st.integers(0, 200) | st.integers(65_300, 65_535)
    values = data.draw(st.lists(number, min_size=size, max_size=size))
    seconds = list(itertools.accumulate(steps))
    lifted = counters.lift(instants(seconds), np.array(values, np.float64))

    risen = 0
    for before, after in itertools.pairwise(values):
        wrapped = after < before and before >= 49_152 and after <= 16_384
        risen += after - before if after >= before else after + (65_536 - before) * wrapped
    elapsed = seconds[-1] - seconds[0]
    truth = risen / elapsed * 3600 if elapsed else NAN

    for states in (one(lifted, merge_counters), by_parts(lifted, merge_counters, cuts)):
        assert counters.rates(states)[0] == pytest.approx(truth, nan_ok=True)


RULE = Rule(EventTimeSettings().min_coverage, EventTimeSettings().valid_hours)
CITY = CityCalendar("UTC")


def judged(
    name: str, length_h: float, *, cover_min: float = 0, hours: int = 0
) -> tuple[float, bool]:
    """Return coverage and validity of one window."""
    states = np.zeros(1, STATE)
    states["cover"], states["hours"] = (
        round(cover_min * MINUTE_NS),
        hours,
    )  # and no more at its ends
    length = np.array([round(length_h * HOUR_NS)])
    coverage, enough = RULE.judge(
        parse_period(name, CITY), states["cover"], states["hours"], length
    )
    return float(coverage[0]), bool(enough[0])


@CAPTURE
@pytest.mark.parametrize(
    ("minutes", "every", "coverage", "is_valid"),
    [(45, 1, 0.75, True), (44, 1, 44 / 60, False), (4, 10, 2 / 3, False), (60, 1, 1.0, True)],
)
def test_an_hour_is_valid_by_the_time_that_is_covered(
    minutes: int, every: int, coverage: float, *, is_valid: bool
) -> None:
    """45 minutes are enough, 44 and four times ten are not."""
    assert judged("1h", 1, cover_min=minutes * every) == (pytest.approx(coverage), is_valid)


@pytest.mark.parametrize(
    ("resolution", "hours", "of", "is_valid"),
    [
        ("8h", 6, 8, True),
        ("8h", 5, 8, False),
        ("24h", 18, 24, True),
        ("24h", 17, 24, False),
        ("day", 18, 23, True),
        ("day", 18, 25, False),
        ("month", 558, 744, True),
        ("month", 557, 744, False),
        ("year", 7884, 8760, True),
        ("year", 7883, 8760, False),
    ],
)
def test_longer_windows_are_valid_by_their_valid_hours(
    resolution: str, hours: int, of: int, *, is_valid: bool
) -> None:
    """Three quarters, nine tenths of a year; how much of the time is covered does not matter."""
    found = judged(resolution, of, cover_min=of * 60, hours=hours)

    assert found == (pytest.approx(hours / of), is_valid)


def test_a_length_without_a_rule_asks_for_what_an_hour_does() -> None:
    """Three quarters of its hours."""
    assert judged("12h", 12, hours=9) == (0.75, True)
    assert judged("12h", 12, hours=8)[1] is False


def test_hours_are_counted_from_the_start_of_the_window() -> None:
    """A day that begins at half past: quarters of an hour fall into its own hours."""
    start = np.array([30 * MINUTE_NS, 24 * HOUR_NS + 30 * MINUTE_NS])
    quarters = 30 * MINUTE_NS + np.arange(12) * 15 * MINUTE_NS
    rows = np.zeros(14, STATE)
    rows["time"] = np.concatenate([quarters, 24 * HOUR_NS + quarters[:2]])
    rows["from_at"] = rows["until_at"] = rows["time"] + 5 * MINUTE_NS
    rows["from_pace"] = rows["until_pace"] = 15 * 60_000
    rows["from_enters"] = rows["until_enters"] = True
    lost = [1, 2, 5, 6]  # between quarters that are there, half a gap is bridged from either side
    rows["from_enters"][lost] = rows["until_enters"][lost] = False
    windows = Frames.of(np.repeat([0, 1], [12, 2]))

    assert valid_hours(windows, start, rows, 0.75).tolist() == [1, 0]
    assert valid_hours(windows, start, rows, 0.5).tolist() == [3, 1]


def test_hours_of_slow_series_are_whole_though_quarters_of_them_are_empty() -> None:
    """A reading every half an hour, in a zone whose days begin inside an hour of UTC."""
    rows = np.zeros(4, STATE)
    rows["time"] = np.arange(4) * 30 * MINUTE_NS
    rows["from_at"] = rows["until_at"] = rows["time"]
    rows["from_pace"] = rows["until_pace"] = 30 * 60_000
    rows["from_enters"] = rows["until_enters"] = True
    windows = Frames.of(np.zeros(4, np.int64))

    assert valid_hours(windows, np.zeros(1, np.int64), rows, 1.0).tolist() == [2]


def test_no_windows_have_no_hours() -> None:
    """Nothing to count."""
    nothing = np.empty(0, np.int64)

    assert len(valid_hours(Frames.of(nothing), nothing, np.zeros(0, STATE), 0.75)) == 0
