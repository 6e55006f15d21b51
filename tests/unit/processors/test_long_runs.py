# SPDX-License-Identifier: EUPL-1.2
"""Long runs of one series: the shortcut says what the memory of windows would have said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.component import Rows
from lamppost.grouping import Groups
from lamppost.times import SECOND_NS
from processors.quality import _long_runs
from processors.quality._long_runs import follow_long
from processors.quality._sliding import Sliding
from tests.processor_cases import START_NS

WINDOW_NS = 600 * SECOND_NS
LIMITS = np.array([0.5, 0.1])


def run(steps_s: np.ndarray, value: np.ndarray) -> Rows:
    """Return rows of series 0."""
    time = START_NS + np.cumsum(steps_s) * SECOND_NS
    size = len(time)
    return Rows(Groups.by_series(np.zeros(size, np.int32)), time, value, np.ones(size, np.uint8))


def part(rows: Rows, where: slice) -> Rows:
    """Return some rows."""
    groups = rows.groups.take(where)
    return Rows(groups, rows.time[where], rows.value[where], rows.flag[where])


def windows() -> Sliding:
    """Return an empty memory of one series."""
    made = Sliding("sd")
    made.grow(1)
    return made


def walk(seed: int, size: int, kind: str) -> Rows:
    """Return a series of some kind."""
    random = np.random.default_rng(seed)
    steps = {
        "regular": np.full(size, 60),
        "gaps": random.choice([60, 60, 60, 60, 300, 4_000], size),
        "jitter": random.integers(55, 66, size),
    }[kind]
    value = np.round(20 + random.normal(0, random.choice([0.02, 0.1, 0.5]), size), 1)
    calm = random.integers(0, size, 3)
    for start in calm:
        value[start : start + 200] = value[start]
    if random.random() < 0.3:
        value[random.integers(0, size)] = random.choice([1e6, -1e9, 1e150])
    return run(steps, value)


@pytest.mark.parametrize("kind", ["regular", "gaps", "jitter"])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(2, 3_000), before=st.integers(0, 60))
def test_a_long_run_means_what_single_readings_do(
    kind: str, seed: int, size: int, before: int
) -> None:
    """Counts, both comparisons, and what is remembered: all as the memory has it."""
    rows = walk(seed, size + before, kind)
    quick, slow = windows(), windows()
    for one in (quick, slow):
        one.follow(part(rows, slice(0, before)), np.full(before, WINDOW_NS))
    rest = part(rows, slice(before, None))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_long_runs, "_BLOCK", 256)
        found = follow_long(quick, rest, WINDOW_NS, LIMITS)
    expected = slow.follow(rest, np.full(size, WINDOW_NS))

    np.testing.assert_array_equal(found.count, expected.count)
    for limit in LIMITS:
        np.testing.assert_array_equal(found.activity < limit, expected.activity < limit)
    later = walk(seed, 40, kind)
    onwards = Rows(later.groups, later.time - START_NS + rest.time[-1], later.value, later.flag)
    ways = [one.follow(onwards, np.full(40, WINDOW_NS)) for one in (quick, slow)]
    np.testing.assert_array_equal(ways[0].count, ways[1].count)
    np.testing.assert_array_equal(ways[0].activity, ways[1].activity)
