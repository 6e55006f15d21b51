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
@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        pytest.param([0, None, 2, 3, 6], [2, 9, 2, 1, 4], id="after a missing one, and a jump"),
        pytest.param([0, 3, 4], [4, 4, 1], id="the first takes the verdict of the second"),
        pytest.param([0, 2, 4], [1, 1, 1], id="two hours are not beyond the limit"),
        pytest.param([0, 1, None, None, 9], [1, 1, 9, 9, 2], id="nothing across missing ones"),
    ],
)
def test_stamps_in_hours(stamps: list[float | None], expected: list[int]) -> None:
    """Limit 2 h, strictly above; a reading without value stands for a missing stamp."""
    limits = {"default": {"suspect_s": 7200, "fail_s": 7200}}
    made: Check = build("check", "gap", limits, table("o3"))
    before = 0.0
    readings = []
    for stamp in stamps:
        before = before + 0.5 if stamp is None else stamp
        readings.append((0, NAN if stamp is None else 5.0, before * HOUR_S))

    assert made.judge(at_once(*readings)).flag.tolist() == expected


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
