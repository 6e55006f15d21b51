# SPDX-License-Identifier: EUPL-1.2
"""Spike against the vectors of ioos_qc."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lamppost.component import Rows
from tests.processor_cases import NAN, build, flags, rows, table

IOOS = pytest.mark.vector("QARTOD", "ioos/ioos_qc tests/test_qartod.py, spike_test")


@IOOS
@pytest.mark.parametrize(
    ("values", "suspect", "fail", "expected"),
    [
        ([10, 12, 999.99, 13, 15, 40, 9, 9], 25, 50, [2, 4, 4, 4, 1, 3, 1, 2]),
        (
            [3, 4.99, 5, 6, 8, 6, 6, 6.75, 6, 6, 5.3, 6, 6, 9, 5, NAN, 4, 4],
            0.5,
            1,
            [2, 3, 1, 1, 4, 3, 1, 3, 1, 1, 3, 1, 4, 4, 2, 9, 2, 2],
        ),
    ],
)
def test_the_vectors_of_ioos_qc_are_reproduced(
    values: list[float], suspect: float, fail: float, expected: list[int]
) -> None:
    """Average method, strictly above (ioos_qc test_qartod, spike_test)."""
    settings = {"quantities": {"pm2_5": {"suspect": suspect, "fail": fail}}}

    assert flags(build("check", "spike", settings, table("pm2_5")), values) == expected


def test_the_last_reading_is_judged_when_the_next_arrives() -> None:
    """Its verdict comes as an amendment."""
    check = build("check", "spike", {"default": {"suspect": 10}}, table("pm2_5"))
    assert check.judge(rows([1, 1, 50])).flag.tolist() == [2, 3, 2]

    verdict = check.judge(rows([1], start=3))

    assert verdict.flag.tolist() == [2]
    assert (verdict.amended_series.tolist(), verdict.amended_flag.tolist()) == ([0], [3])


def test_a_distant_reading_is_no_neighbour() -> None:
    """Beyond max_gap_s nothing is evaluated."""
    settings = {"default": {"suspect": 10, "max_gap_s": 60}}

    assert flags(build("check", "spike", settings, table("no2")), [1, 50, 1], 61) == [2, 2, 2]
    assert flags(build("check", "spike", settings, table("no2")), [1, 50, 1], 60) == [2, 3, 2]


def test_the_first_batch_of_a_series_amends_nothing() -> None:
    """There was no reading before."""
    check = build("check", "spike", {"default": {"suspect": 10}}, table("pm2_5"))

    assert np.array_equal(check.judge(rows([1.0])).amended_series, [])


@IOOS
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([10, 12, 999.99, 13, 15, 40, 9, 9], [2, 1, 4, 1, 1, 3, 1, 2], id="back"),
        pytest.param([1, 1, 60, 60, 1, 1], [2, 1, 1, 1, 1, 2], id="a plateau is no spike"),
        pytest.param([1, 50, NAN, 50, 1], [2, 2, 9, 2, 2], id="missing neighbour"),
    ],
)
def test_the_differential_method_asks_for_a_jump_there_and_back(
    values: list[float], expected: list[int]
) -> None:
    """The smaller of two opposite jumps counts (ioos_qc spike_test, method differential)."""
    settings = {"default": {"suspect": 24, "fail": 50, "method": "differential"}}

    assert flags(build("check", "spike", settings, table("pm2_5")), values) == expected


def test_beside_a_value_that_has_failed_nothing_is_evaluated() -> None:
    """A broken reading does not cast doubt on the right ones around it; nor is it judged twice."""
    values, failed = [10.0, 11.0, 6_000.0, 12.0, 11.0, 11.0], [1, 1, 4, 1, 1, 1]
    whole = build("check", "spike", LIMITS_OF_FAILED, table("pm2_5"))
    apart = build("check", "spike", LIMITS_OF_FAILED, table("pm2_5"))

    verdict = whole.judge(flagged(values, failed))
    told = [
        apart.judge(flagged(values[place : place + 1], failed[place : place + 1], place))
        for place in range(len(values))
    ]

    assert verdict.flag.tolist() == [2, 2, 2, 2, 1, 2]
    assert not verdict.reasons.any()
    assert [one.amended_flag.tolist() for one in told] == [[], [2], [2], [], [2], [1]]


def flagged(values: list[float], flag: list[int], start: int = 0) -> Rows:
    """Return rows with what earlier checks said of them."""
    return replace(rows(values, start=start), flag=np.array(flag, np.uint8))


LIMITS_OF_FAILED = {"quantities": {"pm2_5": {"suspect": 50}}}
