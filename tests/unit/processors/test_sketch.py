# SPDX-License-Identifier: EUPL-1.2
"""Quantiles from mergeable counts, against the readings themselves."""

from __future__ import annotations

import itertools
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.windows import _sketch as sketch
from processors.windows._frames import Frames
from tests.unit.lamppost.strategies import LAW

DDSKETCH = pytest.mark.vector("aggregates", "DDSketch (Masson, Rim and Lee, VLDB 2019), alpha 0.01")

ONE = 16_384
NORMAL = st.floats(1e-140, 1e140) | st.floats(-1e140, -1e-140) | st.just(0.0)
READINGS = st.lists(NORMAL | st.integers(-50, 50).map(float), min_size=1, max_size=60)


def rows(values: list[float], start: int = 0, series: int = 0) -> np.ndarray:
    """Return the sketch of one window."""
    size = len(values)
    return sketch.of_readings(
        np.full(size, series, np.int32), np.full(size, start, np.int64), np.array(values)
    )


def quantiles(
    found: np.ndarray, values: list[float], rule: sketch.QuantileRule = "type 7"
) -> list[float]:
    """Return the quantiles of one window."""
    frames = Frames.of(np.zeros(len(found), np.int64))
    limits = (np.array([min(values)]), np.array([max(values)]))
    return sketch.quantiles(frames, found["code"], found["count"], *limits, rule)[:, 0].tolist()


def numbered(values: list[float], percent: int) -> float:
    """Return the reading numbered round(q n), counted from 1."""
    ranked = sorted(values)
    return ranked[max(int(Decimal(percent * len(ranked)) / 100 + Decimal("0.5")), 1) - 1]


@DDSKETCH
@pytest.mark.parametrize(("value", "key"), [(1.0, 0), (10.0, 116), (100.0, 231)])
def test_bins_are_those_of_the_reference(value: float, key: int) -> None:
    """Key = ceil(log of the value to the base of gamma)."""
    assert pytest.approx(1.020202, abs=1e-6) == sketch.GAMMA
    assert sketch.codes(np.array([value])).tolist() == [ONE + key]
    assert sketch.codes(np.array([-value])).tolist() == [-ONE - key]


@DDSKETCH
def test_a_millisecond_to_a_minute_are_as_many_bins_as_the_paper_says() -> None:
    """About 275 with an error of 2 %, thus twice as many with 1 %."""
    lowest, highest = sketch.codes(np.array([1.0, 60_000.0])).tolist()

    assert highest - lowest + 1 == pytest.approx(2 * 275, rel=0.01)


@DDSKETCH
def test_the_estimate_of_a_hundred_is_that_of_the_reference() -> None:
    """2 gamma^231 / (gamma + 1)."""
    (estimate,) = sketch.estimates(np.array([ONE + 231], np.int16))

    assert estimate == pytest.approx(100.495, abs=5e-4)


@LAW
@given(READINGS)
def test_every_quantile_is_within_one_per_cent_of_the_readings_it_lies_between(
    values: list[float],
) -> None:
    """Whatever the readings: negative, zero, of any size; numpy has the exact ones."""
    found = quantiles(rows(values), values)

    assert found == sorted(found)
    for percent, quantile in zip(sketch.PERCENTS, found, strict=True):
        around = [np.percentile(values, percent, method=method) for method in ("lower", "higher")]
        largest = max(map(abs, around))
        exact = np.percentile(values, percent)
        assert abs(quantile - exact) <= sketch.ALPHA * largest * (1 + 1e-9)


@LAW
@given(READINGS)
def test_by_the_rule_of_the_eu_a_quantile_is_within_one_per_cent_of_one_reading(
    values: list[float],
) -> None:
    """The one numbered round(q n)."""
    found = quantiles(rows(values), values, "97/101/EC")

    for percent, quantile in zip(sketch.PERCENTS, found, strict=True):
        wanted = numbered(values, percent)
        assert abs(quantile - wanted) <= sketch.ALPHA * abs(wanted) * (1 + 1e-9)


