# SPDX-License-Identifier: EUPL-1.2
"""Flags in the vocabulary of the European Environment Agency's air quality reporting (AQD).

The verification code is always "not verified": verifying is an authority's act, not a program's.
The mapping is Lamppost's own proposal; the vocabularies are dd.eionet.europa.eu's
``aq/observationvalidity`` and ``aq/observationverification``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from .flags import FAIL, GOOD, MISSING, NOT_EVALUATED, SUSPECT, FlagArray

MAINTENANCE: Final = -99
INVALID: Final = -1
VALID: Final = 1
NO_ROW: Final = 0
"""Stands for "not reported at all"; the vocabulary itself has no code 0."""

VALIDITY_NAMES: Final = {
    MAINTENANCE: "not valid due to station maintenance or calibration",
    INVALID: "not valid",
    VALID: "valid",
    2: "valid, below the detection limit, value given",
    3: "valid, below the detection limit, replaced by half of it",
    4: "valid, ozone by CCQM.O3.2019",
}
VERIFICATION_NAMES: Final = {1: "verified", 2: "preliminary verified", 3: "not verified"}
NOT_VERIFIED: Final = 3

VALIDITY: Final = {
    GOOD: VALID,
    NOT_EVALUATED: VALID,
    SUSPECT: VALID,
    FAIL: INVALID,
    MISSING: NO_ROW,
}
"""Validity code by flag. A suspect value is reported as valid, with its reasons as a note."""

WINDOW_VALIDITY: Final = {
    GOOD: VALID,
    NOT_EVALUATED: VALID,
    SUSPECT: INVALID,
    FAIL: INVALID,
    MISSING: NO_ROW,
}
"""Validity code of a window by its flag: one that is covered too thinly is no valid mean."""


def _by_flag(codes: Mapping[int, int]) -> npt.NDArray[np.int8]:
    table = np.zeros(256, np.int8)
    table[list(codes)] = list(codes.values())
    return table


_BY_FLAG: Final = _by_flag(VALIDITY)
_WINDOW_BY_FLAG: Final = _by_flag(WINDOW_VALIDITY)


def reported(codes: Mapping[int, int], flag: int) -> int | None:
    """Return the code of a flag as it is published; None where there is nothing to report.

    >>> reported(VALIDITY, SUSPECT), reported(WINDOW_VALIDITY, SUSPECT), reported(VALIDITY, MISSING)
    (1, -1, None)
    """
    return codes.get(flag) or None


def validity(
    flag: FlagArray, maintenance: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.int8]:
    """Return the validity code of each flag, NO_ROW where there is nothing to report.

    Args:
        flag: QARTOD flags.
        maintenance: where the station was being calibrated or serviced, which outranks the flag.

    >>> validity(np.array([1, 2, 3, 4, 9], np.uint8)).tolist()
    [1, 1, 1, -1, 0]
    """
    codes: npt.NDArray[np.int8] = _BY_FLAG[flag]
    if maintenance is None:
        return codes
    return np.where(maintenance & (codes != NO_ROW), np.int8(MAINTENANCE), codes)


def window_validity(flag: FlagArray) -> npt.NDArray[np.int8]:
    """Return the validity code of each window, NO_ROW where there is nothing to report.

    >>> window_validity(np.array([1, 3, 9], np.uint8)).tolist()
    [1, -1, 0]
    """
    codes: npt.NDArray[np.int8] = _WINDOW_BY_FLAG[flag]
    return codes
