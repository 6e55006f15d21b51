# SPDX-License-Identifier: EUPL-1.2
"""Flat line: runs by time, by count and within a tolerance."""

from __future__ import annotations

import itertools
import time as clock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.component import Check, Rows
from lamppost.errors import ConfigError
from lamppost.grouping import Groups
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import SECOND_NS
from tests.processor_cases import NAN, START_NS, build, flags, rows, table

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


@pytest.mark.parametrize(
    ("tolerance", "expected"),
    [
        pytest.param(0.35, [1, 1, 1, 3, 3, 3, 3, 3], id="wider than what it drifts in three steps"),
        pytest.param(0.25, [1] * 8, id="less than what it drifts in three steps"),
        pytest.param(0.55, [1, 1, 1, 3, 3, 4, 4, 4], id="wider than what it drifts in five steps"),
    ],
)
def test_a_drift_is_flat_while_its_range_is_below_the_tolerance(
    tolerance: float, expected: list[int]
) -> None:
    """domain.md 3.1: max - min < tolerance over the window, whatever its first value was."""
    check = build("check", "flat_line", limits(tolerance=tolerance), table("pm2_5"))

    assert flags(check, [5, 5.1, 5.2, 5.3, 5.4, 5.5, 5.6, 5.7], 1) == expected


def test_the_range_must_be_strictly_below_the_tolerance() -> None:
    """Half a unit up and down is no flat line within half a unit."""
    check = build("check", "flat_line", limits(tolerance=0.5), table("pm2_5"))

    assert flags(check, [5, 5.5, 5, 5.5, 5, 5.5], 1) == [1] * 6
    assert flags(check, [5, 5.25, 5, 5.25, 5, 5.25], 1) == [1, 1, 1, 3, 3, 4]


def test_an_instrument_at_infinity_is_flat() -> None:
    """Numbers no range can be made of are numbers all the same."""
    check = build("check", "flat_line", limits(tolerance=0.5), table("pm2_5"))

    assert flags(check, [np.inf] * 4 + [-np.inf] + [np.inf] * 4, 1) == [1, 1, 1, 3, 1, 1, 1, 1, 3]


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


def test_high_values_may_repeat() -> None:
    """Fog keeps a healthy humidity sensor at 100 % for a night; one stuck below is found."""
    check = build("check", "flat_line", limits(ignore_from=99.5), table("humidity"))

    assert flags(check, [100, 100, 100, 100, 100], 1) == [1] * 5
    assert set(flags(check, [99.4] * 5, 1)) > {1}


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

    began = clock.process_time()
    flag = check.judge(sample).flag

    assert clock.process_time() - began < 0.1
    assert flag.tolist()[:4] == [1, 1, 1, 3]


STEPS = st.lists(
    st.tuples(
        st.sampled_from([-0.4, -0.1, 0.0, 0.0, 0.1, 0.1, 0.3, 9.0]),  # change of the value
        st.sampled_from([0.5, 1.0, 1.0, 1.0, 2.5]),  # seconds since the reading before
        st.integers(0, 2),  # series
        st.integers(0, 9),  # 0: no value
    ),
    max_size=120,
)
CUTS = st.lists(st.integers(1, 40), min_size=1, max_size=8)


@given(steps=STEPS, cuts=CUTS, tolerance=st.sampled_from([0.15, 0.5, 1.0]), most=st.integers(2, 6))
def test_flags_are_those_of_the_definition_however_the_stream_is_cut(
    steps: list[tuple[float, float, int, int]], cuts: list[int], tolerance: float, most: int
) -> None:
    """Uneven steps, missing values and several series, in pieces and after a restart."""
    settings = limits(tolerance=tolerance, suspect_s=2, fail_s=5, min_readings=most)
    series = SeriesTable(SeriesKey(f"aq-{number}", "pm2_5") for number in range(3))
    value, time, code = drifted(steps)

    found: list[int] = []
    check = build("check", "flat_line", settings, series)
    start, lengths = 0, itertools.cycle(cuts)
    while start < len(value):
        part = slice(start, start + next(lengths))
        found += judged(check, value[part], time[part], code[part])
        start = part.stop
        restored = build("check", "flat_line", settings, series)
        restored.restore(check.snapshot())
        check = restored

    assert found == defined(value, time, code, tolerance, most)
    whole = build("check", "flat_line", settings, series)
    assert judged(whole, value, time, code) == found


