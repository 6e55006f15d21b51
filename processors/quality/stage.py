# SPDX-License-Identifier: EUPL-1.2
"""Runs the checks of a policy over batches and merges what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FlagArray, FloatArray, Int64Array, ReadingBatch, ReasonArray
from lamppost.component import Check, Rows, Stateful, Verdict, restore_each, snapshot_of
from lamppost.flags import (
    MISSING,
    MISSING_VALUE,
    NO_CHECK,
    NOT_EVALUATED,
    merge,
)
from lamppost.grouping import Groups
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import NO_TIME

_OWN: Final = "stage"


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


@dataclass(slots=True)
class _Merged:
    """Verdicts merged so far, on rows sorted by series."""

    flag: FlagArray
    reasons: ReasonArray
    first_flag: FlagArray

    def take_in(self, verdict: Verdict, where: Int64Array | slice) -> None:
        """Merge one check's verdict on some of the rows."""
        self.flag[where] = merge(self.flag[where], verdict.flag)
        self.reasons[where] |= verdict.reasons
        # A check that hands over amendments looks ahead, so it said nothing at first sight.
        if verdict.amended_series is None:
            self.first_flag[where] = merge(self.first_flag[where], verdict.flag)


class QualityStage:
    """All checks of a policy, in its order, with the memory that amendments need."""

    def __init__(self, checks: Sequence[Check], series: SeriesTable) -> None:
        """Take the checks in the order of the policy."""
        self._checks = tuple(checks)
        self._series = series
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
        known_flag = batch.flag[order]
        merged = _Merged(known_flag.copy(), batch.reasons[order], known_flag.copy())
        time, value = batch.time[order], batch.value[order]
        rows = Rows(groups, time, value, merged.first_flag)
        sequence, where = _sequence(rows, in_order[order])
        amended = _Amended()
        for check in self._checks:
            seen, places = (sequence, where) if check.sequential else (rows, slice(None))
            seen = replace(seen, flag=merged.first_flag[places])
            verdict = check.judge(seen)
            merged.take_in(verdict, places)
            amended.take_in(verdict)
        changed = self._amend(amended)
        self._remember(sequence.groups, where, batch.received[order], (time, value, merged))
        return self._judgement(batch, order, value, merged, changed)

    def snapshot(self) -> Snapshot:
        """Return the state of the stage and of every check, as ``check/array``."""
        return snapshot_of(self._parts())

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a state; a check that has no part in it starts afresh."""
        restore_each(self._parts(), snapshot)

    def _parts(self) -> dict[str, Stateful]:
        return {_OWN: self._last, **{check.name: check for check in self._checks}}

    def _judgement(
        self,
        batch: ReadingBatch,
        order: Int64Array,
        value: FloatArray,
        merged: _Merged,
        amended: ReadingBatch,
    ) -> Judgement:
        flag, reasons = _explained(merged.flag, merged.reasons, value)
        first_flag, _ = _explained(merged.first_flag, merged.reasons, value)
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        readings = replace(batch, flag=flag[back], reasons=reasons[back])
        return Judgement(readings, amended, first_flag[back])

    def _amend(self, amended: _Amended) -> ReadingBatch:
        """Return the readings from before this batch that now have another verdict."""
        codes, said_flag, said_reasons = amended.merged()
        last = {name: self._last[name][codes] for name in ("time", "received", "value")}
        old_flag, old_reasons = self._last["flag"][codes], self._last["reasons"][codes]
        before = _explained(old_flag, old_reasons, last["value"])
        new_flag, new_reasons = merge(old_flag, said_flag), old_reasons | said_reasons
        after = _explained(new_flag, new_reasons, last["value"])
        # A reading whose series is not in this batch can be amended again.
        self._last["flag"][codes], self._last["reasons"][codes] = new_flag, new_reasons
        differs = (before[0] != after[0]) | (before[1] != after[1])
        rows = np.flatnonzero(differs & (last["time"] != NO_TIME))
        return ReadingBatch(
            series=codes[rows],
            **{name: column[rows] for name, column in last.items()},
            flag=after[0][rows],
            reasons=after[1][rows],
        )

    def _remember(
        self,
        groups: Groups,
        where: Int64Array | slice,
        received: Int64Array,
        sorted_rows: tuple[Int64Array, FloatArray, _Merged],
    ) -> None:
        """Keep the newest reading of each series, unfinished, so that it can be amended."""
        time, value, merged = sorted_rows
        columns: dict[str, npt.NDArray[Any]] = {
            "time": time,
            "received": received,
            "value": value,
            "flag": merged.flag,
            "reasons": merged.reasons,
        }
        for name, column in columns.items():
            self._last[name][groups.codes] = column[where][groups.lasts]


class _Amended:
    """What the checks say of the newest readings before the batch."""

    def __init__(self) -> None:
        """Start with nothing said."""
        self._said: list[tuple[npt.NDArray[np.int32], FlagArray, ReasonArray]] = []

    def take_in(self, verdict: Verdict) -> None:
        """Keep what one check amends."""
        codes, flag, reasons = verdict.amended_series, verdict.amended_flag, verdict.amended_reasons
        if codes is not None and flag is not None and reasons is not None and len(codes):
            self._said.append((codes, flag, reasons))

    def merged(self) -> tuple[npt.NDArray[np.int32], FlagArray, ReasonArray]:
        """Return the series spoken of, ascending, with merged flag and reasons."""
        if not self._said:
            return np.empty(0, np.int32), np.empty(0, np.uint8), np.empty(0, np.uint32)
        codes = np.unique(np.concatenate([said[0] for said in self._said]))
        flag = np.full(len(codes), MISSING, np.uint8)
        reasons = np.zeros(len(codes), np.uint32)
        for series, said_flag, said_reasons in self._said:
            places = np.searchsorted(codes, series)
            flag[places] = merge(flag[places], said_flag)
            reasons[places] |= said_reasons
        return codes, flag, reasons


def _sequence(rows: Rows, in_order: npt.NDArray[np.bool_]) -> tuple[Rows, Int64Array | slice]:
    """Return the rows that arrived in order, and where they stand among all."""
    if in_order.all():
        return rows, slice(None)
    where = np.flatnonzero(in_order)
    groups = Groups(rows.groups.order[where], rows.groups.series[where])
    return Rows(groups, rows.time[where], rows.value[where], rows.flag[where]), where


def _explained(
    flag: FlagArray, reasons: ReasonArray, value: FloatArray
) -> tuple[FlagArray, ReasonArray]:
    """Return verdicts as they are published: what is not good has a reason."""
    missing = np.isnan(value)
    settled = flag.copy()
    # An absent number is missing whatever else is wrong, so that no statistic takes it in.
    settled[missing] = MISSING
    settled[~missing & (flag == MISSING)] = NOT_EVALUATED
    said = reasons | np.where(missing, MISSING_VALUE.mask, np.uint32(0))
    unexplained = (settled == NOT_EVALUATED) & (said == 0)
    return settled, said | np.where(unexplained, NO_CHECK.mask, np.uint32(0))
