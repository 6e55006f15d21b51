# SPDX-License-Identifier: EUPL-1.2
"""Runs the detectors of a policy over judged batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, JudgedBatch, ReadingBatch
from lamppost.component import Detector, Rows, Stateful, restore_each, snapshot_of
from lamppost.grouping import Groups
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from processors.quality.stage import Judgement

_OWN: Final = "stage"
_EVIDENCE: Final = ("score", "expected", "band_low", "band_high")


class DetectionStage:
    """All detectors of a policy, with the evidence that amended readings need again."""

    def __init__(self, detectors: Sequence[Detector], series: SeriesTable) -> None:
        """Take the detectors in the order of the policy."""
        self._detectors = tuple(detectors)
        self._series = series
        self._last = SeriesState(**dict.fromkeys(_EVIDENCE, np.float64(np.nan)))

    def score(
        self, judgement: Judgement, in_order: npt.NDArray[np.bool_]
    ) -> tuple[JudgedBatch, JudgedBatch]:
        """Score a batch; where detectors disagree, the most unusual score stands.

        Args:
            judgement: what the quality stage said about the batch.
            in_order: False for readings no detector may see, as for the quality stage.

        Returns:
            The batch in its original order (revision 0), and the readings of earlier batches whose
            verdict changed (revision 1), with the evidence they had.
        """
        self._last.grow(len(self._series))
        amended = self._amended(judgement.amended)
        readings = judgement.readings
        where = np.flatnonzero(in_order)
        groups = Groups.by_series(readings.series[where])
        places = where[groups.order]
        rows = Rows(
            Groups(places, groups.series),
            readings.time[places],
            readings.value[places],
            judgement.first_flag[places],
        )
        evidence = self._strongest(rows)
        for name in _EVIDENCE:
            self._last[name][groups.codes] = evidence[name][groups.lasts]
        return _published(readings, places, evidence), amended

    def repeat(self, readings: JudgedBatch, known: npt.NDArray[np.bool_]) -> JudgedBatch:
        """Return revised readings with the evidence they had.

        Args:
            readings: readings of earlier batches; call this before their successors are scored.
            known: which of them are the last scored of their series; evidence of others is gone.
        """
        self._last.grow(len(self._series))
        had = {
            name: np.where(known, self._last[name][readings.series], np.nan) for name in _EVIDENCE
        }
        return replace(readings, **had)

    def snapshot(self) -> Snapshot:
        """Return the state of the stage and of every detector, as ``detector/array``."""
        return snapshot_of(self._parts())

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a state; a detector that has no part in it starts afresh."""
        restore_each(self._parts(), snapshot)

    def _parts(self) -> dict[str, Stateful]:
        return {_OWN: self._last, **{detector.name: detector for detector in self._detectors}}

    def _strongest(self, rows: Rows) -> dict[str, FloatArray]:
        best = {name: np.full(len(rows), np.nan) for name in _EVIDENCE}
        for detector in self._detectors:
            evidence = detector.score(rows)
            stronger = np.abs(evidence.score) > np.nan_to_num(np.abs(best["score"]), nan=-1.0)
            for name in _EVIDENCE:
                best[name] = np.where(stronger, getattr(evidence, name), best[name])
        return best

    def _amended(self, readings: ReadingBatch) -> JudgedBatch:
        evidence = {name: self._last[name][readings.series] for name in _EVIDENCE}
        return _published(readings, np.arange(len(readings)), evidence, revision=1)


def _published(
    readings: ReadingBatch,
    places: npt.NDArray[np.int64],
    evidence: Mapping[str, FloatArray],
    *,
    revision: int = 0,
) -> JudgedBatch:
    """Return readings with the evidence given for some places, none elsewhere."""
    columns = {name: np.full(len(readings), np.nan) for name in _EVIDENCE}
    for name, column in columns.items():
        column[places] = evidence[name]
    return JudgedBatch(
        **{name: getattr(readings, name) for name in ReadingBatch.dtypes()},
        **columns,
        revision=np.full(len(readings), revision, np.int32),
    )
