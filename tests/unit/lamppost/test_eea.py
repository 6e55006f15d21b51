# SPDX-License-Identifier: EUPL-1.2
"""The EEA's codes for Lamppost's flags."""

from __future__ import annotations

import numpy as np
import pytest

from lamppost.eea import (
    NOT_VERIFIED,
    VALIDITY,
    VALIDITY_NAMES,
    VERIFICATION_NAMES,
    WINDOW_VALIDITY,
    reported,
    validity,
    window_validity,
)
from lamppost.flags import FLAG_NAMES


def test_flags_map_as_proposed() -> None:
    """1, 2 and 3 to (1, 3), 4 to (-1, 3), 9 to no row; the mapping is Lamppost's own."""
    flags = np.array([1, 2, 3, 4, 9], np.uint8)

    assert validity(flags).tolist() == [1, 1, 1, -1, 0]
    assert VERIFICATION_NAMES[NOT_VERIFIED] == "not verified"


def test_a_calibration_outranks_the_flag() -> None:
    """It is reported as maintenance, whatever the instrument showed meanwhile."""
    flags = np.array([1, 4, 9], np.uint8)

    assert validity(flags, np.ones(3, bool)).tolist() == [-99, -99, 0]


def test_a_window_that_is_covered_too_thinly_is_not_valid() -> None:
    """One of the published codes, alone or in a column."""
    flags = np.array([*FLAG_NAMES], np.uint8)

    codes = window_validity(flags)

    assert codes.tolist() == [1, 1, -1, -1, 0]
    assert [reported(WINDOW_VALIDITY, flag) for flag in FLAG_NAMES] == [1, 1, -1, -1, None]
    assert [reported(VALIDITY, flag) or 0 for flag in FLAG_NAMES] == validity(flags).tolist()


@pytest.mark.vector("EEA codes", "EEA data dictionary, observationvalidity")
def test_the_codes_of_validity_are_those_of_the_vocabulary() -> None:
    """From maintenance to ozone measured by the convention of 2019."""
    assert sorted(VALIDITY_NAMES) == [-99, -1, 1, 2, 3, 4]


@pytest.mark.vector("EEA codes", "EEA data dictionary, observationverification")
def test_the_codes_of_verification_are_those_of_the_vocabulary() -> None:
    """What nobody has looked at is 3."""
    assert sorted(VERIFICATION_NAMES) == [1, 2, 3]
    assert NOT_VERIFIED == 3


def test_every_flag_has_a_code_the_vocabulary_knows() -> None:
    """Or none, where nothing is reported."""
    assert VALIDITY.keys() == FLAG_NAMES.keys()
    assert set(VALIDITY.values()) <= {0, *VALIDITY_NAMES}
