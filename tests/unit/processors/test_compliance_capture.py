# SPDX-License-Identifier: EUPL-1.2
"""How much of a year must be measured: capture as the law has it, each rule by name."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from lamppost.flags import MISSING, SUSPECT
from processors.compliance.daily import usable
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

CAPTURE = pytest.mark.vector("EU limit values", "2008/50/EC, Annexes VII and XI; UK SI 2007/64")
AOT40 = pytest.mark.vector("EU limit values", "2008/50/EC, Annex VII")
SHARES = pytest.mark.vector(
    "EU limit values", "2008/50/EC, Annex I; Directive (EU) 2024/2881, Annex V (one source)"
)
FILTERS = pytest.mark.vector(
    "EU limit values", "2008/50/EC, Annex XI; 2004/107/EC, Annexes I and IV (legislation.gov.uk)"
)


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


# ---- what a laboratory finds on filters
def sampled(every: int, value: float, hour: int = 0) -> np.ndarray:
    """Return a year with one value on every so manieth day, at one hour of it."""
    values = hours_of(2025, NAN)
    by_day(values)[:, ::every, hour] = value
    return values


@FILTERS
@pytest.mark.parametrize(
    ("rule", "every", "valid"),
    [
        # 2004/107/EC, Annex IV: fixed measurements cover 50 % (metals) or 33 % (BaP); capture 90 %.
        ("arsenic_year", 2, True),
        ("nickel_year", 3, False),
        ("benzo_a_pyrene_year", 3, True),
        ("benzo_a_pyrene_year", 4, False),
        ("lead_year", 1, True),
        ("lead_year", 2, False),
    ],
)
def test_samples_of_days_cover_their_part_of_the_year(rule: str, every: int, valid: bool) -> None:  # noqa: FBT001
    """One value makes a day measured, whatever its hours."""
    found = judged(f"eu_2008_50.{rule}", sampled(every, 0.3, hour=11))

    assert bool(found.valid[0]) == valid
    assert found.capture[0] == pytest.approx(len(range(0, 365, every)) / 365)
    assert found.value[0] == pytest.approx(0.3)


@FILTERS
@pytest.mark.parametrize(
    ("rule", "mean", "expected"),
    [
        ("eu_2008_50.arsenic_year", 6.49, "met"),
        ("eu_2008_50.arsenic_year", 6.5, "exceeded"),
        ("eu_2024_2881.cadmium_year", 5.6, "exceeded"),
        ("eu_2024_2881.nickel_year", 20.4, "met"),
        ("eu_2024_2881.benzo_a_pyrene_year", 1.4, "met"),
        ("eu_2024_2881.benzo_a_pyrene_year", 1.5, "exceeded"),
        ("eu_2024_2881.lead_year", 0.54, "met"),
        ("eu_2024_2881.lead_year", 0.56, "exceeded"),
    ],
)
def test_annual_means_of_filters_are_compared_after_rounding(
    rule: str, mean: float, expected: str
) -> None:
    """Pb 0.5, As 6, Cd 5, Ni 20, BaP 1; rounded to the precision of the limit."""
    assert status(judged(rule, sampled(1, mean))) == expected


def test_each_day_weighs_the_same_however_many_values_it_has() -> None:
    """A day with two half-day filters is one day."""
    values = sampled(2, 2.0)
    by_day(values)[:, 0, 12] = 4.0

    found = judged("eu_2008_50.arsenic_year", values)

    assert found.value[0] == pytest.approx((182 * 2.0 + 3.0) / 183)


def test_a_sample_counts_though_it_covers_little_of_its_hour() -> None:
    """A laboratory's value stands at one instant; failed ones are missing all the same."""
    mean, flag = np.array([1.0, 2.0]), np.array([SUSPECT, MISSING], np.uint8)

    kept = usable(mean, np.array([0.01, 1.0]), flag, RULES, "days")

    assert kept.tolist()[0] == 1.0
    assert np.isnan(kept[1])
