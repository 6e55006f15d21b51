# SPDX-License-Identifier: EUPL-1.2
"""Climatology: bounds by season, and a calendar that agrees with the standard library's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.component import Check, Rows
from lamppost.errors import ConfigError
from lamppost.grouping import Groups
from lamppost.times import SECOND_NS
from processors.quality.climatology import CLIMATOLOGY, calendar_part
from tests.processor_cases import NAN, build, table

IOOS = pytest.mark.vector("QARTOD", "ioos/ioos_qc qartod.py, climatology_test")

WINTER = {"period": "month", "span": [1, 2], "suspect_span": [-10, 15], "fail_span": [-30, 25]}
SUMMER = {"period": "month", "span": [6, 8], "suspect_span": [5, 35]}


def check(*seasons: dict[str, Any]) -> Check:
    """Build the check for temperature."""
    settings = {"quantities": {"temperature": seasons}}
    made: Check = build("check", "climatology", settings, table("temperature"))
    return made


def judge(made: Check, month: int, values: list[float]) -> list[int]:
    """Return the flags of values measured in a month of 2026."""
    instant = int(datetime(2026, month, 5, tzinfo=UTC).timestamp()) * SECOND_NS
    groups = Groups.by_series(np.zeros(len(values), np.int32))
    time = instant + np.arange(len(values)) * SECOND_NS
    verdict = made.judge(Rows(groups, time, np.array(values), np.ones(len(values), np.uint8)))
    assert ((verdict.reasons == CLIMATOLOGY.mask) == np.isin(verdict.flag, [3, 4])).all()
    return verdict.flag.tolist()


@IOOS
def test_bounds_belong_to_their_span_and_other_months_are_not_evaluated() -> None:
    """Outside the suspect span 3, outside the fail span 4, no matching member 2 (ioos_qc)."""
    made = check(WINTER, SUMMER)

    assert judge(made, 1, [-30.1, -30, -10, 0, 15, 15.1, 25.1, NAN]) == [4, 3, 1, 1, 1, 3, 4, 9]
    assert judge(made, 7, [-100, 20]) == [3, 1]
    assert judge(made, 4, [20]) == [2]


@IOOS
def test_the_later_of_two_seasons_decides() -> None:
    """Members are applied in order, and each flags what lies in it (ioos_qc)."""
    heat = {**WINTER, "suspect_span": [-10, 18]}

    assert judge(check(WINTER, heat), 1, [17]) == [1]
    assert judge(check(heat, WINTER), 1, [17]) == [3]


@given(st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1)))  # noqa: DTZ001 - made UTC below
def test_the_calendar_is_that_of_the_standard_library(moment: datetime) -> None:
    """Weeks of ISO 8601, leap years and all."""
    moment = moment.replace(tzinfo=UTC, microsecond=0)
    time = np.array([(moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)])
    parts = {
        "year": moment.year,
        "quarter": (moment.month + 2) // 3,
        "month": moment.month,
        "week": moment.isocalendar().week,
        "day_of_year": moment.timetuple().tm_yday,
        "day_of_week": moment.weekday(),
        "hour": moment.hour,
    }

    for period, expected in parts.items():
        assert calendar_part(time * SECOND_NS, period).tolist() == [expected]


def test_a_span_that_runs_backwards_is_refused() -> None:
    """Winter over New Year is two seasons."""
    with pytest.raises(ConfigError, match="low to high"):
        check({**WINTER, "span": [12, 2]})
