# SPDX-License-Identifier: EUPL-1.2
"""Flags merge by precedence, whatever the order they come in."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.flags import (
    FAIL,
    FLAG_NAMES,
    GOOD,
    KERNEL_REASONS,
    MISSING,
    NOT_EVALUATED,
    SUSPECT,
    Reason,
    merge,
    name,
)

from .strategies import KNOWN_FLAGS, LAW, same

PRECEDENCE = (MISSING, NOT_EVALUATED, GOOD, SUSPECT, FAIL)
COLUMNS = (
    st.integers(0, 12)
    .flatmap(lambda size: st.tuples(*[st.lists(KNOWN_FLAGS, min_size=size, max_size=size)] * 3))
    .map(lambda lists: [np.array(flags, np.uint8) for flags in lists])
)


@pytest.mark.parametrize(("first", "second"), list(itertools.product(PRECEDENCE, repeat=2)))
def test_of_two_flags_the_one_of_higher_precedence_stays(first: int, second: int) -> None:
    """Missing < not evaluated < good < suspect < fail, for each of the 25 pairs."""
    expected = max(first, second, key=PRECEDENCE.index)

    merged = merge(np.array([first], np.uint8), np.array([second], np.uint8))

    assert merged.tolist() == [expected]


@LAW
@given(COLUMNS)
def test_merging_is_associative_commutative_and_idempotent(flags: list[np.ndarray]) -> None:
    """Checks may run in any order and in any grouping."""
    first, second, third = flags

    assert same(merge(merge(first, second), third), merge(first, merge(second, third)))
    assert same(merge(first, second), merge(second, first))
    assert same(merge(first, first), first)


@LAW
@given(COLUMNS)
def test_merging_never_lowers_a_verdict(flags: list[np.ndarray]) -> None:
    """What one check found no other check takes back."""
    first, second, _ = flags

    merged = merge(first, second)

    for before, after in zip(first.tolist(), merged.tolist(), strict=True):
        assert PRECEDENCE.index(after) >= PRECEDENCE.index(before)


def test_merging_leaves_its_arguments_alone() -> None:
    """The result is a new column of the same type."""
    first, second = np.array([1, 9], np.uint8), np.array([4, 3], np.uint8)

    merged = merge(first, second)
    merged[:] = 0

    assert (first.tolist(), second.tolist()) == ([1, 9], [4, 3])
    assert merged.dtype == np.uint8


@pytest.mark.vector("QARTOD", "ioos/ioos_qc tests/test_qartod.py, qartod_compare")
def test_the_flags_of_three_tests_roll_up() -> None:
    """The aggregate of QARTOD, by priority and not by size: 9 < 2 < 1 < 3 < 4."""
    tests = [[1, 9, 2, 1, 1, 9], [1, 9, 9, 3, 4, 1], [2, 9, 9, 4, 3, 2]]

    rolled_up = functools.reduce(merge, [np.array(flags, np.uint8) for flags in tests])

    assert rolled_up.tolist() == [1, 9, 2, 4, 4, 1]


@pytest.mark.vector("QARTOD", "QARTOD manuals (IOOS): the five flags")
def test_flags_are_called_what_qartod_calls_them() -> None:
    """The published names of the five flags."""
    assert {flag: name(flag) for flag in FLAG_NAMES} == {
        1: "good",
        2: "not_evaluated",
        3: "suspect",
        4: "fail",
        9: "missing",
    }


def test_a_reasons_mask_has_its_bit_alone() -> None:
    """The highest bit fits the unsigned column, too."""
    assert Reason(0, "a", "A.").mask == 1
    assert Reason(31, "b", "B.").mask == 2**31
    assert Reason(31, "b", "B.").mask.dtype == np.uint32


def test_the_kernels_reasons_have_bits_of_their_own() -> None:
    """They are published numbers: 0 to 6 in this order, for good."""
    assert [(reason.bit, reason.name) for reason in KERNEL_REASONS] == [
        (0, "missing_value"),
        (1, "time_missing"),
        (2, "time_implausible"),
        (3, "out_of_order"),
        (4, "correction"),
        (5, "no_check"),
        (6, "input_unusable"),
    ]
