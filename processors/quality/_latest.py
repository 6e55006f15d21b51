# SPDX-License-Identifier: EUPL-1.2
"""What other series showed when a reading arrived, however the stream is cut into batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, Int32Array, Int64Array, ReasonArray
from lamppost.component import Rows, Verdict
from lamppost.flags import FAIL, GOOD, MISSING, MISSING_VALUE, NOT_EVALUATED, SUSPECT
from lamppost.grouping import BoolArray, Groups
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import NO_TIME

NOBODY: Final = -1
"""Stands where a series code or a row would stand, for none."""

RoleOf = Callable[[SeriesKey], tuple[object, int] | None]
"""Gives a series the name of its family and the number of its role in it."""

Levels = npt.NDArray[np.int8]
"""0 says nothing, 1 evaluated, 2 suspect, 3 fail, 4 that the number is no measurement."""

_FLAGS: Final = np.array([NOT_EVALUATED, GOOD, SUSPECT, FAIL, MISSING], np.uint8)
_GOOD: Final = 1
LEVELS: Final = {"suspect": 2, "fail": 3, "missing": 4}
"""Levels of verdicts by their names in settings."""
_SUSPECT: Final = LEVELS["suspect"]
_FAIL: Final = LEVELS["fail"]


@dataclass(frozen=True, slots=True)
class Found:
    """Newest readings of other series before some rows; all of shape (rows, others).

    Attributes:
        series: whose reading it is, NOBODY where nobody was asked.
        row: the sorted row of this batch that holds it, NOBODY where an earlier batch does.
        time: its instant, NO_TIME where there is none.
        value: NaN where there is none, or none that was a number.
    """

    series: Int32Array
    row: Int64Array
    time: Int64Array
    value: FloatArray


class Latest:
    """The newest reading of every series, as of any row of a batch."""

    def __init__(self, series: Sized) -> None:
        """Start without having seen anything; codes are those of rows, fewer than ``series``."""
        self._series = series
        self._state = SeriesState(time=np.int64(NO_TIME), value=np.float64(np.nan))

    def before(
        self, rows: Rows, asking: Int64Array, series: Int32Array, usable: BoolArray
    ) -> Found:
        """Return what some series showed when some rows arrived.

        Args:
            rows: the batch; :meth:`keep` has not seen it yet.
            asking: the sorted rows that ask, shape (n,).
            series: whom each asks for, shape (n, others), NOBODY for none.
            usable: rows whose value others may rely on; of the rest only the instant is known.
        """
        self._state.grow(len(self._series))
        groups = rows.groups
        if not series.size:
            nothing = np.zeros(series.shape, np.int64)
            return Found(series, nothing, nothing, np.zeros(series.shape))
        row = self._row_before(groups, asking, series)
        in_batch = row != NOBODY
        time, value = self.newest(series)
        shown = np.where(usable, rows.value, np.nan)
        time = np.where(in_batch, rows.time[row], time)
        return Found(series, row, time, np.where(in_batch, shown[row], value))

    def _row_before(self, groups: Groups, asking: Int64Array, series: Int32Array) -> Int64Array:
        """Return the newest row of each series asked for that arrived earlier, else NOBODY."""
        arrived = groups.order[asking][:, None]
        group_of = np.full(len(self._series) + 1, NOBODY)
        group_of[groups.places] = np.arange(len(groups.places))
        group = group_of[series.astype(np.intp)]  # NOBODY asks for the spare last place
        if groups.once:
            # The usual case: a group is a row.
            return np.where((group != NOBODY) & (groups.order[group] < arrived), group, NOBODY)
        # Within a group the order of arrival ascends, so one key sorts all rows of the batch.
        span = int(groups.order.max()) + 1
        row = np.searchsorted(groups.group * span + groups.order, group * span + arrived) - 1
        here = (group != NOBODY) & (row >= groups.starts[group])
        return np.where(here, row, NOBODY)

    def newest(self, series: Int32Array) -> tuple[Int64Array, FloatArray]:
        """Return instant and value before the batch; NO_TIME and NaN for NOBODY."""
        self._state.grow(len(self._series))
        places, nobody = series.astype(np.intp), series == NOBODY
        time, value = self._state["time"][places], self._state["value"][places]
        if nobody.any():
            time[nobody], value[nobody] = NO_TIME, np.nan
        return time, value

    def all(self) -> tuple[Int64Array, FloatArray]:
        """Return instant and value of every series before the batch; not to be written to."""
        self._state.grow(len(self._series))
        return self._state["time"], self._state["value"]

    def keep(self, rows: Rows, usable: BoolArray) -> None:
        """Remember the newest reading of each series.

        Args:
            rows: the batch.
            usable: rows whose value others may rely on; of the rest only the instant is kept.
        """
        self._state.grow(len(self._series))
        places = rows.groups.places
        lasts = slice(None) if rows.groups.once else rows.groups.lasts
        self._state["time"][places] = rows.time[lasts]
        self._state["value"][places] = np.where(usable[lasts], rows.value[lasts], np.nan)

    def snapshot(self) -> Snapshot:
        """Return the newest readings."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the newest readings."""
        self._state.restore(snapshot)


