# SPDX-License-Identifier: EUPL-1.2
"""Percentile range: the days before today decide what is usual."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.component import Check
from lamppost.series import SeriesKey, SeriesTable
from processors.quality.percentile_range import PERCENTILE_RANGE
from tests.processor_cases import build, rows, table
from tests.quality_cases import at_once

HOUR_S = 3_600
NORMAL = np.random.default_rng(3).normal(20, 4, 24 * 30)


def check(**settings: Any) -> Check:
    """Build the check for temperature."""
    raw = {
        "quantities": {"temperature": {"span": [-30, 50]}},
        "bins": 400,
        "min_readings": 100,
        "half_life_days": 100,
        **settings,
    }
    made: Check = build("check", "percentile_range", raw, table("temperature"))
    return made


def test_bounds_are_the_percentiles_of_the_days_before() -> None:
    """As numpy's percentiles of the record, to the width of a bin (ioos_qc takes the record)."""
    made = check(half_life_days=1e6)
    made.judge(rows(NORMAL.tolist(), HOUR_S))
    low, high = np.percentile(NORMAL, [5, 95])
    asked = [low - 0.4, low + 0.4, high - 0.4, high + 0.4]

    verdict = made.judge(rows(asked, HOUR_S, start=24 * 31))

    assert verdict.flag.tolist() == [3, 1, 1, 3]
    assert verdict.reasons[0] == PERCENTILE_RANGE.mask


def test_a_pad_lets_more_pass() -> None:
    """Beyond the percentiles by more than the pad."""
    made = check(quantities={"temperature": {"span": [-30, 50], "pad": 10}})
    made.judge(rows(NORMAL.tolist(), HOUR_S))

    assert made.judge(rows([30, 45], HOUR_S, start=24 * 31)).flag.tolist() == [1, 3]


def test_a_young_series_is_not_judged() -> None:
    """Nor is anything by readings of its own day."""
    made = check()

    assert set(made.judge(rows([20.0] * 20, 60)).flag.tolist()) == {2}
    assert set(check(min_readings=1).judge(rows([20.0, 45.0], 60)).flag.tolist()) == {2}


def test_what_was_usual_long_ago_fades() -> None:
    """After many half-lives too little is left to judge by."""
    made = check(half_life_days=1)
    made.judge(rows(NORMAL.tolist(), HOUR_S))

    assert made.judge(rows([45.0], HOUR_S, start=24 * 90)).flag.tolist() == [2]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    half_life_days=st.sampled_from([0.5, 14.0, 1e9]),
    series=st.sampled_from([1, 3, 20]),
)
def test_days_at_once_are_days_one_after_the_other(
    seed: int, cuts: list[int], half_life_days: float, series: int
) -> None:
    """To the last bit, for few series and for many, whatever the cut, on days left out as well."""
    random = np.random.default_rng(seed)
    code = random.integers(0, series, 400)
    seconds = np.cumsum(random.choice([60, 3_600, 40_000, 200_000], 400))
    value = np.round(random.normal(20, 6, 400), 1)
    keys = SeriesTable(SeriesKey(f"aq-{number}", "temperature") for number in range(series))
    raw = {"quantities": {"temperature": {"span": [-10, 50]}}, "bins": 50, "min_readings": 5}
    found = []
    for edges in ([0, 400], [0, *sorted(cuts), 400], range(401)):
        made = build("check", "percentile_range", {**raw, "half_life_days": half_life_days}, keys)
        flags = np.zeros(400, np.uint8)
        for start, end in itertools.pairwise(edges):
            if start == end:
                continue
            part = slice(start, end)
            given_rows = at_once(*zip(code[part], value[part], seconds[part], strict=True))
            flags[np.arange(start, end)[given_rows.groups.order]] = made.judge(given_rows).flag
        found.append((flags.tolist(), {k: v.tobytes() for k, v in made.snapshot().items()}))

    assert found[0] == found[1] == found[2]
    assert {1, 2, 3} >= set(found[0][0])


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values_are_not_counted(value: float) -> None:
    """They have no bin, and are left to the gross range."""
    assert check().judge(rows([value], HOUR_S)).flag.tolist() == [2]
