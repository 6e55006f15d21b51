# SPDX-License-Identifier: EUPL-1.2
"""Runs the checks of a policy over batches and merges what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FlagArray, Int64Array, ReadingBatch
from lamppost.component import Check, Rows, Stateful, restore_each, snapshot_of
from lamppost.flags import MISSING, from_ranks
from lamppost.grouping import Groups
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import NO_TIME

from ._concern import Concern, Where
from ._merging import Amended, Merged, explained

_OWN: Final = "stage"
_ALL: Final = slice(None)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the checks say about one batch.

    Attributes:
        readings: the batch with merged flags and reasons, rows in their original order.
        amended: readings of earlier batches whose flag or reasons changed now.
        first_flag: flag of each row by what was known when it arrived, without its successors.
            What must not depend on where batches are cut builds on this one.
    """

    readings: ReadingBatch
    amended: ReadingBatch
    first_flag: FlagArray


class QualityStage:
    """All checks of a policy, in its order, with the memory that amendments need."""

    def __init__(self, checks: Sequence[Check], series: SeriesTable) -> None:
        """Take the checks in the order of the policy."""
        self._checks = tuple(checks)
        self._series = series
        self._concern = Concern(self._checks, series)
        self._last = SeriesState(
            time=np.int64(NO_TIME),
            received=np.int64(0),
            value=np.float64(np.nan),
            flag=np.uint8(MISSING),
            reasons=np.uint32(0),
        )

    def judge(self, batch: ReadingBatch, in_order: npt.NDArray[np.bool_]) -> Judgement:
        """Judge a batch.

        Args:
            batch: readings in order of arrival, with what is already known about them.
            in_order: False for readings not newer than one their series already has; checks that
                compare neighbours do not see those.
        """
        self._last.grow(len(self._series))
        groups = Groups.by_series(batch.series)
        order = groups.order
        merged, amended = Merged(batch.flag[order], batch.reasons[order]), Amended(self._last)
        rows = Rows(groups, batch.time[order], batch.value[order], merged.first_flag(_ALL))
        sequence, places = _sequence(rows, in_order[order])
        all_parts = self._concern.parts(rows, _ALL)
        in_sequence = all_parts if sequence is rows else self._concern.parts(sequence, places)
        for number, check in enumerate(self._checks):
            picked = (in_sequence if check.sequential else all_parts).of(number)
            if picked is None:
                continue
            chosen, where = picked
            verdict = check.judge(replace(chosen, flag=merged.first_flag(where)))
            merged.take_in(verdict, where)
            amended.take_in(verdict)
        changed = amended.readings()
        self._remember(sequence, places, batch.received[order], merged)
        return _judgement(batch, rows, merged, changed)

    def snapshot(self) -> Snapshot:
        """Return the state of the stage and of every check, as ``check/array``."""
        return snapshot_of(self._parts())

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a state; a check that has no part in it starts afresh."""
        restore_each(self._parts(), snapshot)

    def _parts(self) -> dict[str, Stateful]:
        return {_OWN: self._last, **{check.name: check for check in self._checks}}

    def _remember(self, sequence: Rows, where: Where, received: Int64Array, merged: Merged) -> None:
        """Keep the newest reading of each series, unfinished, so that it can be amended."""
        groups = sequence.groups
        lasts = _ALL if groups.once else groups.lasts
        columns: dict[str, npt.NDArray[Any]] = {
            "time": sequence.time[lasts],
            "received": received[where][lasts],
            "value": sequence.value[lasts],
            "flag": from_ranks(merged.rank[where][lasts]),
            "reasons": merged.reasons[where][lasts],
        }
        for name, column in columns.items():
            self._last[name][groups.places] = column


def _judgement(batch: ReadingBatch, rows: Rows, merged: Merged, amended: ReadingBatch) -> Judgement:
    """Return the verdicts as they are published, in the order of the batch."""
    order = rows.groups.order
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    flag, reasons = explained(merged.rank, merged.reasons, rows.missing)
    first_flag, _ = explained(merged.first_rank, merged.reasons, rows.missing)
    readings = replace(batch, flag=flag[back], reasons=reasons[back])
    return Judgement(readings, amended, first_flag[back])


def _sequence(rows: Rows, in_order: npt.NDArray[np.bool_]) -> tuple[Rows, Where]:
    """Return the rows that arrived in order, and where they stand among all."""
    if in_order.all():
        return rows, _ALL
    where = np.flatnonzero(in_order)
    return rows.take(where), where