class Findings:
    """Collects verdicts on rows of a batch and on readings before it; the worst one stands."""

    def __init__(self, rows: Rows, series: SeriesTable) -> None:
        """Start with nothing evaluated."""
        self._rows = rows
        self._level = np.zeros(len(rows), np.int8)
        self._reasons = np.zeros(len(rows), np.uint32)
        self._amends = False
        self._before = np.zeros(len(series), np.int8)
        self._before_reasons = np.zeros(len(series), np.uint32)

    def add(
        self,
        series: Int32Array,
        row: Int64Array,
        level: Levels,
        reason: ReasonArray | np.uint32,
    ) -> None:
        """Say something about readings.

        Args:
            series: whose readings, shape (n,).
            row: the sorted row, NOBODY for the series' newest reading before the batch.
            level: of :func:`levels`; 0 says nothing.
            reason: mask that goes with suspect and fail.
        """
        mask = np.where(level >= _SUSPECT, reason, np.uint32(0)).astype(np.uint32)
        here = np.flatnonzero((level > 0) & (row != NOBODY))
        np.maximum.at(self._level, row[here], level[here])
        np.bitwise_or.at(self._reasons, row[here], mask[here])
        before = np.flatnonzero((level > 0) & (row == NOBODY))
        if len(before):
            self._amends = True
            np.maximum.at(self._before, series[before], level[before])
            np.bitwise_or.at(self._before_reasons, series[before], mask[before])

    def verdict(self) -> Verdict:
        """Return all that was said."""
        flag, reasons = _FLAGS.take(self._level), self._reasons
        missing = np.flatnonzero(self._rows.missing)
        flag[missing], reasons[missing] = MISSING, MISSING_VALUE.mask
        spoken = np.flatnonzero(self._before) if self._amends else np.empty(0, np.int64)
        amended = spoken.astype(np.int32)
        return Verdict(
            flag, reasons, amended, _FLAGS[self._before[amended]], self._before_reasons[amended]
        )


def levels(evaluated: BoolArray, bad: BoolArray, *, fails: BoolArray | bool = False) -> Levels:
    """Return for :meth:`Findings.add`: nothing, evaluated, suspect or fail."""
    worst = np.where(fails, np.int8(_FAIL), np.int8(_SUSPECT))
    level: Levels = np.where(bad, worst, np.int8(_GOOD))
    return np.where(evaluated, level, np.int8(0))


class Siblings:
    """The series that stand in one row of a fixed form: same sensor, and qualifiers that agree.

    The table of series may grow at any time; a series without a reading has nothing to say anyway.
    """

    def __init__(self, series: SeriesTable, role_of: RoleOf, roles: int) -> None:
        """Take the rule that gives a series its family and its role in it, or None."""
        self._series = series
        self._role_of = role_of
        self._families: dict[object, int] = {}
        self._members = np.empty((0, roles), np.int32)
        self._family = np.empty(0, np.int64)
        self._role = np.empty(0, np.int64)

    def of(self, codes: Int32Array) -> tuple[Int32Array, Int64Array]:
        """Return the members of each series' family by role, and its own role (NOBODY: none)."""
        self._grow()
        family = self._family.take(codes)
        if not len(self._members):
            return np.full((len(codes), self._members.shape[1]), NOBODY, np.int32), family
        members = self._members[family]
        members[family == NOBODY] = NOBODY
        return members, self._role.take(codes)

    def places(self, codes: Int32Array) -> tuple[Int64Array, Int64Array]:
        """Return the number of each series' family, and its role in it (NOBODY: none)."""
        self._grow()
        return self._family.take(codes), self._role.take(codes)

    def members(self, family: Int64Array) -> Int32Array:
        """Return the series of some families by role, shape (roles, n)."""
        return self._members.take(family, axis=0).T.copy()

    def _grow(self) -> None:
        known, total = len(self._family), len(self._series)
        if known == total:
            return
        family, role = np.full(total, NOBODY), np.full(total, NOBODY)
        family[:known], role[:known] = self._family, self._role
        found: list[tuple[int, int, int]] = []
        for code in range(known, total):
            given = self._role_of(self._series[code])
            if given is not None:
                number = self._families.setdefault(given[0], len(self._families))
                family[code], role[code] = number, given[1]
                found.append((number, given[1], code))
        members = np.full((len(self._families), self._members.shape[1]), NOBODY, np.int32)
        members[: len(self._members)] = self._members
        for number, place, code in found:
            members[number, place] = code
        self._family, self._role, self._members = family, role, members
