# SPDX-License-Identifier: EUPL-1.2
"""Days of limits: when they begin, and the laws by which hours become days and verdicts."""

from __future__ import annotations

import itertools
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.times import DAY_NS, HOUR_NS, parse_instant
from processors.compliance.assessment import (
    STATUS_NAMES,
    Assessment,
    Year,
    assess,
    exceedances_by_day,
)
from processors.compliance.daily import Days, Needs, reduce
from processors.compliance.reckoning import Reckoning, day_number, day_of_number, year_days
from tests.unit.processors.limit_years import (
    BERLIN,
    NAN,
    RULES,
    days_of,
    hours_of,
    judged,
    law,
    status,
)


# ---- years, days, zones
@pytest.mark.parametrize(("year", "days"), [(2024, 366), (2025, 365), (2100, 365), (2000, 366)])
def test_years_have_365_or_366_days(year: int, days: int) -> None:
    """Every day counts once, the 29th of February too."""
    found = judged("eu_2008_50.pm10_day", hours_of(year, 51.0), year)

    assert int(found.exceedances[0]) == days
    assert found.capture[0] == 1.0


def test_winter_days_have_24_hours_all_year_and_local_days_do_not() -> None:
    """Europe/Berlin, 2025: 30 March has 23 hours, 26 October 25."""
    first, end = year_days(2025)
    local = np.diff(Reckoning("local", BERLIN).starts(first, end)) // HOUR_NS
    march, october = (
        day_number(date(2025, month, day)) - first for month, day in ((3, 30), (10, 26))
    )

    assert set((np.diff(Reckoning("winter", BERLIN).starts(first, end)) // HOUR_NS).tolist()) == {
        24
    }
    assert (local[march], local[october]) == (23, 25)
    assert np.delete(local, [march, october]).tolist() == [24] * 363


@pytest.mark.parametrize(
    ("day", "zone", "instant", "expected"),
    [
        ("winter", BERLIN, "2025-07-01T22:30:00Z", date(2025, 7, 1)),  # 23:30 in winter time
        ("local", BERLIN, "2025-07-01T22:30:00Z", date(2025, 7, 2)),  # 00:30 by the clocks
        ("UTC", BERLIN, "2025-07-01T23:30:00Z", date(2025, 7, 1)),
        ("UTC+1", "America/New_York", "2025-07-01T23:30:00Z", date(2025, 7, 2)),
        ("winter", "Australia/Sydney", "2025-01-01T14:00:00Z", date(2025, 1, 2)),
        ("winter", "Asia/Kolkata", "2025-01-01T18:29:59Z", date(2025, 1, 1)),
        ("winter", "Europe/Dublin", "2025-07-01T23:30:00Z", date(2025, 7, 1)),
    ],
)
def test_days_begin_where_the_policy_says(
    day: str, zone: str, instant: str, expected: date
) -> None:
    """Local winter time, UTC+1, the clocks."""
    assert day_of_number(Reckoning(day, zone).day(parse_instant(instant))) == expected


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 30, 23), (10, 26, 25)])
def test_days_on_which_clocks_change_are_judged_by_their_own_hours(
    month: int, day: int, hours: int
) -> None:
    """75 % of 23 hours are 18, of 25 are 19."""
    rules = RULES.model_copy(update={"day": "local"})
    rule = law("eu_2008_50.pm10_day")
    first, end = year_days(2025)
    at = day_number(date(2025, month, day)) - first
    starts = Reckoning("local", BERLIN).starts(first, end)
    begin = int(starts[at] - starts[0]) // HOUR_NS
    least = int(np.ceil(hours * 0.75))

    counts = []
    for present in (least, least - 1):
        values = hours_of(2025, 51.0, day="local")
        values[0, begin + present : begin + hours] = np.nan
        days = days_of(rule, values, first, end, rules)
        counts.append(int(exceedances_by_day(rule, days, Year(2025, end), rules)[0, at]))

    assert counts == [1, 0]


