# SPDX-License-Identifier: EUPL-1.2
"""The derivation stage: verdicts that change, numbers that are replaced, what is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lamppost.batch import DERIVED, REDERIVED, ReadingBatch
from lamppost.flags import CORRECTION, FAIL, GOOD, INPUT_UNUSABLE, MISSING, SUSPECT
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from processors.derivation import DerivationStage
from processors.quality.stage import Judgement
from tests.processor_cases import build, readings, table


def stage() -> DerivationStage:
    """Build a stage that corrects PM2.5 by the formula 0.5 x - 0.66."""
    series = table("pm2_5_cf1", "humidity")
    return DerivationStage([build("derivation", "lrapa", {}, series, {})], series)


def judgement(
    batch: ReadingBatch, *, amended: ReadingBatch | None = None, first: list[int] | None = None
) -> Judgement:
    """Return readings with flags, perhaps others at first sight, and perhaps an amendment."""
    seen = batch.flag if first is None else np.array(first, np.uint8)
    return Judgement(batch, ReadingBatch.empty() if amended is None else amended, seen)


def test_raw_readings_go_on_with_the_derived_behind_them() -> None:
    """Detectors and windows see both."""
    said = judgement(readings([10.0, 20.0], flag=1))

    derived = stage().derive(said)
    beside = derived.beside(said)

    np.testing.assert_allclose(beside.readings.value, [10, 20, 4.34, 9.34])
    assert beside.readings.series.tolist() == [0, 0, 2, 2]
    assert beside.first_flag.tolist() == [1, 1, 1, 1]
    assert derived.in_order.all()


def test_what_failed_is_missing_with_the_reason_why() -> None:
    """A number nobody believes is not made into one that looks believable."""
    batch = replace(readings([10.0, 5000.0], flag=1), flag=np.uint8([GOOD, FAIL]))
    batch = replace(batch, reasons=np.uint32([0, 1 << 8]))

    last = stage().derive(judgement(batch)).last

    assert last.flag.tolist() == [GOOD, MISSING]
    assert np.isnan(last.value).tolist() == [False, True]
    assert last.reasons[1] == 1 << 8 | INPUT_UNUSABLE.mask


def test_a_verdict_that_changes_later_changes_what_was_derived() -> None:
    """The value stays, the flag follows; a newer reading is derived beside it."""
    derivations = stage()
    derivations.derive(judgement(readings([10.0], flag=1)))
    changed = replace(readings([10.0], flag=SUSPECT), reasons=np.uint32([1 << 10]))

    derived = derivations.derive(judgement(readings([12.0], flag=1, start=1), amended=changed))

    assert len(derived.last) == 1
    assert derived.revised.revision.tolist() == [REDERIVED]
    assert derived.revised.flag.tolist() == [SUSPECT]
    np.testing.assert_allclose(derived.revised.value, [4.34])
    assert derived.newest.tolist() == [True]


def test_within_a_batch_detectors_see_the_first_sight_and_sinks_the_last() -> None:
    """A verdict its successor in the same batch has changed is published once, as it ended."""
    batch = replace(readings([10.0, 60.0, 10.0], flag=1), flag=np.uint8([1, SUSPECT, 1]))
    batch = replace(batch, reasons=np.uint32([0, 1 << 10, 0]))

    derived = stage().derive(judgement(batch, first=[1, 1, 1]))

    assert derived.first.flag.tolist() == [1, 1, 1]
    assert derived.last.flag.tolist() == [1, SUSPECT, 1]
    assert derived.last.revision.tolist() == [DERIVED] * 3
    assert len(derived.revised) == 0


def test_a_corrected_number_is_derived_anew() -> None:
    """What the device sends in place of a number replaces what followed from that."""
    derivations = stage()
    derivations.derive(judgement(readings([10.0, 11.0], flag=1)))
    again = replace(readings([20.0], flag=1), reasons=np.uint32([CORRECTION.mask]))

    derived = derivations.derive(judgement(again))

    assert len(derived.last) == 0
    np.testing.assert_allclose(derived.revised.value, [9.34])
    assert derived.revised.revision.tolist() == [REDERIVED]
    assert derived.revised.reasons.tolist() == [0]
    assert derived.newest.tolist() == [False]


def test_an_instant_derived_of_two_readings_keeps_the_standing_of_the_first() -> None:
    """A flow replaces what was missing, a count of the same instant follows: that is a revision."""
    series = SeriesTable(SeriesKey("aq-1", name, "lane=1") for name in ("flow", "vehicle_count"))
    road = Station(sensor="aq-1", kind="traffic", latitude=48, longitude=8, period_s=60)
    derivation = build("derivation", "headway_from_flow", {}, series, {"aq-1": road})
    both = replace(readings([600.0, 5.0], flag=1), series=np.int32([0, 1]))
    both = replace(both, time=both.time[[0, 0]], reasons=np.uint32([CORRECTION.mask, 0]))

    derived = DerivationStage([derivation], series).derive(judgement(both))

    assert len(derived.last) == 0
    assert derived.revised.revision.tolist() == [REDERIVED]
