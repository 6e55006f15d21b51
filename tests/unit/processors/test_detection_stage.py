# SPDX-License-Identifier: EUPL-1.2
"""The detection stage: order of arrival, amendments, evidence that survives them."""

from __future__ import annotations

import numpy as np

from lamppost.batch import ReadingBatch
from processors.detection.stage import DetectionStage
from processors.quality.stage import Judgement
from tests.processor_cases import build, readings, table

SETTINGS = {"default": {"warm_up": 5, "noise": 1}}


def stage() -> DetectionStage:
    """Build a stage of one detector."""
    series = table("pm2_5")
    return DetectionStage([build("detector", "robust_baseline", SETTINGS, series)], series)


def judgement(
    values: list[float], start: int = 0, amended: ReadingBatch | None = None
) -> Judgement:
    """Return good readings and perhaps an amendment."""
    batch = readings(values, flag=1, start=start)
    return Judgement(batch, ReadingBatch.empty() if amended is None else amended, batch.flag)


def test_only_readings_in_order_are_scored() -> None:
    """Late ones get no evidence and teach nothing."""
    in_order = np.array([True] * 6 + [False, True])

    judged, amended = stage().score(judgement([10.0] * 6 + [500.0, 12.0]), in_order)

    assert np.isnan(judged.score[6])
    assert judged.score[7] == 2
    assert judged.expected[7] == 10
    assert (judged.revision == 0).all()
    assert len(amended) == 0


def test_an_amended_reading_keeps_its_evidence() -> None:
    """A new verdict on the flag does not wipe out the score."""
    detection = stage()
    detection.score(judgement([10.0] * 6 + [14.0]), np.ones(7, bool))
    late_verdict = readings([14.0], flag=4, start=6)

    _, amended = detection.score(judgement([10.0], 7, late_verdict), np.ones(1, bool))

    assert (amended.score[0], amended.expected[0], amended.revision[0]) == (4, 10, 1)
    assert amended.flag.tolist() == [4]


def test_without_detectors_everything_stays_unscored() -> None:
    """A policy may leave detection out."""
    judged, _ = DetectionStage([], table("pm2_5")).score(judgement([1.0, 2.0]), np.ones(2, bool))

    assert np.isnan(judged.score).all()


def test_a_restored_stage_remembers_evidence_and_baselines() -> None:
    """Snapshot parts are named detector/array."""
    former = stage()
    former.score(judgement([10.0] * 6), np.ones(6, bool))
    restored = stage()
    restored.restore(former.snapshot())

    judged, _ = restored.score(judgement([13.0], 6), np.ones(1, bool))

    assert judged.score.tolist() == [3]
    assert "robust_baseline/level" in former.snapshot()
