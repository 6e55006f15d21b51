# SPDX-License-Identifier: EUPL-1.2
"""The common shape of a check's answer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lamppost.batch import FlagArray, FloatArray, ReasonArray
from lamppost.flags import FAIL, GOOD, MISSING, MISSING_VALUE, NOT_EVALUATED, SUSPECT, Reason

BoolArray = npt.NDArray[np.bool_]


def answer(
    value: FloatArray,
    *,
    evaluated: BoolArray,
    suspect: BoolArray,
    fail: BoolArray,
    reason: Reason,
) -> tuple[FlagArray, ReasonArray]:
    """Return flags and reasons: missing where there is no number, else the strongest that holds.

    Args:
        value: what was judged.
        evaluated: where the check could be made.
        suspect: where it finds the value suspect.
        fail: where it finds the value wrong.
        reason: the check's own reason.
    """
    flag = np.where(evaluated, np.uint8(GOOD), np.uint8(NOT_EVALUATED))
    reasons = np.zeros(len(value), np.uint32)
    # Bad readings are few: finding them is cheaper than masked writes for all.
    bad = np.flatnonzero(suspect | fail)
    reasons[bad] = reason.mask
    flag[bad] = np.where(fail[bad], np.uint8(FAIL), np.uint8(SUSPECT))
    missing = np.flatnonzero(np.isnan(value))
    flag[missing] = MISSING
    reasons[missing] = MISSING_VALUE.mask
    return flag, reasons
