# SPDX-License-Identifier: EUPL-1.2
"""Attenuated signal against the vector of ioos_qc, and its windows against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.component import Check, Rows
from lamppost.grouping import Groups
from lamppost.times import SECOND_NS
from processors.quality._sliding import Sliding
from processors.quality.attenuated_signal import ATTENUATED_SIGNAL
from tests.processor_cases import NAN, START_NS, build, flags, rows, table

IOOS = pytest.mark.vector("QARTOD", "ioos/ioos_qc tests/test_qartod.py, attenuated_signal_test")

DAY_S = 86_400


def check(**limits: Any) -> Check:
    """Build the check for one quantity."""
    made: Check = build("check", "attenuated_signal", {"quantities": {"o3": limits}}, table("o3"))
    return made


@IOOS
def test_too_little_movement_is_flagged() -> None:
    """Daily [1,2,3,100,1000], range 100/10 over two days, no minimum -> [4,4,4,3,1] (ioos_qc)."""
    made = check(window_s=2 * DAY_S, suspect=100, fail=10, min_readings=1)

    verdict = made.judge(rows([1, 2, 3, 100, 1000], DAY_S))

    assert verdict.flag.tolist() == [4, 4, 4, 3, 1]
    assert verdict.reasons.tolist() == [ATTENUATED_SIGNAL.mask] * 4 + [0]


def test_a_window_with_too_few_readings_is_not_evaluated() -> None:
    """Nor is a missing value counted (ioos_qc: not enough data -> 2)."""
    made = check(window_s=300, suspect=1, min_readings=3)

    assert flags(made, [5, 5, NAN, 5, 5], 60) == [2, 2, 9, 3, 3]


def test_values_need_not_be_equal_to_be_attenuated() -> None:
    """A sensor behind a clogged filter still moves a little."""
    made = check(window_s=3_600, suspect=0.5, activity="sd")
    little = (20 + 0.1 * np.sin(np.arange(60))).tolist()
    lively = (20 + 5 * np.sin(np.arange(60))).tolist()

    assert set(flags(made, little, 60)[10:]) == {3}
    assert set(flags(check(window_s=3_600, suspect=0.5, activity="sd"), lively, 60)[10:]) == {1}


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.sampled_from([1, 3, 7, 10, 25, 90]), min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=8),
    seed=st.integers(0, 2**32 - 1),
)
def test_windows_hold_what_lies_in_them(steps: list[int], cuts: list[int], seed: int) -> None:
    """Count, range and standard deviation of (t - 20 s, t], as numpy computes them, for any cut."""
    time = START_NS + np.cumsum(steps) * SECOND_NS
    value = np.round(np.random.default_rng(seed).normal(50, 9, len(steps)), 2)
    found = {}
    for activity in ("range", "sd"):
        windows = Sliding(activity)
        windows.grow(1)
        seen = []
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(steps)], strict=True):
            part = slice(start, end)
            size = len(time[part])
            groups = Groups.by_series(np.zeros(size, np.int32))
            rows = Rows(groups, time[part], value[part], np.ones(size, np.uint8))
            seen.append(windows.follow(rows, np.full(size, 20 * SECOND_NS)))
        found[activity] = np.concatenate([one.activity for one in seen])
        counts = np.concatenate([one.count for one in seen])

    for at, count, spread, sd in zip(time, counts, found["range"], found["sd"], strict=True):
        inside = value[(time > at - 20 * SECOND_NS) & (time <= at)]
        assert (count, spread) == (len(inside), np.ptp(inside))
        assert sd == pytest.approx(np.std(inside), abs=1e-6)