def drifted(
    steps: list[tuple[float, float, int, int]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values, instants and series of readings that each go on from the one before."""
    level, now = np.zeros(3), START_NS
    value, time = [], []
    for change, seconds, code, there in steps:
        level[code] = round(level[code] + change, 1)
        now += round(seconds * SECOND_NS)
        value.append(level[code] if there else NAN)
        time.append(now)
    code = np.array([code for _, _, code, _ in steps], np.int32)
    return np.array(value, float), np.array(time, np.int64), code


def judged(check: Check, value: np.ndarray, time: np.ndarray, code: np.ndarray) -> list[int]:
    """Return the flags of readings in order of arrival."""
    groups = Groups.by_series(code)
    order = groups.order
    sample = Rows(groups, time[order], value[order], np.ones(len(value), np.uint8))
    found = np.empty(len(value), np.int64)
    found[order] = check.judge(sample).flag
    return found.tolist()


def defined(
    value: np.ndarray, time: np.ndarray, code: np.ndarray, tolerance: float, least: int
) -> list[int]:
    """Return the flags by the definition: the longest run up to each reading."""
    found = []
    for row in range(len(value)):
        if np.isnan(value[row]):
            found.append(9)
            continue
        mine = np.flatnonzero((code[: row + 1] == code[row]) & ~np.isnan(value[: row + 1]))
        begin = len(mine) - 1
        while begin and np.ptp(value[mine[begin - 1 :]]) < tolerance:
            begin -= 1
        lasted_s = (time[row] - time[mine[begin]]) / SECOND_NS
        long = lasted_s >= 2 and len(mine) - begin >= least
        found.append((4 if lasted_s >= 5 else 3) if long else 1)
    return found


def test_series_that_appear_later_find_their_own_runs() -> None:
    """Those there are keep theirs while room is made for many."""
    settings = limits(tolerance=0.5)
    series = SeriesTable([SeriesKey("aq-0", "pm2_5")])
    check = build("check", "flat_line", settings, series)
    value = np.array([5.0, 5.1, 5.2, 5.3])
    time = START_NS + np.arange(4, dtype=np.int64) * SECOND_NS
    judged(check, value[:2], time[:2], np.zeros(2, np.int32))

    for number in range(1, 40):
        series.code(SeriesKey(f"aq-{number}", "pm2_5"))
    codes = np.arange(40, dtype=np.int32)
    judged(check, np.full(40, 5.2), np.full(40, time[2]), codes)
    found = judged(check, np.full(40, 5.3), np.full(40, time[3]), codes)

    assert found == [3] + [1] * 39


def test_a_slow_drift_needs_memory_for_no_more_than_the_longest_run() -> None:
    """Of values that rise for ever by little only those count that a run can still hold."""
    check = build("check", "flat_line", limits(tolerance=10.0), table("pm2_5"))

    for start in range(0, 2_000, 100):
        found = flags_from(check, start, 100)

    assert found == [4] * 100
    assert check.snapshot()["near/value"].shape[0] <= 128


def flags_from(check: Check, start: int, count: int) -> list[int]:
    """Return the flags of readings a second apart that rise by a thousandth each."""
    return check.judge(
        rows([5 + row / 1_000 for row in range(start, start + count)], 1, start=start)
    ).flag.tolist()


def test_a_snapshot_of_runs_by_their_first_value_is_taken_over() -> None:
    """Formerly a run was its first value, its beginning and its readings."""
    check = build("check", "flat_line", limits(tolerance=0.5), table("pm2_5"))
    former = {"first": np.array([5.0]), "began": np.array([START_NS]), "readings": np.array([3])}

    check.restore(former)

    assert check.judge(rows([5.1, 5.2, 5.9], 1, start=3)).flag.tolist() == [3, 3, 1]
