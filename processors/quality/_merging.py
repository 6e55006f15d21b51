# SPDX-License-Identifier: EUPL-1.2
"""Merges what the checks of a policy say, of a batch and of readings before it."""

from __future__ import annotations

import numpy as np

from lamppost.batch import FlagArray, Int64Array, ReadingBatch, ReasonArray
from lamppost.component import Verdict
from lamppost.flags import (
    GOOD,
    MISSING,
    MISSING_VALUE,
    NO_CHECK,
    NOT_EVALUATED,
    from_ranks,
    ranks,
)
from lamppost.grouping import BoolArray
from lamppost.state import SeriesState
from lamppost.times import NO_TIME

from ._concern import Where

_MISSING, _NOT_EVALUATED, _GOOD = ranks(np.array([MISSING, NOT_EVALUATED, GOOD], np.uint8)).tolist()
# A number that a check takes for no measurement is missing, whatever else is said of it.
_NO_MEASUREMENT = 5
_BY_RANK = np.append(from_ranks(np.arange(_NO_MEASUREMENT, dtype=np.uint8)), np.uint8(MISSING))

_NOBODY = ReadingBatch.empty()


class Merged:
    """Verdicts merged so far, on rows sorted by series.

    Attributes:
        rank: the flags, as ranks.
        first_rank: the same without what only amendments will tell.
        reasons: the reason bits.
    """

    def __init__(self, flag: FlagArray, reasons: ReasonArray, missing: BoolArray) -> None:
        """Start with what is known already, and where there is no number."""
        self._missing = missing
        self.rank = np.maximum(ranks(flag), (~missing).view(np.uint8))  # 1 is not evaluated
        self.first_rank = self.rank.copy()
        self.reasons = reasons
        self._first_flag: FlagArray | None = None

    def first_flag(self, where: Where) -> FlagArray:
        """Return what rows are flagged so far, amendments aside."""
        if self._first_flag is None:
            self._first_flag = flags_of(self.first_rank)
        return self._first_flag[where]

    def take_in(self, verdict: Verdict, where: Where) -> None:
        """Merge one check's verdict on some of the rows."""
        said = _ranked(verdict.flag, self._missing[where])
        _raise(self.rank, said, where)
        # A check that hands over amendments looks ahead, so it said nothing at first sight.
        if verdict.amended_series is None and _raise(self.first_rank, said, where):
            self._first_flag = None
        if isinstance(where, slice):
            self.reasons |= verdict.reasons
        else:
            told = np.flatnonzero(verdict.reasons != 0)
            self.reasons[where[told]] |= verdict.reasons[told]


def _raise(rank: FlagArray, said: FlagArray, where: Where) -> bool:
    """Raise ranks to what was said; return whether any was lower."""
    raised = np.flatnonzero(said > rank[where])
    if len(raised):
        rank[raised if isinstance(where, slice) else where[raised]] = said[raised]
    return bool(len(raised))


class Amended:
    """What the checks say of the newest readings before the batch.

    A reading whose series is not in the batch can be amended again later, so what is said goes into
    the state at once.
    """

    def __init__(self, last: SeriesState) -> None:
        """Take the newest reading of each series: time, received, value, flag, reasons."""
        self._last = last
        self._before: list[tuple[Int64Array, FlagArray, ReasonArray]] = []

    def take_in(self, verdict: Verdict) -> None:
        """Merge what one check amends; mostly it says nothing new."""
        codes, flag, told = verdict.amended_series, verdict.amended_flag, verdict.amended_reasons
        if codes is None or flag is None or told is None or not len(codes):
            return
        places = codes.astype(np.intp)
        missing = np.isnan(self._last["value"][places])
        former, former_reasons = self._former(places, missing), self._last["reasons"][places]
        said, reasons = _ranked(flag, missing), former_reasons | told
        new = np.flatnonzero((said > former) | (reasons != former_reasons))
        if not len(new):
            return
        places, former, said = places[new], former[new], said[new]
        self._before.append((places, former, former_reasons[new]))
        self._last["flag"][places] = flags_of(np.maximum(former, said))
        self._last["reasons"][places] = reasons[new]

    def _former(self, places: Int64Array, missing: BoolArray) -> FlagArray:
        return _ranked(self._last["flag"][places], missing)

    def readings(self) -> ReadingBatch:
        """Return the readings from before this batch that now have another verdict."""
        if not self._before:
            return _NOBODY
        columns = (np.concatenate(column) for column in zip(*self._before, strict=True))
        spoken, rank, reasons = columns
        places, first = np.unique(spoken, return_index=True)
        last = {name: self._last[name][places] for name in ("time", "received", "value")}
        missing = np.isnan(last["value"])
        before = explained(rank[first], reasons[first], missing)
        now = self._former(places, missing)
        flag, told = explained(now, self._last["reasons"][places], missing)
        differs = (before[0] != flag) | (before[1] != told)
        rows = np.flatnonzero(differs & (last["time"] != NO_TIME))
        return ReadingBatch(
            series=places[rows].astype(np.int32),
            **{name: column[rows] for name, column in last.items()},
            flag=flag[rows],
            reasons=told[rows],
        )


def _ranked(flag: FlagArray, missing: BoolArray) -> FlagArray:
    """Return verdicts as ranks; one that calls a number missing stands above all others."""
    found = ranks(flag)
    found[np.flatnonzero((flag == MISSING) & ~missing)] = _NO_MEASUREMENT
    return found


def flags_of(rank: FlagArray) -> FlagArray:
    """Return the flags of ranks."""
    found: FlagArray = _BY_RANK.take(rank)
    return found


def explained(
    rank: FlagArray, reasons: ReasonArray, missing: BoolArray
) -> tuple[FlagArray, ReasonArray]:
    """Return verdicts as they are published: what is not good has a reason.

    Args:
        rank: merged verdicts, shape (n,); kept as they are.
        reasons: merged reasons, shape (n,).
        missing: where there is no number, shape (n,).
    """
    rank, reasons = rank.copy(), reasons.copy()
    missing = missing | (rank == _NO_MEASUREMENT)
    absent = np.flatnonzero(missing)
    # An absent number is missing whatever else is wrong, so that no statistic takes it in.
    rank[absent] = _MISSING
    reasons[absent] |= MISSING_VALUE.mask
    silent = np.flatnonzero(rank < _GOOD)
    silent = silent[~missing[silent]]
    rank[silent] = _NOT_EVALUATED
    reasons[silent[reasons[silent] == 0]] |= NO_CHECK.mask
    return from_ranks(rank), reasons
