# SPDX-License-Identifier: EUPL-1.2
"""The same flags as ioos_qc, the QARTOD reference implementation, for every test both have."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from lamppost.component import Rows
from lamppost.grouping import Groups
from lamppost.times import DAY_NS, HOUR_NS, SECOND_NS
from tests.processor_cases import NAN, START_NS, build, table

if importlib.util.find_spec("ioos_qc") is None and os.environ.get("CI") != "true":
    pytest.skip("ioos_qc is not installed; scripts/setup brings it", allow_module_level=True)

from ioos_qc import qartod

TENTHS = st.integers(-60, 60).map(lambda tenths: tenths / 10)
SERIES = st.lists(TENTHS, min_size=3, max_size=60)
WITH_GAPS = st.lists(st.one_of(TENTHS, TENTHS, TENTHS, st.just(NAN)), min_size=3, max_size=60)


def same_flags(
    **drawn: SearchStrategy[Any],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a decorator for a property test against the oracle."""
    slow = [HealthCheck.too_slow]
    return lambda test: settings(max_examples=60, deadline=None, suppress_health_check=slow)(
        given(**drawn)(test)
    )


def ours(check: str, limits: dict[str, Any], values: list[float], time: np.ndarray) -> list[int]:
    """Return Lamppost's flags, one half of the series after the other."""
    listed = check == "climatology"
    made = build(
        "check",
        check,
        {"quantities": {"o3": limits["members"] if listed else limits}},
        table("o3"),
    )
    flags: list[int] = []
    amended: dict[int, int] = {}
    half = len(values) // 2
    for part in (slice(0, half), slice(half, None)):
        count = len(values[part])
        groups = Groups.by_series(np.zeros(count, np.int32))
        verdict = made.judge(
            Rows(groups, time[part], np.array(values[part], float), np.ones(count, np.uint8))
        )
        if verdict.amended_series is not None and len(verdict.amended_series):
            amended[half - 1] = int(verdict.amended_flag[0])
        flags += verdict.flag.tolist()
    return [amended.get(row, flag) for row, flag in enumerate(flags)]


def every(step_s: int, count: int) -> np.ndarray:
    """Return evenly spaced instants."""
    return START_NS + np.arange(count, dtype=np.int64) * step_s * SECOND_NS


def stamps(time: np.ndarray) -> np.ndarray:
    """Return instants as ioos_qc wants them."""
    return time.astype("datetime64[ns]")


@same_flags(values=WITH_GAPS)
def test_gross_range(values: list[float]) -> None:
    """Bounds inclusive, missing 9."""
    limits = {"fail_span": [-5, 5], "suspect_span": [-3, 3.5]}

    expected = qartod.gross_range_test(np.array(values), (-5, 5), (-3, 3.5))

    assert ours("gross_range", limits, values, every(60, len(values))) == expected.tolist()


@same_flags(
    values=WITH_GAPS, first=st.integers(0, 3 * 366), step_h=st.sampled_from([1, 7, 26, 24 * 11])
)
def test_climatology(values: list[float], first: int, step_h: int) -> None:
    """Members in order, later ones over earlier ones, for every period both know.

    ioos_qc 3.0.0 calls a missing value good when a member without fail span covers its instant
    (its mask is lost in a comparison); here it stays missing.
    """
    spans = [
        ("month", 3, 9, -4, 4, -6, 5.5),
        ("week", 1, 20, -3, 3, None, None),
        ("day_of_week", 5, 6, -1, 5, -5, 5),
        ("hour", 0, 5, -2, 2, None, None),
        ("day_of_year", 60, 90, -1, 1, None, None),
        ("quarter", 4, 4, 0, 2, -1, 3),
        ("year", 2028, 2029, -5, 5, None, None),
    ]
    time = START_NS + first * DAY_NS + np.arange(len(values)) * step_h * HOUR_NS
    members, config = [], qartod.ClimatologyConfig()
    for period, low, high, usual_low, usual_high, lowest, highest in spans:
        possible = None if lowest is None else (lowest, highest)
        members.append(
            {
                "period": period,
                "span": [low, high],
                "suspect_span": [usual_low, usual_high],
                "fail_span": possible,
            }
        )
        config.add(tspan=(low, high), vspan=(usual_low, usual_high), fspan=possible, period=period)

    expected = qartod.climatology_test(
        config, np.array(values), stamps(time), np.full(len(values), np.nan)
    )
    expected[np.isnan(values)] = 9

    assert ours("climatology", {"members": members}, values, time) == expected.tolist()


