# SPDX-License-Identifier: EUPL-1.2
"""Counter-based noise is random to look at and a pure function to call."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensor_sim.noise import key_of, keys_of, normal, smooth, uniform

KEYS = keys_of(7, ["a"])


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=50), st.integers(0, 50))
def test_noise_does_not_depend_on_where_the_counters_are_cut(counters: list[int], cut: int) -> None:
    """Two parts give what the whole gives."""
    counter = np.array(counters, dtype=np.int64)

    parts = [normal(KEYS, part) for part in (counter[:cut], counter[cut:]) if len(part)]

    assert np.array_equal(np.concatenate(parts), normal(KEYS, counter))


def test_uniform_deviates_fill_the_unit_interval() -> None:
    """Mean and spread are those of the uniform distribution, and no value reaches 1."""
    deviates = uniform(KEYS, np.arange(100_000, dtype=np.int64))

    assert 0.0 <= deviates.min() < 1e-3
    assert 1.0 - 1e-3 < deviates.max() < 1.0
    assert abs(deviates.mean() - 0.5) < 0.005


def test_normal_deviates_have_mean_0_and_spread_1() -> None:
    """The first two moments fit, and neighbours are independent."""
    deviates = normal(KEYS, np.arange(100_000, dtype=np.int64))

    assert abs(deviates.mean()) < 0.015
    assert abs(deviates.std() - 1.0) < 0.01
    assert abs(np.corrcoef(deviates[:-1], deviates[1:])[0, 1]) < 0.015


def test_a_smooth_course_has_no_jumps() -> None:
    """A second moves a course of an hour's scale by very little."""
    time_ns = np.arange(0, 7_200, dtype=np.int64) * 1_000_000_000

    course = smooth(KEYS, time_ns, 3_600.0)

    assert np.abs(np.diff(course)).max() < 0.01
    assert np.ptp(course) > 0.01


def test_keys_differ_by_seed_and_by_word() -> None:
    """No two of these keys are alike, and a key never changes between releases."""
    keys = {key_of(1, "a"), key_of(2, "a"), key_of(1, "b"), key_of(1, "a", "b"), key_of(1, "ab")}

    assert len(keys) == 5
    assert key_of(1, "a") == key_of(1, "a")
