# SPDX-License-Identifier: EUPL-1.2
"""Runs the derivations of a policy: readings of new series from judged readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from lamppost.batch import (
    AMENDED,
    CORRECTED,
    DERIVED,
    REDERIVED,
    JudgedBatch,
    ReadingBatch,
)
from lamppost.component import Stateful, restore_each, snapshot_of
from lamppost.derived import Derivation, FitsLines, FollowsStations, SaysMethod
from lamppost.fits import Fit
from lamppost.flags import CORRECTION, FAIL, INPUT_UNUSABLE, MISSING
from lamppost.grouping import BoolArray, Groups
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from processors.quality.stage import Judgement

_OWN: Final = "stage"
_NEVER: Final = np.int64(-(2**62))


@dataclass(frozen=True, slots=True)
class Derived:
    """What follows from one batch.

    Attributes:
        first: readings of instants nothing was derived for before, as they were at first sight.
        in_order: which of them are newer than all before them in their series.
        last: the same readings, with what was known of them in the end.
        revised: readings of earlier batches that say something else now.
        newest: which of those are the newest of their series in order.
    """

    first: JudgedBatch
    in_order: BoolArray
    last: JudgedBatch
    revised: JudgedBatch
    newest: BoolArray

    def beside(self, judgement: Judgement) -> Judgement:
        """Return a judgement of the batch and of what was derived from it, for the detectors."""
        if not len(self.first):
            return judgement
        columns = {name: getattr(self.first, name) for name in ReadingBatch.dtypes()}
        return Judgement(
            ReadingBatch.concat([judgement.readings, ReadingBatch(**columns)]),
            judgement.amended,
            np.append(judgement.first_flag, self.first.flag),
        )


class DerivationStage:
    """All derivations of a policy; each sees the readings of devices only."""

    def __init__(self, derivations: Sequence[Derivation], series: SeriesTable) -> None:
        """Take the derivations in the order of the policy."""
        self._derivations = tuple(derivations)
        self._series = series
        self._state = SeriesState(newest=_NEVER)

    def derive(self, judgement: Judgement) -> Derived:
        """Return what follows from a judged batch."""
        if not self._derivations:
            return _NOTHING
        told = one_by_one(judgement)
        made = _settled(JudgedBatch.concat([each.derive(told) for each in self._derivations]))
        if not len(made):
            return _NOTHING
        self._state.grow(len(self._series))
        first, last, revised = _versions(made)
        newest = self._state["newest"][revised.series] == revised.time
        return Derived(first, self._in_order(first), last, revised, newest)

    def _in_order(self, rows: JudgedBatch) -> BoolArray:
        groups = Groups.by_series(rows.series)
        time = rows.time[groups.order]
        newest = self._state["newest"]
        before = groups.running_max(time, newest[groups.codes])
        newest[groups.codes] = np.maximum(before, time)[groups.lasts]
        in_order = np.empty(len(rows), np.bool_)
        in_order[groups.order] = time > before
        return in_order

    def fits(self) -> list[Fit]:
        """Return the lines found since this was asked last."""
        return [
            fit
            for derivation in self._derivations
            if isinstance(derivation, FitsLines)
            for fit in derivation.fits()
        ]

    def methods(self) -> dict[str, dict[str, object]]:
        """Return what derivations say of their methods, by name."""
        return {
            derivation.name: dict(derivation.about())
            for derivation in self._derivations
            if isinstance(derivation, SaysMethod)
        }

    def stations_changed(self) -> None:
        """Tell the derivations that keep what they worked out of the stations."""
        for derivation in self._derivations:
            if isinstance(derivation, FollowsStations):
                derivation.stations_changed()

    def snapshot(self) -> Snapshot:
        """Return the state of the stage and of every derivation, as ``derivation/array``."""
        return snapshot_of(self._parts())

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a state; a derivation that has no part in it starts afresh."""
        restore_each(self._parts(), snapshot)

    def _parts(self) -> dict[str, Stateful]:
        return {_OWN: self._state, **{each.name: each for each in self._derivations}}


def one_by_one(judgement: Judgement) -> JudgedBatch:
    """Return a batch as it would have been told reading by reading.

    Amended verdicts on earlier readings come first. Each reading has the flag of first sight; where
    its successors in the batch changed that, the final verdict follows as an amendment. So what is
    derived at first sight, which detectors learn from, hardly depends on where batches are cut.
    """
    readings, first_flag = judgement.readings, judgement.first_flag
    corrected = readings.reasons & CORRECTION.mask != 0
    rows = JudgedBatch.unscored(replace(readings, flag=first_flag))
    if corrected.any():
        rows = replace(rows, revision=np.where(corrected, CORRECTED, 0))
    changed = np.flatnonzero(readings.flag != first_flag)
    if len(changed):
        finally_said = JudgedBatch.unscored(readings.take(changed), AMENDED)
        places = np.append(np.arange(len(rows)), changed)
        order = np.argsort(places, kind="stable")
        rows = JudgedBatch.concat([rows, finally_said]).take(order)
    if not len(judgement.amended):
        return rows
    return JudgedBatch.concat([JudgedBatch.unscored(judgement.amended, AMENDED), rows])


def _settled(made: JudgedBatch) -> JudgedBatch:
    """Hold derived readings to what holds for all: failed or without number is missing."""
    unusable = (made.flag == FAIL) | (made.flag == MISSING) | ~np.isfinite(made.value)
    if not unusable.any():
        return made
    return replace(
        made,
        value=np.where(unusable, np.nan, made.value),
        uncertainty=np.where(unusable, np.nan, made.uncertainty),
        flag=np.where(unusable, MISSING, made.flag).astype(np.uint8),
        reasons=made.reasons | np.where(unusable, INPUT_UNUSABLE.mask, np.uint32(0)),
    )


def _versions(made: JudgedBatch) -> tuple[JudgedBatch, JudgedBatch, JudgedBatch]:
    """Return the first and the last version of new readings, and the last of revised ones."""
    begun = made.revision == DERIVED
    if begun.all():
        return made, made, JudgedBatch.empty()
    order = np.lexsort((made.time, made.series))  # stable: versions stay in order of derivation
    series, time = made.series[order], made.time[order]
    opens = np.ones(len(made), np.bool_)
    opens[1:] = (series[1:] != series[:-1]) | (time[1:] != time[:-1])
    starts = np.flatnonzero(opens)
    ends = np.append(starts[1:], len(made)) - 1
    firsts, lasts = order[starts], order[ends]
    new = begun[firsts]
    by_arrival = np.argsort(firsts[new], kind="stable")
    rows = firsts[new][by_arrival], lasts[new][by_arrival]
    # An instant may be derived of two readings, as headways are of a flow and of a count: what
    # stands in the end is new or revised as its first version is.
    last, revised = made.take(rows[1]), made.take(np.sort(lasts[~new]))
    return (
        made.take(rows[0]),
        replace(last, revision=np.full(len(last), DERIVED, np.int32)),
        replace(revised, revision=np.full(len(revised), REDERIVED, np.int32)),
    )


_NOTHING: Final = Derived(
    first=JudgedBatch.empty(),
    in_order=np.empty(0, np.bool_),
    last=JudgedBatch.empty(),
    revised=JudgedBatch.empty(),
    newest=np.empty(0, np.bool_),
)