@pytest.mark.parametrize("method", ["average", "differential"])
@same_flags(values=WITH_GAPS)
def test_spike(method: str, values: list[float]) -> None:
    """Either method; the last reading is not evaluated until the next one comes."""
    limits = {"suspect": 2.03, "fail": 4.01, "method": method}

    expected = qartod.spike_test(np.array(values), 2.03, 4.01, method)

    assert ours("spike", limits, values, every(60, len(values))) == expected.tolist()


@same_flags(values=WITH_GAPS, steps=st.lists(st.integers(1, 900), min_size=60, max_size=60))
def test_rate_of_change(values: list[float], steps: list[int]) -> None:
    """Strictly above, and not across a missing value."""
    time = START_NS + np.cumsum(steps)[: len(values)] * SECOND_NS

    expected = qartod.rate_of_change_test(np.array(values), stamps(time), 0.0123)

    assert ours("rate_of_change", {"suspect_per_s": 0.0123}, values, time) == expected.tolist()


@same_flags(
    values=st.lists(st.sampled_from([1.0, 1.0, 1.0, 1.5, 2.0]), min_size=3, max_size=60),
    step_s=st.sampled_from([1, 60, 900]),
    suspect=st.integers(2, 6),
    longer=st.integers(0, 5),
)
def test_flat_line(values: list[float], step_s: int, suspect: int, longer: int) -> None:
    """Evenly spaced readings that repeat or differ by more than the tolerance.

    Where ioos_qc counts readings by the median step, Lamppost measures the time; where it compares
    all values of a window, Lamppost compares with the run's first. Here both come to the same.
    """
    fail = suspect + longer
    limits = {"suspect_s": suspect * step_s, "fail_s": fail * step_s, "min_readings": 2}
    time = every(step_s, len(values))

    expected = qartod.flat_line_test(
        np.array(values), stamps(time), suspect * step_s, fail * step_s, tolerance=1e-6
    )

    assert ours("flat_line", limits, values, time) == expected.tolist()


@pytest.mark.parametrize(("activity", "name"), [("sd", "std"), ("range", "range")])
@same_flags(
    values=SERIES,
    steps=st.lists(st.sampled_from([1, 60, 60, 60, 300, 3600]), min_size=60, max_size=60),
    least=st.integers(1, 6),
)
def test_attenuated_signal(
    activity: str, name: str, values: list[float], steps: list[int], least: int
) -> None:
    """Standard deviation and range of the readings in (t - 600 s, t]."""
    limits = {"window_s": 600, "suspect": 3.0313, "fail": 1.0171, "activity": activity}
    time = START_NS + np.cumsum(steps)[: len(values)] * SECOND_NS

    expected = qartod.attenuated_signal_test(
        np.array(values), stamps(time), 3.0313, 1.0171, 600, min_obs=least, check_type=name
    )

    found = ours("attenuated_signal", {**limits, "min_readings": least}, values, time)
    assert found == expected.tolist()


@same_flags(
    steps=st.lists(st.sampled_from([1, 60, 119, 120, 121, 600]), min_size=2, max_size=40),
    lost=st.sets(st.integers(1, 40)),
    fail_h=st.sampled_from([1, 2, 5]),
)
def test_time_gap(steps: list[int], lost: set[int], fail_h: int) -> None:
    """Steps in minutes; a missing reading stands for a missing stamp.

    Where the first stamp is missing, ioos_qc 3.0.0 gives it the flag of the second instead of 9.
    """
    time = START_NS + np.cumsum([0, *steps]) * 60 * SECOND_NS
    missing = np.isin(np.arange(len(time)), list(lost))
    stamped = stamps(time)
    stamped[missing] = np.datetime64("NaT")

    expected = qartod.time_gap_test(stamped, fail_h)

    limits = {"suspect_s": fail_h * 3600, "fail_s": fail_h * 3600}
    found = ours("gap", limits, np.where(missing, NAN, 1.0).tolist(), time)
    assert found == expected.tolist()
