# SPDX-License-Identifier: EUPL-1.2
"""How long a condition has held, reading by reading, for all series at once."""

from __future__ import annotations

import numpy as np

from lamppost.batch import Int64Array
from lamppost.component import Rows
from lamppost.grouping import BoolArray, Groups
from lamppost.times import NO_TIME

from ._concern import Where


def chosen_rows(rows: Rows, chosen: BoolArray) -> tuple[Where, Rows]:
    """Return where some rows stand, and the rows."""
    if chosen.all():
        return slice(None), rows
    where = np.flatnonzero(chosen)
    return where, rows.take(where)


def spread(where: Where, size: int, chosen: BoolArray) -> BoolArray:
    """Return what holds at chosen rows for all rows, of which the rest are False."""
    if isinstance(where, slice):
        return chosen
    found = np.zeros(size, np.bool_)
    found[where] = chosen
    return found


def began_at(groups: Groups, holds: BoolArray, time: Int64Array, carried: Int64Array) -> Int64Array:
    """Return since when the condition holds at each row; NO_TIME where it does not.

    Args:
        groups: the rows.
        holds: whether it holds at each row, shape (n,).
        time: instants, shape (n,).
        carried: since when it held before this batch for every group, NO_TIME where it did not.
    """
    before = shifted(groups, holds, carried != NO_TIME)
    if groups.once:
        return np.where(holds, np.where(before, carried, time), NO_TIME)
    opened = groups.latest(holds & ~before)
    since = np.where(opened >= 0, time[opened], carried[groups.group])
    return np.where(holds, since, NO_TIME)


def elapsed_in_state(
    groups: Groups, holds: BoolArray, step: Int64Array, carried: tuple[BoolArray, Int64Array]
) -> Int64Array:
    """Return how long the condition has been as it is, true or false; a change starts anew.

    Args:
        groups: the rows.
        holds: whether it holds at each row, shape (n,).
        step: how long each row stands for, shape (n,).
        carried: for every group what the condition was before this batch, and for how long.
    """
    was, lasted = carried
    if groups.once:
        return np.where(holds == was, lasted + step, step)
    opened = groups.latest(holds != shifted(groups, holds, was))
    total = np.cumsum(step)
    origin = np.where(opened >= 0, opened, groups.starts[groups.group])
    since = total - (total - step)[origin]
    return np.where(opened >= 0, since, since + lasted[groups.group])


def latched(groups: Groups, on: BoolArray, off: BoolArray, carried: BoolArray) -> BoolArray:
    """Return a switch at each row that the last ``on`` or ``off`` has set."""
    if groups.once:
        return on | (carried & ~off)
    last_on, last_off = groups.latest(on), groups.latest(off)
    untouched = (last_on < 0) & (last_off < 0)
    return np.where(untouched, carried[groups.group], last_on > last_off)


def shifted(groups: Groups, column: BoolArray, carried: BoolArray) -> BoolArray:
    """Return each row's predecessor in its series."""
    if groups.once:
        return carried
    before = np.empty_like(column)
    before[1:] = column[:-1]
    before[groups.starts] = carried
    return before
