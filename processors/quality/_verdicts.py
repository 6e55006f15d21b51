# SPDX-License-Identifier: EUPL-1.2
"""The common shape of a check's answer."""

from __future__ import annotations

import numpy as np

from lamppost.batch import FlagArray, FloatArray, ReasonArray
from lamppost.component import Rows
from lamppost.flags import FAIL, GOOD, MISSING, MISSING_VALUE, NOT_EVALUATED, SUSPECT, Reason
from lamppost.grouping import BoolArray


def answer(
    missing: BoolArray,
    *,
    reason: Reason,
    suspect: BoolArray | None = None,
    fail: BoolArray | None = None,
    evaluated: BoolArray | None = None,
) -> tuple[FlagArray, ReasonArray]:
    """Return flags and reasons: missing where there is no number, else the strongest that holds.

    Args:
        missing: where there is no number, shape (n,).
        reason: the check's own reason.
        suspect: where it finds the value suspect; nowhere when left out.
        fail: where it finds the value wrong; nowhere when left out.
        evaluated: where the check could be made, shape (n,) or (1,); everywhere when left out.
    """
    flag = np.full(len(missing), GOOD, np.uint8)
    if evaluated is not None:
        flag[:] = NOT_EVALUATED - evaluated.view(np.uint8)  # good is one below not evaluated
    reasons = np.zeros(len(missing), np.uint32)
    # Bad readings are few: finding them is cheaper than masked writes for all.
    for found, level in ((suspect, SUSPECT), (fail, FAIL)):
        if found is not None:
            bad = np.flatnonzero(found)
            flag[bad], reasons[bad] = level, reason.mask
    absent = np.flatnonzero(missing)
    flag[absent], reasons[absent] = MISSING, MISSING_VALUE.mask
    return flag, reasons


def without_failed(rows: Rows) -> FloatArray:
    """Return the values, NaN where one has failed before: nothing is to be held against those."""
    failed = rows.flag == FAIL
    return np.where(failed, np.nan, rows.value) if failed.any() else rows.value


def unsaid(missing: BoolArray) -> tuple[FlagArray, ReasonArray]:
    """Return flags and reasons of a check that has said nothing yet."""
    flag = np.full(len(missing), NOT_EVALUATED, np.uint8)
    reasons = np.zeros(len(missing), np.uint32)
    absent = np.flatnonzero(missing)
    flag[absent], reasons[absent] = MISSING, MISSING_VALUE.mask
    return flag, reasons
