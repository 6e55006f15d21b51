# SPDX-License-Identifier: EUPL-1.2
"""What the series of one device show at one instant, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from lamppost.batch import FloatArray, Int32Array, Int64Array
from lamppost.component import Rows
from lamppost.grouping import BoolArray

from ._latest import NOBODY, Latest, Siblings


@dataclass(frozen=True, slots=True)
class Together:
    """Instants of families of series, one column each; of shape (roles, instants) but for the time.

    An instant is a run of rows of one family with the same time, whichever of its series they are
    of. What arrived earlier stands beside them where it is of the same instant.

    Attributes:
        series: whose reading it is, NOBODY where the family lacks the role.
        row: the sorted row of this batch that holds it, NOBODY where an earlier batch does.
        value: NaN where there is none that was usable.
        awaited: where the family has such a series, which has not been heard at the instant yet.
        time: ns UTC, shape (instants,).
    """

    series: Int32Array
    row: Int64Array
    value: FloatArray
    awaited: BoolArray
    time: Int64Array

    @classmethod
    def of(cls, rows: Rows, siblings: Siblings, latest: Latest) -> Self:
        """Put the rows together; each series has a role in its family.

        Args:
            rows: the batch; ``latest`` has not seen it yet.
            siblings: the families.
            latest: what each series showed before.
        """
        family, role = siblings.places(rows.groups.series)
        instant, first = _instants(rows, family)
        members = siblings.members(family[first])
        row = np.full(members.shape, NOBODY)
        row[role, instant] = np.arange(len(rows))
        if _goes_back(family[first], rows.time[first]):
            row = _carried(row, family[first])
        before_time, before_value = latest.newest(members)
        # NOBODY takes the spare last place, which is never used.
        here = row != NOBODY
        shown = np.append(np.where(rows.usable, rows.value, np.nan), np.nan)
        time = np.where(here, np.append(rows.time, 0)[row], before_time)
        value = np.where(here, shown[row], before_value)
        silent = time != rows.time[first]
        value[silent] = np.nan
        return cls(members, row, value, silent & (members != NOBODY), rows.time[first])


def _instants(rows: Rows, family: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return the number of each row's instant, and a row of each.

    The instants of a family follow each other in order of arrival.
    """
    present = np.zeros(int(family.max()) + 1, np.bool_)
    present[family] = True
    number = np.cumsum(present) - 1
    instant = number[family]
    row_of = np.empty(int(number[-1]) + 1, np.int64)
    row_of[instant] = np.arange(len(rows))
    if rows.groups.once and (rows.time[row_of][instant] == rows.time).all():
        return instant, row_of
    arrived = rows.groups.order
    order = np.argsort(family * (int(arrived.max()) + 1) + arrived, kind="stable")
    opens = np.ones(len(order), np.bool_)
    opens[1:] = (np.diff(family[order]) != 0) | (np.diff(rows.time[order]) != 0)
    instant[order] = np.cumsum(opens) - 1
    return instant, order[opens]


def _goes_back(family: Int64Array, time: Int64Array) -> bool:
    """Return whether an instant of a family is not later than the one before.

    Where none is, nothing that came with an earlier instant is of the same time as a later one.
    """
    back = (time[1:] <= time[:-1]) & (family[1:] == family[:-1])
    return bool(back.any())


def _carried(row: Int64Array, family: Int64Array) -> Int64Array:
    """Return rows with the newest one of the instants before where an instant has none."""
    number = np.arange(len(family))
    opens = np.append(True, family[1:] != family[:-1])
    begin = np.maximum.accumulate(np.where(opens, number, 0))
    latest = np.maximum.accumulate(np.where(row != NOBODY, number, -1), axis=1)
    found = np.take_along_axis(row, np.maximum(latest, 0), axis=1)
    return np.where(latest >= begin, found, NOBODY)
