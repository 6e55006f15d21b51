# SPDX-License-Identifier: EUPL-1.2
"""Rate of change against the vector of ioos_qc."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from processors.quality.rate_of_change import RateOfChange
from tests.processor_cases import NAN, build, flags, rows, table

IOOS = pytest.mark.vector("QARTOD", "ioos/ioos_qc tests/test_qartod.py, rate_of_change_test")

QUARTER_HOUR_S = 900
OF_OZONE = {"quantities": {"o3": {"suspect_per_s": 1}}}


@IOOS
def test_the_vector_of_ioos_qc_is_reproduced() -> None:
    """First and after a gap are good, strictly above is suspect (rate_of_change_test)."""
    settings = {"quantities": {"pm2_5": {"suspect_per_s": 5 / QUARTER_HOUR_S}}}
    check = build("check", "rate_of_change", settings, table("pm2_5"))

    found = flags(check, [2, 10, 2, 3, NAN, NAN, 7, 10], QUARTER_HOUR_S)

    assert found == [1, 3, 3, 1, 9, 9, 1, 1]


def test_a_long_gap_is_not_evaluated() -> None:
    """Beyond max_gap_s a change says nothing about its speed."""
    settings = {"default": {"suspect_per_s": 0.001, "max_gap_s": 60}}

    check = build("check", "rate_of_change", settings, table("pm2_5"))

    assert flags(check, [1, 500], 61) == [1, 2]


def test_a_quantity_without_limits_is_not_evaluated() -> None:
    """Only what the policy names is judged."""
    assert flags(build("check", "rate_of_change", OF_OZONE, table("pm2_5")), [1, NAN]) == [2, 9]


def test_thirds_are_told_as_what_they_stand_for() -> None:
    """The WMO's 2 hPa a minute, written per second with six digits."""
    settings = RateOfChange.Settings.model_validate(
        {"quantities": {"pressure": {"suspect_per_s": 0.0333333}}}
    )
    assert "more than 2 hPa a minute" in RateOfChange.describe(settings)


def test_the_step_down_from_a_value_that_has_failed_is_no_change() -> None:
    """As after a missing one."""
    settings = {"quantities": {"pm2_5": {"suspect_per_s": 1}}}
    check = build("check", "rate_of_change", settings, table("pm2_5"))
    told = replace(rows([10, 6_000, 11, 500]), flag=np.array([1, 4, 1, 1], np.uint8))

    assert check.judge(told).flag.tolist() == [1, 1, 1, 3]
