# SPDX-License-Identifier: EUPL-1.2
"""Conditions with hysteresis, followed reading by reading with whole arrays."""

from __future__ import annotations

import numpy as np

from lamppost.grouping import BoolArray, Groups


def latch(groups: Groups, on: BoolArray, off: BoolArray, carried: BoolArray) -> BoolArray:
    """Return whether the condition holds after each sorted row.

    Args:
        groups: rows sorted by series.
        on: where the condition begins (or goes on) to hold.
        off: where it ends; between both it stays as it was.
        carried: whether it held before these rows, per group.
    """
    decided = on | off | groups.is_first
    holds = on.copy()
    undecided = groups.starts[~(on | off)[groups.starts]]
    holds[undecided] = carried[groups.group[undecided]]
    return holds[groups.latest(decided)]


def worth_saying(groups: Groups, holds: BoolArray, carried: BoolArray) -> BoolArray:
    """Return the rows a signal is due for.

    The first and the last row of every stretch in which the condition holds, and the first row
    after it: enough to time the stretch exactly, however rows are cut into batches.
    """
    before = np.empty_like(holds)
    before[1:] = holds[:-1]
    before[groups.starts] = carried
    after = np.zeros_like(holds)
    after[:-1] = holds[1:]
    after[groups.lasts] = False
    return (holds & ~(before & after)) | (before & ~holds)
