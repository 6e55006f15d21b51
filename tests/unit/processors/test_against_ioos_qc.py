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
WITH_GAPS = st.lists(
    st.one_of(TENTHS, TENTHS, TENTHS, st.just(NAN), st.sampled_from([1e9, -1e9, 0.0, 0.0])),
    min_size=1,
    max_size=60,
)
STEPS = st.lists(st.sampled_from([1, 60, 60, 60, 300, 3600, 86_400]), min_size=60, max_size=60).map(
    np.array
)


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
@same_flags(values=WITH_GAPS, steps=STEPS)
def test_spike(method: str, values: list[float], steps: np.ndarray) -> None:
    """Either method, however far apart; the last one is not evaluated until the next one comes."""
    time = START_NS + np.cumsum(steps)[: len(values)] * SECOND_NS
    limits = {"suspect": 2.03, "fail": 4.01, "method": method}

    expected = qartod.spike_test(np.array(values), 2.03, 4.01, method)

    assert ours("spike", limits, values, time) == expected.tolist()


@same_flags(values=WITH_GAPS, steps=st.lists(st.integers(1, 900), min_size=60, max_size=60))
def test_rate_of_change(values: list[float], steps: list[int]) -> None:
    """Strictly above, and not across a missing value."""
    time = START_NS + np.cumsum(steps)[: len(values)] * SECOND_NS

    expected = qartod.rate_of_change_test(np.array(values), stamps(time), 0.0123)

    assert ours("rate_of_change", {"suspect_per_s": 0.0123}, values, time) == expected.tolist()


DRIFTS = st.one_of(
    st.lists(st.integers(-2, 3), min_size=3, max_size=80).map(lambda steps: np.cumsum(steps) / 10),
    st.lists(st.sampled_from([1.0, 1.0, 1.0, 1.5, 2.0]), min_size=3, max_size=60).map(np.array),
    st.lists(st.integers(0, 12), min_size=3, max_size=80).map(lambda tenths: np.array(tenths) / 10),
)


@same_flags(
    values=DRIFTS,
    step_s=st.sampled_from([1, 60, 900]),
    suspect=st.integers(2, 9),
    longer=st.integers(0, 9),
    tolerance=st.sampled_from([1e-6, 0.1, 0.25, 0.5, 0.7, 1.0, 1.5]),
)
def test_flat_line(
    values: np.ndarray, step_s: int, suspect: int, longer: int, tolerance: float
) -> None:
    """The range of the window is held against the tolerance, so a slow drift is no flat line.

    Where ioos_qc counts readings by the median step, Lamppost measures the time: evenly spaced both
    come to the same.
    """
    limits = flat(suspect * step_s, (suspect + longer) * step_s, tolerance)
    time = every(step_s, len(values))

    expected = qartod.flat_line_test(
        values, stamps(time), suspect * step_s, (suspect + longer) * step_s, tolerance
    )

    assert ours("flat_line", limits, values.tolist(), time) == expected.tolist()


@same_flags(
    values=DRIFTS,
    gaps=st.lists(st.integers(0, 4).map(lambda chance: chance == 0), min_size=80, max_size=80),
    suspect=st.integers(2, 5),
    longer=st.integers(0, 5),
    tolerance=st.sampled_from([1e-6, 0.25, 0.5, 1.0]),
)
def test_flat_line_with_missing_values(
    values: np.ndarray, gaps: list[bool], suspect: int, longer: int, tolerance: float
) -> None:
    """The same flags wherever the windows begin with a value, and nowhere a worse one.

    Where they begin with a missing value ioos_qc takes the line to have been flat there, even if
    the window holds one value only; Lamppost measures from the first value that was seen.
    """
    values = np.where(gaps[: len(values)], NAN, values)
    limits = flat(suspect, suspect + longer, tolerance)
    time = every(1, len(values))

    expected = qartod.flat_line_test(values, stamps(time), suspect, suspect + longer, tolerance)

    found = np.array(ours("flat_line", limits, values.tolist(), time))
    seen = ~np.isnan(values)
    row = np.arange(len(values))
    begins = [seen[np.maximum(row - reach, 0)] for reach in (suspect, suspect + longer)]
    alike = begins[0] & begins[1]
    np.testing.assert_array_equal(found[alike], expected[alike])
    assert (found <= expected).all()


@same_flags(
    steps=st.lists(st.sampled_from([-0.1, 0.0, 0.0, 0.0, 0.1, 0.1, 5.0]), min_size=9, max_size=9),
    repeated=st.integers(40, 90),
    suspect=st.integers(5, 200),
    tolerance=st.sampled_from([0.35, 0.9, 3.0]),
)
def test_flat_line_over_long_windows(
    steps: list[float], repeated: int, suspect: int, tolerance: float
) -> None:
    """Hundreds of readings that drift within and beyond the tolerance."""
    values = np.round(np.cumsum(np.resize(steps, repeated * 9)) % 7, 1)
    time = every(60, len(values))

    expected = qartod.flat_line_test(
        values, stamps(time), suspect * 60, suspect * 120, tolerance=tolerance
    )

    limits = flat(suspect * 60, suspect * 120, tolerance)
    assert ours("flat_line", limits, values.tolist(), time) == expected.tolist()


def flat(suspect_s: float, fail_s: float, tolerance: float) -> dict[str, Any]:
    """Return limits of a flat line that ask for no number of readings."""
    return {"suspect_s": suspect_s, "fail_s": fail_s, "tolerance": tolerance, "min_readings": 2}


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


@pytest.mark.parametrize(("activity", "name"), [("sd", "std"), ("range", "range")])
@same_flags(
    values=st.lists(st.one_of(TENTHS, TENTHS, st.just(NAN)), min_size=1, max_size=60),
    steps=STEPS,
    least=st.integers(1, 6),
)
def test_attenuated_signal_with_missing_values(
    activity: str, name: str, values: list[float], steps: np.ndarray, least: int
) -> None:
    """A missing value leaves its window to the others.

    By the range ioos_qc evaluates no window with a missing value in it, because the range of its
    numbers is none (its standard deviation leaves them out, as both do here).
    """
    limits = {"window_s": 600, "suspect": 3.0313, "fail": 1.0171, "activity": activity}
    at, seen = np.cumsum(steps)[: len(values)], ~np.isnan(values)
    time = START_NS + at * SECOND_NS

    expected = qartod.attenuated_signal_test(
        np.array(values), stamps(time), 3.0313, 1.0171, 600, min_obs=least, check_type=name
    )

    found = np.array(ours("attenuated_signal", {**limits, "min_readings": least}, values, time))
    missed = [~seen[(at <= now) & (at > now - 600)].all() for now in at]
    alike = ~(np.array(missed) & seen) if activity == "range" else np.ones(len(at), np.bool_)
    np.testing.assert_array_equal(found[alike], expected[alike])
    assert (expected[~alike] == 2).all()


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
