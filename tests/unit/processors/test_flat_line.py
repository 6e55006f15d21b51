# SPDX-License-Identifier: EUPL-1.2
"""Flat line: runs by time, by count and within a tolerance."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.component import Rows
from lamppost.errors import ConfigError
from lamppost.grouping import Groups
from tests.processor_cases import NAN, build, flags, rows, table

IOOS = pytest.mark.vector("QARTOD", "ioos/ioos_qc tests/test_qartod.py, flat_line_test")


def limits(**changes: object) -> dict[str, object]:
    """Return settings for every quantity."""
    return {"default": {"suspect_s": 3, "fail_s": 5, "min_readings": 2, **changes}}


@IOOS
@pytest.mark.parametrize("tolerance", [0.0, 0.1])
def test_the_vector_of_ioos_qc_is_reproduced(tolerance: float) -> None:
    """Six equal values a second apart (ioos_qc flat_line_test; with 0 it never fires there)."""
    check = build("check", "flat_line", limits(tolerance=tolerance), table("pm2_5"))

    assert flags(check, [5, 5, 5, 5, 5, 5], 1) == [1, 1, 1, 3, 3, 4]


def test_a_changed_value_begins_a_new_run() -> None:
    """The run starts with the value that differs."""
    check = build("check", "flat_line", limits(), table("pm2_5"))

    assert flags(check, [5, 5, 5, 5, 6, 6, 6, 6], 1) == [1, 1, 1, 3, 1, 1, 1, 3]


def test_tolerance_is_held_against_the_first_value_so_a_drift_is_no_flat_line() -> None:
    """Small steps add up."""
    check = build("check", "flat_line", limits(tolerance=0.15), table("pm2_5"))

    assert flags(check, [5, 5.1, 5.2, 5.3, 5.4, 5.5, 5.6, 5.7], 1) == [1] * 8


def test_missing_values_neither_end_nor_prolong_a_run() -> None:
    """A stuck device with gaps is still stuck."""
    check = build("check", "flat_line", limits(), table("pm2_5"))

    assert flags(check, [5, NAN, NAN, 5, NAN], 1) == [1, 9, 9, 3, 9]


def test_few_readings_make_no_run() -> None:
    """Two equal values far apart prove nothing."""
    check = build("check", "flat_line", limits(min_readings=3), table("pm2_5"))

    assert flags(check, [5, 5, 5], 100) == [1, 1, 4]


def test_low_values_may_repeat() -> None:
    """An empty road counts zero all night."""
    check = build("check", "flat_line", limits(ignore_up_to=0), table("vehicle_count"))

    assert flags(check, [0, 0, 0, 0, 0], 1) == [1] * 5


def test_a_run_goes_on_across_batches() -> None:
    """State is the first value, its time and the count."""
    check = build("check", "flat_line", limits(), table("pm2_5"))
    check.judge(rows([5, 5, 5], 1))

    assert check.judge(rows([5, 5, 5], 1, start=3)).flag.tolist() == [3, 3, 4]


def test_fail_before_suspect_is_refused() -> None:
    """A limit that can never apply is a mistake in the policy."""
    with pytest.raises(ConfigError, match="fail_s"):
        build("check", "flat_line", limits(fail_s=1), table("pm2_5"))


def test_a_million_readings_take_a_fraction_of_a_second() -> None:
    """At least 10 million readings/s even on a busy machine; ioos_qc does 0.36 million."""
    count = 1_000_000
    value = np.arange(count, dtype=np.float64)
    value[:200_000] = np.repeat(value[:50_000], 4)
    groups = Groups.by_series(np.zeros(count, np.int32))
    instants = np.arange(count, dtype=np.int64) * 1_000_000_000
    sample = Rows(groups, instants, value, np.ones(count, np.uint8))
    check = build("check", "flat_line", limits(), table("pm2_5"))

    began = time.process_time()
    flag = check.judge(sample).flag

    assert time.process_time() - began < 0.1
    assert flag.tolist()[:4] == [1, 1, 1, 3]


@given(st.lists(st.sampled_from([1.0, 1.05, 1.1, 1.3, NAN]), max_size=30))
def test_runs_within_a_tolerance_do_not_depend_on_the_cut(values: list[float]) -> None:
    """One batch and one reading at a time give the same flags."""
    settings = limits(tolerance=0.1)
    whole = flags(build("check", "flat_line", settings, table("pm2_5")), values, 1)
    check = build("check", "flat_line", settings, table("pm2_5"))

    single = [
        int(check.judge(rows([value], 1, start=start)).flag[0])
        for start, value in enumerate(values)
    ]

    assert single == whole
