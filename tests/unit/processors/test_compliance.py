# SPDX-License-Identifier: EUPL-1.2
"""Years against limits: counting and capture as the law has them, each by name."""

from __future__ import annotations

import itertools
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.compliance import Compliance, ComplianceRule
from lamppost.times import DAY_NS, HOUR_NS, parse_instant
from processors.compliance.assessment import (
    NO_DAY,
    STATUS_NAMES,
    Assessment,
    Year,
    assess,
    exceedances_by_day,
)
from processors.compliance.daily import Days, Level, Needs, reduce, usable
from processors.compliance.reckoning import Reckoning, day_number, day_of_number, year_days
from tests.processor_conformance import POLICY

COUNTS = pytest.mark.vector(
    "EU limit values",
    "2008/50/EC, Annex XI: PM10 50 µg/m³ not more than 35 days (rounding not verified)",
)
CAPTURE = pytest.mark.vector("EU limit values", "2008/50/EC, Annexes VII and XI; UK SI 2007/64")
AOT40 = pytest.mark.vector("EU limit values", "2008/50/EC, Annex VII")
SHARES = pytest.mark.vector(
    "EU limit values", "2008/50/EC, Annex I; Directive (EU) 2024/2881, Annex V (one source)"
)
OZONE = pytest.mark.vector(
    "EU limit values",
    "2008/50/EC, Annex VII: 120 µg/m³ not more than 25 days, mean over three years",
)
WHO = pytest.mark.vector("WHO guidelines", "WHO global air quality guidelines 2021 (airclim.org)")
NO2 = pytest.mark.vector(
    "EU limit values", "2008/50/EC, Annex XI: NO2 200 µg/m³ not more than 18 hours"
)

RULES = POLICY.compliance
BERLIN = "Europe/Berlin"
NAN = float("nan")


def law(name: str, rules: Compliance = RULES) -> ComplianceRule:
    """Return a rule of the default policy by set and name."""
    chosen, _, rule = name.partition(".")
    return rules.sets[chosen].rules[rule]