@pytest.mark.vector("aggregates", "numpy.quantile, linear: type 7 of Hyndman and Fan 1996")
def test_quantiles_of_few_readings_lie_between_them() -> None:
    """Of 1, 2, 3 and 4 the median is 2.5, and the 95 % quantile 3.85."""
    found = dict(zip(sketch.PERCENTS, quantiles(rows([1, 2, 3, 4]), [1, 2, 3, 4]), strict=True))

    assert found[50] == pytest.approx(2.5, rel=sketch.ALPHA)
    assert found[95] == pytest.approx(3.85, rel=sketch.ALPHA)


@pytest.mark.vector("aggregates", "Decision 97/101/EC, Annex II: k = round(q n)")
@pytest.mark.parametrize(
    ("size", "expected"), [(4, [1, 1, 2, 3, 4]), (100, [5, 25, 50, 75, 95]), (10, [1, 3, 5, 8, 10])]
)
def test_quantiles_by_the_rule_of_the_eu_are_ranked_readings(
    size: int, expected: list[int]
) -> None:
    """Numbered from 1; a half is rounded up."""
    values = [float(number) for number in range(1, size + 1)]

    found = quantiles(rows(values), values, "97/101/EC")

    assert found == pytest.approx(expected, rel=sketch.ALPHA)


@LAW
@given(READINGS, st.lists(st.integers(0, 60), max_size=4), st.randoms(use_true_random=False))
def test_parts_merge_into_the_whole_in_any_order(
    values: list[float], cuts: list[int], random: st.DataObject
) -> None:
    """To the bit: counts are whole numbers."""
    whole = rows(values)
    shuffled = list(values)
    random.shuffle(shuffled)
    edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    parts = [rows(shuffled[a:b]) for a, b in itertools.pairwise(edges) if b > a]

    assert sketch.merged(np.concatenate(parts)).tobytes() == whole.tobytes()


@LAW
@given(st.floats(-1e300, 1e300), st.integers(1, 20))
def test_equal_readings_are_their_own_quantiles(value: float, count: int) -> None:
    """Outside the range of the bound as well: no quantile lies beyond lowest and highest."""
    values = [value] * count

    assert quantiles(rows(values), values) == [value] * len(sketch.PERCENTS)


@LAW
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=40))
def test_bins_follow_the_order_of_the_readings(values: list[float]) -> None:
    """A larger reading is never in a lower bin, not even beyond the range of the bound."""
    ranked = np.sort(np.array(values))

    assert (np.diff(sketch.codes(ranked).astype(np.int64)) >= 0).all()


def test_an_edge_belongs_to_the_bin_below_it() -> None:
    """Exactly, for every bin: a logarithm alone would be off by its last digit."""
    edges = sketch._edges()
    code = np.arange(3, len(edges))

    assert sketch.codes(edges[3:]).tolist() == code.tolist()
    assert sketch.codes(np.nextafter(edges[3:-1], np.inf)).tolist() == (code[:-1] + 1).tolist()


def test_several_windows_of_several_series_keep_apart() -> None:
    """Each has its own counts and quantiles."""
    series = np.array([0, 0, 0, 1, 1], np.int32)
    start = np.array([0, 0, 60, 0, 0])
    value = np.array([1.0, 3.0, 5.0, 7.0, 7.0])

    found = sketch.of_readings(series, start, value)
    windows = Frames.of(found["series"] * 100 + found["time"])
    low, high = np.array([1.0, 5.0, 7.0]), np.array([3.0, 5.0, 7.0])
    medians = sketch.quantiles(windows, found["code"], found["count"], low, high)[2]

    assert list(zip(found["series"].tolist(), found["time"].tolist(), strict=True)) == [
        (0, 0), (0, 0), (0, 60), (1, 0)]  # fmt: skip
    assert found["count"].tolist() == [1, 1, 1, 2]
    assert medians.tolist() == pytest.approx([2.0, 5.0, 7.0], rel=0.01)


def test_nothing_makes_no_bins() -> None:
    """No readings, no rows, no quantiles."""
    nothing = sketch.of_readings(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0))
    frames = Frames.of(np.empty(0, np.int64))

    assert len(sketch.merged(nothing)) == 0
    found = sketch.quantiles(frames, nothing["code"], nothing["count"], np.empty(0), np.empty(0))
    assert found.shape == (5, 0)
