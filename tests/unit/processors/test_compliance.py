# SPDX-License-Identifier: EUPL-1.2
"""Years against limits: counting as the law has it, dates, means over years, conditions."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.units import conversion
from processors.compliance.assessment import (
    NO_DAY,
    Year,
    exceedances_by_day,
)
from processors.compliance.daily import Level
from processors.compliance.reckoning import day_number, day_of_number, year_days
from tests.unit.processors.limit_years import (
    NAN,
    RULES,
    by_day,
    days_of,
    hours_of,
    judged,
    law,
    status,
)

COUNTS = pytest.mark.vector(
    "EU limit values",
    "2008/50/EC, Annex XI: PM10 50 µg/m³ not more than 35 days (rounding not verified)",
)
OZONE = pytest.mark.vector(
    "EU limit values",
    "2008/50/EC, Annex VII: 120 µg/m³ not more than 25 days, mean over three years",
)
WHO = pytest.mark.vector("WHO guidelines", "WHO global air quality guidelines 2021 (airclim.org)")
NO2 = pytest.mark.vector(
    "EU limit values", "2008/50/EC, Annex XI: NO2 200 µg/m³ not more than 18 hours"
)
CONDITIONS = pytest.mark.vector(
    "EU limit values", "2008/50/EC, Annex VI: gases at 293 K and 101.3 kPa; decree 98-360"
)


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


# ---- temperature at which gases are weighed
@CONDITIONS
@pytest.mark.parametrize(
    ("rule", "level", "count"),
    [
        # 200 at 20 °C is 196.645 at 25 °C: 1.8804 for 1.9125 ug/m3 per ppb.
        ("eu_2008_50.no2_hour", 196.9, 0),
        ("eu_2008_50.no2_hour", 197.2, 24),
        ("eu_2008_50.so2_hour", 344.9, 24),
        ("eu_2024_2881.no2_day", 49.7, 1),
        ("who_2021.no2_hour", 197.2, 24),
        # Particles are weighed in the air as it is.
        ("eu_2024_2881.pm10_day", 45.4, 0),
        ("eu_2024_2881.pm10_day", 45.5, 1),
    ],
)
def test_gases_kept_at_25_degrees_are_brought_to_the_conditions_of_the_limit(
    rule: str, level: float, count: int
) -> None:
    """EU limits are written for 20 °C."""
    values = hours_of(2025)
    by_day(values)[:, 10] = level

    found = judged(rule, values, rules=RULES.measured_at("us_25c"))

    assert int(found.exceedances[0]) == count


@pytest.mark.parametrize("averaging", ["year", "aot40", "max_daily_8h", "peak_season"])
def test_what_is_measured_at_25_degrees_leads_to_the_same_figures(averaging: str) -> None:
    """The same parts per billion say the same of a limit, wherever they were weighed."""
    rule = next(
        rule
        for chosen in RULES.sets.values()
        for rule in chosen.rules.values()
        if (rule.quantity, rule.averaging) == ("o3", averaging) and rule.years in {1, 3}
    )
    ppb = np.random.default_rng(7).uniform(20.0, 90.0, (1, 731 * 24))
    eu, us = (conversion("o3", "ppb", at).scale for at in ("eu_20c", "us_25c"))

    at_20 = judged(rule, ppb * eu, 2025, years=2)
    at_25 = judged(rule.measured_at("us_25c"), ppb * us, 2025, years=2)

    assert at_25.value == pytest.approx(at_20.value, rel=1e-9)
    assert (at_25.exceedances, at_25.status) == (at_20.exceedances, at_20.status)


def test_a_rule_may_be_written_for_25_degrees() -> None:
    """What a guideline is written for is the policy's; a city that keeps 25 °C changes nothing."""
    rule = law("who_2021.no2_hour").model_copy(update={"gas_conditions": "us_25c"})
    values = hours_of(2025)
    by_day(values)[:, 10] = 200.6

    kept_alike = judged(rule.measured_at("us_25c"), values)
    brought = judged(rule, values)

    assert (int(kept_alike.exceedances[0]), int(brought.exceedances[0])) == (24, 0)
    assert rule.measured_at("us_25c").measured_conditions == ""
    assert rule.measured_conditions == "20 °C and 101.325 kPa (EU)"