# ---- laws
@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 39), max_size=4, unique=True))
def test_days_do_not_depend_on_how_they_are_cut(seed: int, cuts: list[int]) -> None:
    """Law: days worked out in pieces equal days worked out at once, to the last digit."""
    random = np.random.default_rng(seed)
    given_rules = [
        rule
        for chosen in RULES.sets.values()
        for rule in chosen.rules.values()
        if rule.quantity == "o3" or rule.averaging == "1h"
    ]
    needs = Needs.of([rule for rule in given_rules if rule.window_ns == HOUR_NS])
    rules = RULES.model_copy(update={"day": random.choice(["winter", "local", "UTC"])})
    reckoning = Reckoning(rules.day, BERLIN)
    first = day_number(date(2025, 3, 15))
    starts = reckoning.starts(first, first + 40)
    begin = int(starts[0]) - needs.lead * HOUR_NS
    values = random.gamma(2, 40, (3, int(starts[-1] - begin) // HOUR_NS))
    values[random.random(values.shape) < 0.2] = np.nan

    whole = reduce(values, begin, first, starts, needs, rules)
    pieces = Days.empty(first, starts, needs, 3)
    edges = [0, *sorted(cuts), 40]
    for left, right in itertools.pairwise(edges):
        at = int(starts[left] - begin) // HOUR_NS - needs.lead
        until = int(starts[right] - begin) // HOUR_NS
        part = reduce(
            values[:, at:until],
            begin + at * HOUR_NS,
            first + left,
            starts[left : right + 1],
            needs,
            rules,
        )
        pieces.put(np.arange(3), part)

    for name, column in whole.columns.items():
        np.testing.assert_array_equal(pieces.columns[name], column, err_msg=name)


def plainly(values: np.ndarray) -> tuple[list[float], list[float]]:
    """Return means and highest running means of days of 24 hours, as one would by hand."""
    means, peaks = [], []
    for day in range(len(values) // 24):
        own = [value for value in values[day * 24 : day * 24 + 24] if not np.isnan(value)]
        means.append(sum(own) / len(own) if len(own) >= 18 else NAN)
        running = []
        for hour in range(day * 24, day * 24 + 24):
            eight = [v for v in values[max(0, hour - 7) : hour + 1] if not np.isnan(v)]
            if len(eight) >= 6:
                running.append(sum(eight) / len(eight))
        peaks.append(max(running) if len(running) >= 18 else NAN)
    return means, peaks


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1, 0.25, 0.5]))
def test_days_are_what_one_finds_by_hand(seed: int, gaps: float) -> None:
    """Law: an oracle without arrays says the same."""
    random = np.random.default_rng(seed)
    values = random.gamma(2, 40, 10 * 24)
    values[random.random(len(values)) < gaps] = np.nan
    first = day_number(date(2025, 6, 1))

    days = days_of(law("eu_2008_50.o3_8h"), values[None, :], first, first + 10)

    means, peaks = plainly(values)
    np.testing.assert_allclose(days.means(RULES)[0], means, rtol=1e-12)
    np.testing.assert_allclose(days.peaks()[0], peaks, rtol=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_every_series_is_judged_by_itself(seed: int) -> None:
    """Law: beside others, or alone, a series has the same year."""
    random = np.random.default_rng(seed)
    values = random.gamma(2, 25, (3, 365 * 24))
    values[random.random(values.shape) < 0.1] = np.nan
    for name in ("eu_2008_50.pm10_day", "eu_2008_50.pm10_year", "eu_2008_50.o3_8h_long_term"):
        together = judged(name, values, as_of=date(2025, 9, 1))
        for row in range(3):
            alone = judged(name, values[row : row + 1], as_of=date(2025, 9, 1))
            for column in Assessment.__dataclass_fields__:
                one: Any = getattr(alone, column)[0]
                np.testing.assert_equal(getattr(together, column)[row], one)


def test_rounding_of_a_running_year_is_that_of_a_whole_one() -> None:
    """A year under way is judged as if it ended with its last complete day."""
    values = hours_of(2025, 24.0)
    values[0, 100 * 24 :] = np.nan

    found = judged("eu_2008_50.pm2_5_year", values, as_of=date(2025, 4, 10))

    assert found.capture[0] == 1.0
    assert status(found) == "met"


def test_every_rule_of_the_default_policy_can_be_worked_out() -> None:
    """Whatever it averages."""
    for chosen in RULES.sets.values():
        for rule in chosen.rules.values():
            first, end = year_days(2025)
            per_day = DAY_NS // rule.window_ns
            values = np.full((1, 365 * per_day), 0.4)
            found = assess(rule, days_of(rule, values, first, end), Year(2025, end), RULES)
            assert STATUS_NAMES[int(found.status[0])] in {"met", "reported", "not_enough_data"}
