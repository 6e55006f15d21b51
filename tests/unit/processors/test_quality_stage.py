# SPDX-License-Identifier: EUPL-1.2
"""The quality stage: merging, order of arrival, amendments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lamppost.batch import ReadingBatch
from lamppost.flags import MISSING, MISSING_VALUE, NO_CHECK, OUT_OF_ORDER
from processors.quality.gross_range import GROSS_RANGE
from processors.quality.spike import SPIKE
from processors.quality.stage import QualityStage
from processors.quality.traffic_plausibility import NO_VEHICLE
from tests.processor_cases import NAN, build, readings, table

CHECKS: dict[str, Any] = {
    "gross_range": {"default": {"fail_span": [0, 100], "suspect_span": [0, 80]}},
    "spike": {"default": {"suspect": 20, "fail": 40}},
}


def stage(*names: str) -> QualityStage:
    """Build a stage of some checks."""
    series = table("pm2_5")
    return QualityStage([build("check", name, CHECKS[name], series) for name in names], series)


def test_verdicts_merge_by_precedence_and_reasons_add_up() -> None:
    """The worst flag stands, with the reasons of every check."""
    found = stage("gross_range", "spike").judge(readings([1, 90, 1, 1]), np.ones(4, bool)).readings

    assert found.flag.tolist() == [1, 4, 4, 1]
    assert found.reasons.tolist() == [0, GROSS_RANGE.mask | SPIKE.mask, SPIKE.mask, 0]


def test_an_amendment_is_published_when_the_verdict_changes() -> None:
    """The amended reading keeps its time and value, with merged flag and reasons."""
    quality = stage("gross_range", "spike")
    first = quality.judge(readings([1, 1, 60]), np.ones(3, bool))
    assert first.readings.flag.tolist() == [1, 3, 1]

    amended = quality.judge(readings([1], start=3), np.ones(1, bool)).amended

    assert (amended.value.tolist(), amended.flag.tolist()) == ([60.0], [4])
    assert amended.time.tolist() == readings([60], start=2).time.tolist()
    assert amended.reasons.tolist() == [SPIKE.mask]


def test_nothing_is_amended_when_nothing_changes() -> None:
    """A good reading that stays good is not published again."""
    quality = stage("gross_range", "spike")
    quality.judge(readings([1, 1]), np.ones(2, bool))

    assert len(quality.judge(readings([1], start=2), np.ones(1, bool)).amended) == 0


def test_a_pending_reading_without_other_checks_is_explained_until_amended() -> None:
    """Not evaluated comes with a reason; once judged good, the reason is gone."""
    quality = stage("spike")
    quality.judge(readings([1]), np.ones(1, bool))
    pending = quality.judge(readings([1], start=1), np.ones(1, bool)).readings
    assert (pending.flag.tolist(), pending.reasons.tolist()) == ([2], [NO_CHECK.mask])

    amended = quality.judge(readings([1], start=2), np.ones(1, bool)).amended

    assert (amended.flag.tolist(), amended.reasons.tolist()) == ([1], [0])


def test_late_readings_are_kept_from_sequential_checks() -> None:
    """They get the range test only and do not disturb the sequence."""
    batch = readings([1, 1, 90, 1])
    late = replace(batch, reasons=np.array([0, 0, OUT_OF_ORDER.mask, 0], np.uint32))
    in_order = np.array([True, True, False, True])

    found = stage("gross_range", "spike").judge(late, in_order).readings

    assert found.flag.tolist() == [1, 1, 3, 1]
    assert found.reasons[2] == OUT_OF_ORDER.mask | GROSS_RANGE.mask


def test_without_checks_nothing_is_evaluated_and_that_is_said() -> None:
    """A present value has no verdict, an absent one is missing."""
    found = stage().judge(readings([1, NAN]), np.ones(2, bool)).readings

    assert found.flag.tolist() == [2, 9]
    assert found.reasons.tolist() == [NO_CHECK.mask, MISSING_VALUE.mask]


def test_an_absent_value_is_missing_even_when_its_time_is_suspect() -> None:
    """Nothing may average it."""
    batch = readings([NAN], flag=3)

    assert stage("gross_range").judge(batch, np.ones(1, bool)).readings.flag.tolist() == [9]


def test_the_first_flag_leaves_out_what_only_successors_show() -> None:
    """What must not depend on the cut of batches builds on it."""
    judgement = stage("gross_range", "spike").judge(readings([1, 60, 1]), np.ones(3, bool))

    assert judgement.readings.flag.tolist() == [1, 4, 1]
    assert judgement.first_flag.tolist() == [1, 1, 1]


def roads() -> QualityStage:
    """Build a stage that fails speeds below 10, for one detector."""
    series = table("speed", "vehicle_count")
    limits = {"quantities": {"speed": {"fail_span": [10, 200]}}}
    checks = {"traffic_plausibility": {}, "gross_range": limits}
    return QualityStage([build("check", name, own, series) for name, own in checks.items()], series)


def counted(number: float) -> ReadingBatch:
    """Return the count of the first minute."""
    return replace(readings([number]), series=np.ones(1, np.int32))


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "one at a time"])
def test_a_number_that_is_no_measurement_is_missing_whatever_else_is_wrong_with_it(
    *, together: bool
) -> None:
    """It is taken for no number at all, and no later verdict changes that."""
    made, batches = roads(), [readings([0]), counted(0)]
    if together:
        batches = [ReadingBatch.concat(batches)]

    last = [made.judge(batch, np.ones(len(batch), bool)) for batch in batches][-1]

    found = last.readings if together else last.amended
    reasons = NO_VEHICLE.mask | GROSS_RANGE.mask | MISSING_VALUE.mask
    assert (found.flag[0], found.reasons[0], found.value[0]) == (MISSING, reasons, 0)
    again = made.judge(counted(0), np.ones(1, bool))
    assert len(again.amended) == 0


def test_a_restored_stage_amends_what_the_former_one_judged() -> None:
    """The last reading of each series is part of the snapshot."""
    former = stage("gross_range", "spike")
    former.judge(readings([1, 1, 60]), np.ones(3, bool))
    restored = stage("gross_range", "spike")
    restored.restore(former.snapshot())

    amended = restored.judge(readings([1], start=3), np.ones(1, bool)).amended

    assert amended.flag.tolist() == [4]
    assert "spike/last" in former.snapshot()