def hours_of(year: int, fill: float = 20.0, years: int = 1, day: str = "winter") -> np.ndarray:
    """Return one series with the same mean in each hour of some years up to one."""
    first, end = year_days(year - years + 1)[0], year_days(year)[1]
    starts = Reckoning(day, BERLIN).starts(first, end)
    return np.full((1, int(starts[-1] - starts[0]) // HOUR_NS), fill)


def by_day(values: np.ndarray) -> np.ndarray:
    """Return a view of hours as days of 24."""
    return values.reshape(len(values), -1, 24)


def days_of(
    rule: ComplianceRule, values: np.ndarray, first: int, end: int, rules: Compliance = RULES
) -> Days:
    """Work out days; the hours before the first day are not measured."""
    needs = Needs.of([rule])
    starts = Reckoning(rules.day, BERLIN).starts(first, end)
    lead = np.full((len(values), needs.lead), np.nan)
    begin = int(starts[0]) - needs.lead * needs.window_ns
    return reduce(np.hstack([lead, values]), begin, first, starts, needs, rules)


def judged(
    rule: ComplianceRule | str,
    values: np.ndarray,
    year: int = 2025,
    as_of: date | None = None,
    rules: Compliance = RULES,
    years: int = 1,
) -> Assessment:
    """Hold hours against a rule of the default policy."""
    found = law(rule, rules) if isinstance(rule, str) else rule
    first, end = year_days(year - years + 1)[0], year_days(year)[1]
    days = days_of(found, values, first, end, rules)
    last = day_number(as_of) if as_of else end
    return assess(found, days, Year(year, last), rules)


def status(found: Assessment) -> str:
    """Return the status of the one series."""
    return STATUS_NAMES[int(found.status[0])]


# ---- days of PM10 that are counted
@COUNTS
@pytest.mark.parametrize(
    ("days", "level", "count", "expected"),
    [(36, 51.0, 36, "exceeded"), (35, 51.0, 35, "met"), (40, 50.4, 0, "met")],
)
def test_counting_vectors_of_pm10(days: int, level: float, count: int, expected: str) -> None:
    """36 days of 51; 35 days of 51; 40 days of 50.4 round to 50."""
    values = hours_of(2025)
    by_day(values)[:, 10 : 10 + days] = level

    found = judged("eu_2008_50.pm10_day", values)

    assert (int(found.exceedances[0]), status(found)) == (count, expected)
    assert (int(found.allowance[0]), bool(found.valid[0])) == (35, True)


@pytest.mark.parametrize(
    ("rule", "level", "expected"),
    [
        ("eu_2008_50.pm10_day", 50.49, 0),
        ("eu_2008_50.pm10_day", 50.5, 365),
        ("eu_2024_2881.pm10_day", 45.49, 0),
        ("eu_2024_2881.pm2_5_day", 25.5, 365),
        ("who_2021.pm2_5_day", 15.04, 0),
        ("who_2021.pm2_5_day", 15.05, 365),
        # CO: 10 mg/m3 are 10,000 in the canonical unit.
        ("eu_2008_50.co_8h", 10_499.0, 0),
        ("eu_2008_50.co_8h", 10_500.0, 365),
    ],
)
def test_values_are_rounded_half_up_before_they_are_compared(
    rule: str, level: float, expected: int
) -> None:
    """Strictly greater after rounding to the limit's precision."""
    assert int(judged(rule, hours_of(2025, level)).exceedances[0]) == expected


@given(st.integers(0, 4_000), st.sampled_from([1.0, 0.1]))
def test_decimals_that_are_sums_of_binary_fractions_round_like_decimals(
    tenths: int, precision: float
) -> None:
    """Law: a mean of equal hours is rounded as the hours themselves."""
    value = tenths / 20
    level = Level(50.0, precision)
    mean = np.array([sum([value] * 24) / 24])

    steps = (tenths * (50 if precision == 1.0 else 500) + 500) // 1000
    assert bool(level.exceeded(mean)[0]) == (steps > round(50 / precision))


# ---- data capture
@CAPTURE
def test_an_hour_needs_45_minutes() -> None:
    """1-h value 75 % = 45 min (2008/50 Annex VII and XI; UK SI 2007/64)."""
    means = usable(
        np.array([1.0, 2.0, 3.0]), np.array([0.75, 44 / 60, 1.0]), np.array([1, 3, 9]), RULES
    )

    assert np.isnan(means).tolist() == [False, True, True]


@pytest.mark.parametrize(("missing", "valid"), [(6, True), (7, False)])
def test_a_day_needs_18_hours(missing: int, valid: bool) -> None:  # noqa: FBT001
    """24-h mean 75 % = 18 h."""
    values = hours_of(2025, 60.0)
    by_day(values)[:, 100, :missing] = np.nan
    rule = law("eu_2008_50.pm10_day")

    found = judged(rule, values)

    assert int(found.exceedances[0]) == (365 if valid else 364)
    assert found.capture[0] == pytest.approx(1.0 if valid else 364 / 365)


@CAPTURE
@pytest.mark.parametrize(("present", "valid"), [(6, True), (5, False)])
def test_a_running_mean_needs_six_of_eight_hours(present: int, valid: bool) -> None:  # noqa: FBT001
    """8-h running mean 75 % = 6 h."""
    lenient = RULES.model_copy(update={"running_means": 0.01})
    values = hours_of(2025, NAN)
    by_day(values)[:, 100, 8 : 8 + present] = 130.0
    rule = law("eu_2008_50.o3_8h_long_term")

    days = days_of(rule, values, *year_days(2025), lenient)

    peaks = days.peaks()[0]
    assert bool(np.isfinite(peaks).any()) == valid


@CAPTURE
def test_a_running_mean_belongs_to_the_day_on_which_it_ends() -> None:
    """The first of a day is 17:00 to 01:00, the last 16:00 to 24:00."""
    rule = law("eu_2008_50.o3_8h_long_term")
    values = hours_of(2025, 10.0)
    flat = values[0]
    night = 100 * 24  # midnight before day 100
    flat[night - 7 : night + 1] = 200.0  # 17:00 of day 99 to 01:00 of day 100

    peaks = days_of(rule, values, *year_days(2025)).peaks()[0]

    assert peaks[100] == pytest.approx(200.0)
    assert peaks[99] == pytest.approx((7 * 200 + 10) / 8)  # 16:00 to 24:00


@CAPTURE
@pytest.mark.parametrize(("means", "valid"), [(18, True), (17, False)])
def test_a_highest_running_mean_needs_18_of_24(means: int, valid: bool) -> None:  # noqa: FBT001
    """Max daily 8-h mean, 18 of 24 running means valid."""
    rule = law("eu_2008_50.o3_8h_long_term")
    values = hours_of(2025, 50.0)
    # Valid until 6 of 8 are left: the mean that ends two hours into the gap is the last one.
    gap = 100 * 24 + means - 2
    values[0, gap : 101 * 24 + 8] = np.nan

    peaks = days_of(rule, values, *year_days(2025)).peaks()[0]

    assert bool(np.isfinite(peaks[100])) == valid


@CAPTURE
@pytest.mark.parametrize(
    ("summer", "winter", "valid"),
    [(0.75, 0.75, True), (1.0, 0.74, False), (0.74, 1.0, False), (0.76, 0.76, True)],
)
def test_the_annual_mean_of_ozone_needs_summer_and_winter(
    summer: float,
    winter: float,
    valid: bool,  # noqa: FBT001
) -> None:
    """75 % of hours in summer (Apr-Sep) and in winter, separately."""
    values = hours_of(2025, 60.0)
    first = year_days(2025)[0]
    months = np.array([day_of_number(first + day).month for day in range(365)])
    warm = np.repeat(np.isin(months, [4, 5, 6, 7, 8, 9]), 24)
    for season, share in ((warm, summer), (~warm, winter)):
        hours = np.flatnonzero(season)
        values[0, hours[: round(len(hours) * (1 - share))]] = np.nan

    found = judged("eu_2008_50.o3_year", values)

    assert bool(found.valid[0]) == valid
    assert status(found) == ("reported" if valid else "not_enough_data")
    assert found.value[0] == pytest.approx(60.0)


@CAPTURE
@pytest.mark.parametrize(
    ("missing", "valid"),
    [
        ({4: 3}, True),  # 27 of 30 days
        ({5: 4}, True),  # 27 of 31
        ({5: 5}, True),  # one month may fail
        ({5: 5, 6: 4}, False),  # two may not
        ({5: 5, 1: 31}, True),  # winter does not matter
    ],
)
def test_exceedances_of_ozone_need_five_of_six_summer_months(
    missing: dict[int, int],
    valid: bool,  # noqa: FBT001
) -> None:
    """90 % of daily maxima (27 days) per month, 5 of 6 summer months per year."""
    values = hours_of(2025, 60.0)
    first = year_days(2025)[0]
    for month, count in missing.items():
        begin = day_number(date(2025, month, 5)) - first
        # A missing day also costs the first means of the next; so days are taken that follow.
        by_day(values)[:, begin : begin + count] = np.nan

    assert bool(judged("eu_2008_50.o3_8h", values).valid[0]) == valid


@AOT40
def test_aot40_adds_up_what_lies_above_80_between_8_and_20() -> None:
    """2008/50/EC, Annex VII, A.1: May to July, 08:00 to 20:00."""
    values = hours_of(2025, 60.0)
    first = year_days(2025)[0]
    may, august = (day_number(date(2025, month, 1)) - first for month in (5, 8))
    by_day(values)[:, may:august, 8:20] = 90.0
    by_day(values)[:, may:august, 7] = 500.0
    by_day(values)[:, may:august, 20] = 500.0
    by_day(values)[:, may - 1] = 500.0
    by_day(values)[:, august] = 500.0

    found = judged("eu_2008_50.o3_aot40_long_term", values)

    assert found.value[0] == pytest.approx(92 * 12 * 10)
    assert status(found) == "exceeded"


@AOT40
@pytest.mark.parametrize(("lost", "valid"), [(9, True), (10, False)])
def test_aot40_is_scaled_and_needs_90_percent(lost: int, valid: bool) -> None:  # noqa: FBT001
    """AOT40 90 %; else scale measured * possible / valid hours."""
    values = hours_of(2025, 90.0)
    begin = day_number(date(2025, 6, 1)) - year_days(2025)[0]
    by_day(values)[:, begin : begin + lost] = np.nan

    found = judged("eu_2008_50.o3_aot40_long_term", values)

    assert found.capture[0] == pytest.approx((92 - lost) / 92)
    assert bool(found.valid[0]) == valid
    assert found.value[0] == pytest.approx(92 * 12 * 10)


@AOT40
def test_aot40_is_a_mean_over_five_years_of_which_three_are_needed() -> None:
    """2008/50/EC, Annex VII, B, notes 2 and 3."""
    values = hours_of(2025, 90.0, years=5)

    assert status(judged("eu_2008_50.o3_aot40", values, years=5)) == "met"
    values[0, : 2 * 365 * 24 + 24] = np.nan  # 2021, 2022
    assert judged("eu_2008_50.o3_aot40", values, years=5).years[0] == 3
    values[0, : 3 * 365 * 24] = np.nan
    found = judged("eu_2008_50.o3_aot40", values, years=5)
    assert (int(found.years[0]), status(found)) == (2, "not_enough_data")


@SHARES
@pytest.mark.parametrize(
    ("rule", "share", "valid"),
    [
        ("eu_2008_50.pm2_5_year", 0.9, True),
        ("eu_2008_50.pm2_5_year", 0.89, False),
        ("eu_2024_2881.pm2_5_year", 0.85, True),
        ("eu_2024_2881.pm2_5_year", 0.84, False),
        ("eu_2008_50.no2_hour", 0.9, True),
        ("eu_2008_50.no2_hour", 0.89, False),
    ],
)
def test_annual_values_need_their_share_of_hours(
    rule: str,
    share: float,
    valid: bool,  # noqa: FBT001
) -> None:
    """Annual mean 90 %; 2024/2881 Annex V, fixed measurements 85 %."""
    values = hours_of(2025, 5.0)
    size = values.shape[1]
    values[0, : size - int(np.ceil(size * share))] = np.nan

    found = judged(rule, values)

    assert bool(found.valid[0]) == valid
    assert status(found) == ("met" if valid else "not_enough_data")


def test_too_many_exceedances_are_too_many_however_little_was_measured() -> None:
    """36 days above cannot become fewer by measuring more."""
    values = hours_of(2025, NAN)
    by_day(values)[:, :36] = 51.0

    found = judged("eu_2008_50.pm10_day", values)

    assert status(found) == "exceeded"
    assert not found.valid[0]


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


# ---- projection
def test_the_projection_is_a_date_at_the_rate_so_far() -> None:
    """23 days of 51 in 182 days: the 36th falls on 12 October."""
    values = hours_of(2026)
    by_day(values)[:, 0:46:2] = 51.0
    values[0, 182 * 24 :] = np.nan

    found = judged("eu_2008_50.pm10_day", values, 2026, as_of=date(2026, 7, 1))

    assert int(found.exceedances[0]) == 23
    assert day_of_number(int(found.projected[0])) == date(2026, 10, 12)
    assert status(found) == "at_risk"


@pytest.mark.parametrize(
    ("above", "as_of", "expected"),
    [
        (0, date(2026, 7, 1), None),  # nothing to go by
        (12, date(2026, 2, 10), None),  # too few days (project_from_days)
        (36, date(2026, 7, 1), None),  # it is behind us
        (10, date(2026, 7, 1), date(2027, 10, 18)),  # the year is over before
        (20, date(2026, 12, 31), None),  # the year is over
    ],
)
def test_no_projection_without_ground(above: int, as_of: date, expected: date | None) -> None:
    """None with too little data, none where nothing is left to project."""
    values = hours_of(2026)
    by_day(values)[:, :above] = 51.0

    found = judged("eu_2008_50.pm10_day", values, 2026, as_of=as_of)

    day = int(found.projected[0])
    assert (None if day == NO_DAY else day_of_number(day)) == expected
    assert status(found) == ("exceeded" if above == 36 else "met")


def test_days_that_were_not_measured_do_not_dilute_the_rate() -> None:
    """Ten in 100 measured days of 182 are one in ten."""
    values = hours_of(2026, NAN)
    by_day(values)[:, 82:182] = 20.0
    by_day(values)[:, 90:100] = 51.0

    found = judged("eu_2008_50.pm10_day", values, 2026, as_of=date(2026, 7, 1))

    assert int(found.projected[0]) == day_number(date(2026, 7, 1)) + 26 * 10


def test_a_day_under_way_does_not_count() -> None:
    """What it will be in the end nobody knows."""
    values = hours_of(2026, 51.0)

    found = judged("eu_2008_50.pm10_day", values, 2026, as_of=date(2026, 1, 10))

    assert int(found.exceedances[0]) == 10


# ---- means over years, seasons, targets on the way
@OZONE
def test_the_ozone_target_is_a_mean_over_three_years() -> None:
    """O3 target 120 max daily 8 h, <= 25 days, 3-yr mean."""
    values = hours_of(2025, 60.0, years=3)
    for year, count in ((2023, 20), (2024, 25), (2025, 30)):
        begin = day_number(date(year, 7, 1)) - year_days(2023)[0]
        by_day(values)[:, begin : begin + count] = 121.0

    found = judged("eu_2008_50.o3_8h", values, years=3)
    assert (float(found.value[0]), int(found.years[0]), status(found)) == (25.0, 3, "met")
    assert int(found.allowance[0]) == 75 - 45

    by_day(values)[:, begin + 30] = 121.0
    assert status(judged("eu_2008_50.o3_8h", values, years=3)) == "exceeded"


def test_a_former_year_that_is_not_valid_does_not_enter() -> None:
    """2008/50/EC, Annex VII, B, note 3: valid data for one year are the least."""
    values = hours_of(2025, 60.0, years=3)
    values[0, : (366 + 365) * 24] = np.nan
    begin = day_number(date(2025, 7, 1)) - year_days(2023)[0]
    by_day(values)[:, begin : begin + 26] = 121.0

    found = judged("eu_2008_50.o3_8h", values, years=3)

    assert (int(found.years[0]), status(found)) == (1, "exceeded")


@WHO
def test_the_peak_season_is_the_highest_six_months_in_a_row() -> None:
    """Best 6 running months of daily max 8 h."""
    values = hours_of(2025, 40.0, years=2)
    first = year_days(2024)[0]
    begin, end = (day_number(date(2025, month, 1)) - first for month in (3, 9))
    by_day(values)[:, begin:end] = 75.0

    found = judged("who_2021.o3_peak_season", values, years=2)

    # The first mean of 1 March still holds hours of February; the highest one does not.
    assert found.value[0] == pytest.approx(75.0)
    assert (status(found), int(found.interim[0])) == ("exceeded", 1)


def test_a_peak_season_may_begin_in_the_year_before() -> None:
    """South of the equator it does."""
    values = hours_of(2025, 40.0, years=2)
    first = year_days(2024)[0]
    begin, end = (day_number(day) - first for day in (date(2024, 10, 1), date(2025, 4, 1)))
    by_day(values)[:, begin:end] = 75.0

    found = judged("who_2021.o3_peak_season", values, years=2)

    assert found.value[0] == pytest.approx(75.0, abs=0.2)


@WHO
@pytest.mark.parametrize(
    ("mean", "targets"), [(36.0, 0), (35.0, 1), (25.4, 2), (15.0, 3), (9.0, 4), (5.0, 4)]
)
def test_interim_targets_are_counted_from_the_weakest(mean: float, targets: int) -> None:
    """PM2.5 annual 35/25/15/10, then the guideline 5."""
    found = judged("who_2021.pm2_5_year", hours_of(2025, mean))

    assert int(found.interim[0]) == targets
    assert (status(found) == "met") == (mean == 5.0)


def test_a_mean_that_is_too_high_is_a_risk_until_the_year_is_over() -> None:
    """It can still fall."""
    values = hours_of(2025, 41.0)

    assert status(judged("eu_2008_50.pm10_year", values, as_of=date(2025, 7, 1))) == "at_risk"
    assert status(judged("eu_2008_50.pm10_year", values)) == "exceeded"


@NO2
def test_hours_above_are_counted_with_their_days() -> None:
    """NO2 hour 200 not > 18."""
    values = hours_of(2025, 30.0)
    by_day(values)[:, 50, 6:16] = 201.0
    by_day(values)[:, 60, 6:14] = 230.0
    rule = law("eu_2008_50.no2_hour")
    days = days_of(rule, values, *year_days(2025))

    found = judged(rule, values)
    counts = exceedances_by_day(rule, days, Year(2025, year_days(2025)[1]), RULES)[0]

    assert (int(found.exceedances[0]), status(found)) == (18, "met")
    assert {day: int(counts[day]) for day in np.flatnonzero(counts)} == {50: 10, 60: 8}
    assert found.highest[0] == 230.0


def test_nothing_measured_is_nothing_to_tell() -> None:
    """No row, rather than a row of zeros."""
    found = judged("eu_2008_50.pm10_day", hours_of(2025, NAN))

    assert not found.measured[0]


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
            values = np.full((1, 365 * per_day), 1.0)
            found = assess(rule, days_of(rule, values, first, end), Year(2025, end), RULES)
            assert STATUS_NAMES[int(found.status[0])] in {"met", "reported", "not_enough_data"}
