# SPDX-License-Identifier: EUPL-1.2
"""Quality flags (IOOS QARTOD), how they merge, and the reasons behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

GOOD: Final = 1
NOT_EVALUATED: Final = 2
SUSPECT: Final = 3
FAIL: Final = 4
MISSING: Final = 9

FLAG_NAMES: Final = {
    GOOD: "good",
    NOT_EVALUATED: "not_evaluated",
    SUSPECT: "suspect",
    FAIL: "fail",
    MISSING: "missing",
}

# QARTOD's roll-up: missing is the largest number and yet the weakest verdict.
_BY_RANK: Final = np.array([MISSING, NOT_EVALUATED, GOOD, SUSPECT, FAIL], dtype=np.uint8)
_RANK: Final = np.full(256, 1, dtype=np.uint8)
_RANK[_BY_RANK] = np.arange(len(_BY_RANK), dtype=np.uint8)

FlagArray = npt.NDArray[np.uint8]
ReasonArray = npt.NDArray[np.uint32]


def merge(first: FlagArray, second: FlagArray) -> FlagArray:
    """Combine two verdicts on the same readings by QARTOD precedence.

    Missing < not evaluated < good < suspect < fail (ioos_qc ``qartod_compare``).

    >>> merge(np.array([1, 9, 2], np.uint8), np.array([3, 1, 9], np.uint8))
    array([3, 1, 2], dtype=uint8)
    """
    return from_ranks(np.maximum(ranks(first), ranks(second)))


def ranks(flags: FlagArray) -> FlagArray:
    """Return flags as numbers that ascend with precedence, 0 for missing to 4 for fail.

    Of numbers the larger one is the merged one, so many verdicts merge fastest as ranks.
    """
    found: FlagArray = _RANK.take(flags)
    return found


def from_ranks(found: FlagArray) -> FlagArray:
    """Undo :func:`ranks`."""
    flags: FlagArray = _BY_RANK.take(found)
    return flags


def name(flag: int) -> str:
    """Return the published name of a flag."""
    return FLAG_NAMES[flag]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a reading is not simply good.

    Attributes:
        bit: position in the 32-bit reason mask, 0 to 31; never reused for something else.
        name: the published name, lower snake case.
        sentence: what it means, in plain language.
        citation: where the rule comes from.
    """

    bit: int
    name: str
    sentence: str
    citation: str = ""

    @property
    def mask(self) -> np.uint32:
        """The reason as a bit mask."""
        return np.uint32(1 << self.bit)


MISSING_VALUE: Final = Reason(0, "missing_value", "No measured number came with it.")
TIME_MISSING: Final = Reason(
    1, "time_missing", "The device sent no usable time; receipt time is used."
)
TIME_IMPLAUSIBLE: Final = Reason(
    2, "time_implausible", "The device's clock is wrong; receipt time is used."
)
OUT_OF_ORDER: Final = Reason(
    3, "out_of_order", "It arrived after a later reading; tests on the sequence were not run."
)
CORRECTION: Final = Reason(
    4, "correction", "It replaces an earlier value the device sent for the same instant."
)
NO_CHECK: Final = Reason(5, "no_check", "No quality check of the policy applies to it.")
INPUT_UNUSABLE: Final = Reason(
    6, "input_unusable", "A reading it is derived from is missing, failed or too far away in time."
)

KERNEL_REASONS: Final = (
    MISSING_VALUE,
    TIME_MISSING,
    TIME_IMPLAUSIBLE,
    OUT_OF_ORDER,
    CORRECTION,
    NO_CHECK,
    INPUT_UNUSABLE,
)
