# SPDX-License-Identifier: EUPL-1.2
"""Gap against the vector of ioos_qc."""

from __future__ import annotations

import pytest

from lamppost.component import Check
from processors.quality.gap import GAP
from tests.processor_cases import NAN, build, table
from tests.quality_cases import at_once

IOOS = pytest.mark.vector("QARTOD", "ioos/ioos_qc tests/test_qartod.py, time_gap_test")

HOUR_S = 3_600


def check() -> Check:
    """Build the check with two hours, as QARTOD's time gap test."""
    made: Check = build(
        "check", "gap", {"default": {"suspect_s": 600, "fail_s": 7200}}, table("o3")
    )
    return made


@IOOS
def test_the_reading_after_a_jump_fails_and_the_one_after_a_missing_is_not_evaluated() -> None:
    """Stamps in hours [0,NaT,2,3,6] give [2,9,2,1,4] (ioos_qc time_gap_test)."""
    hours = ((0, 5, 0), (0, NAN, 0.5 * HOUR_S), (0, 5, 2 * HOUR_S), (0, 5, 3 * HOUR_S))
    made: Check = build(
        "check", "gap", {"default": {"suspect_s": 7200, "fail_s": 7200}}, table("o3")
    )

    assert made.judge(at_once(*hours, (0, 5, 6 * HOUR_S))).flag.tolist() == [2, 9, 2, 1, 4]


def test_the_first_reading_takes_the_verdict_of_the_second() -> None:
    """Within a batch at once, across batches as an amendment."""
    assert check().judge(at_once((0, 1, 0), (0, 1, 601), (0, 1, 602))).flag.tolist() == [3, 3, 1]
    made = check()
    assert made.judge(at_once((0, 1, 0))).flag.tolist() == [2]

    verdict = made.judge(at_once((0, 1, 601)))

    assert verdict.flag.tolist() == [3]
    assert verdict.reasons.tolist() == [GAP.mask]
    assert (verdict.amended_series.tolist(), verdict.amended_flag.tolist()) == ([0], [3])
    assert len(made.judge(at_once((0, 1, 700))).amended_series) == 0


def test_a_silence_of_exactly_the_limit_is_no_gap() -> None:
    """Strictly above, as in ioos_qc."""
    assert check().judge(at_once((0, 1, 0), (0, 1, 600))).flag.tolist() == [1, 1]
