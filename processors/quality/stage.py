# SPDX-License-Identifier: EUPL-1.2
"""Runs the checks of a policy over batches and merges what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FlagArray, Int64Array, ReadingBatch
from lamppost.component import Check, Rows, Stateful, restore_each, snapshot_of
from lamppost.details import Detail
from lamppost.device_codes import FindsCodes
from lamppost.flags import MISSING, MISSING_VALUE, Reason
from lamppost.grouping import Groups
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import NO_TIME
from lamppost.wording import unit_of

from ._concern import Concern, Where
from ._merging import Amended, Merged, explained, flags_of

_OWN: Final = "stage"
_ALL: Final = slice(None)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the checks say about one batch.

    Attributes:
        readings: the batch with merged flags and reasons, rows in their original order. A number
            that is no measurement stands there still, and is missing by its flag.
        amended: readings of earlier batches whose flag or reasons changed now.
        first_flag: flag of each row by what was known when it arrived, without its successors.
            What must not depend on where batches are cut builds on this one.
        details: the numbers behind some of the reasons.
    """

    readings: ReadingBatch
    amended: ReadingBatch
    first_flag: FlagArray
    details: list[Detail] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class WithoutCodes:
    """A batch in which the codes of devices have become missing values.

    Attributes:
        readings: the batch.
        details: what the codes were, by row.
    """

    readings: ReadingBatch
    details: Mapping[int, Detail]

    def of_rows(self, kept: Int64Array) -> list[Detail]:
        """Return the details of some rows."""
        if not self.details:
            return []
        return [self.details[row] for row in kept.tolist() if row in self.details]


class QualityStage:
    """All checks of a policy, in its order, with the memory that amendments need."""

    def __init__(self, checks: Sequence[Check], series: SeriesTable) -> None:
        """Take the checks in the order of the policy."""
        self._checks = tuple(checks)
        self._series = series
        self._of_codes = tuple(check for check in checks if isinstance(check, FindsCodes))
        self._concern = Concern(self._checks, series)
        self._last = SeriesState(
            time=np.int64(NO_TIME),
            received=np.int64(0),
            value=np.float64(np.nan),
            flag=np.uint8(MISSING),
            reasons=np.uint32(0),
        )

    def without_codes(self, batch: ReadingBatch) -> WithoutCodes:
        """Take numbers that stand for no measurement out of a batch that has just arrived."""
        value, flag, reasons = batch.value, batch.flag, batch.reasons
        details: dict[int, Detail] = {}
        for check in self._of_codes:
            rows = check.codes(batch.series, value)
            if not len(rows):
                continue
            reason = check.reasons[0]
            details |= self._came_as(batch, rows, reason)
            value, flag, reasons = value.copy(), flag.copy(), reasons.copy()
            value[rows], flag[rows] = np.nan, MISSING
            reasons[rows] |= reason.mask | MISSING_VALUE.mask
        if not details:
            return WithoutCodes(batch, details)
        return WithoutCodes(replace(batch, value=value, flag=flag, reasons=reasons), details)

    def _came_as(self, batch: ReadingBatch, rows: Int64Array, reason: Reason) -> dict[int, Detail]:
        found = {}
        for row in rows.tolist():
            code = int(batch.series[row])
            unit = unit_of(self._series[code].quantity)
            text = f"It came as {f'{batch.value[row]:.10g} {unit}'.rstrip()}."
            found[row] = Detail(code, int(batch.time[row]), reason.bit, text)
        return found

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
        value, amended = batch.value[order], Amended(self._last)
        merged = Merged(batch.flag[order], batch.reasons[order], np.isnan(value))
        details: list[Detail] = []
        rows = Rows(groups, batch.time[order], value, merged.first_flag(_ALL))
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
            details += verdict.details
        changed = amended.readings()
        self._remember(sequence, places, batch.received[order], merged)
        return replace(_judgement(batch, rows, merged, changed), details=details)

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
            "flag": flags_of(merged.rank[where][lasts]),
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
