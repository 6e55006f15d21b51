# SPDX-License-Identifier: EUPL-1.2
"""Channel agreement: the A/B rule, and pairs that arrive apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lamppost.component import Check, Rows, Verdict
from lamppost.series import SeriesKey, SeriesTable
from processors.quality.channel_agreement import CHANNEL_AGREEMENT
from tests.processor_cases import NAN, build, table
from tests.quality_cases import at_once

AB = pytest.mark.vector("channels", "AMT 14:4617; USEPA/sensortoolkit _purpleair_abcleaning.py")

A, B = (SeriesKey("aq-1", "pm2_5", f"channel={name}") for name in "ab")


def check(**settings: Any) -> Check:
    """Build the check for PM2.5 of two channels."""
    made: Check = build(
        "check",
        "channel_agreement",
        {"quantities": {"pm2_5": {}}, **settings},
        SeriesTable([A, B, SeriesKey("aq-2", "pm2_5", "channel=b")]),
    )
    return made


def judge(made: Check, *readings: tuple[int, float, int]) -> Verdict:
    """Judge readings given as series, value and seconds."""
    return made.judge(at_once(*readings))


@AB
@pytest.mark.parametrize(
    ("a", "b", "flag"),
    [
        pytest.param(20, 10, 1, id="difference 10, 66.7 %"),
        pytest.param(30, 10, 3, id="difference 20, 100 %"),
        pytest.param(4, 1, 1, id="difference 3, 120 %"),
    ],
)
def test_a_pair_is_bad_only_beyond_both_limits(a: float, b: float, flag: int) -> None:
    """A/B vectors computed from the rule of AMT 14:4617 (sensortoolkit _purpleair_abcleaning)."""
    verdict = judge(check(), (0, a, 0), (1, b, 0))

    assert verdict.flag.tolist() == [flag, flag]
    assert verdict.reasons.tolist() == [CHANNEL_AGREEMENT.mask * (flag == 3)] * 2


def test_a_partner_that_came_earlier_is_amended() -> None:
    """The first channel waits for the second, in whatever batch it comes."""
    made = check()
    assert judge(made, (0, 30, 0)).flag.tolist() == [2]

    verdict = judge(made, (1, 10, 0))

    assert verdict.flag.tolist() == [3]
    assert verdict.amended_series.tolist() == [0]
    assert verdict.amended_flag.tolist() == [3]


def test_readings_of_other_instants_sensors_and_failures_are_no_pair() -> None:
    """What cannot be compared is not evaluated."""
    assert judge(check(), (0, 30, 0), (1, 10, 60)).flag.tolist() == [2, 2]
    assert judge(check(within_s=60), (0, 30, 0), (1, 10, 60)).flag.tolist() == [3, 3]
    assert judge(check(), (0, 30, 0), (2, 10, 0)).flag.tolist() == [2, 2]
    assert judge(check(), (0, 30, 0), (1, NAN, 0)).flag.tolist() == [2, 9]
    rows = at_once((0, 30, 0), (1, 10, 0))
    failed = Rows(rows.groups, rows.time, rows.value, np.array([4, 1], np.uint8))
    assert check().judge(failed).flag.tolist() == [2, 2]


def test_a_quantity_without_channels_is_not_judged() -> None:
    """A plain series has no partner."""
    made = build("check", "channel_agreement", {"quantities": {"pm2_5": {}}}, table("pm2_5"))

    assert judge(made, (0, 30, 0)).flag.tolist() == [2]
