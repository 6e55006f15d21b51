# SPDX-License-Identifier: EUPL-1.2
"""Gross range against the vectors of ioos_qc."""

from __future__ import annotations

import pytest

from lamppost.errors import ConfigError
from lamppost.flags import MISSING_VALUE
from processors.quality.gross_range import GROSS_RANGE
from tests.processor_cases import NAN, build, flags, rows, table

IOOS = pytest.mark.vector("QARTOD", "ioos/ioos_qc tests/test_qartod.py, gross_range_test")

SPANS = {"quantities": {"pm2_5": {"fail_span": [10, 50], "suspect_span": [20, 40]}}}


@IOOS
def test_the_vector_of_ioos_qc_is_reproduced() -> None:
    """Bounds are inclusive (ioos_qc test_qartod, gross_range_test)."""
    check = build("check", "gross_range", SPANS, table("pm2_5"))

    found = flags(check, [NAN, 5, 10, 15, 20, 40, 45, 50, 51, NAN])

    assert found == [9, 4, 3, 3, 1, 1, 3, 3, 4, 9]


def test_reasons_say_why() -> None:
    """Missing and out of range have reasons of their own; good has none."""
    check = build("check", "gross_range", SPANS, table("pm2_5"))

    reasons = check.judge(rows([30, 45, 60, NAN])).reasons.tolist()

    assert reasons == [0, GROSS_RANGE.mask, GROSS_RANGE.mask, MISSING_VALUE.mask]


def test_a_quantity_without_spans_is_not_evaluated() -> None:
    """Only what the policy names is judged, and infinity is beyond every span."""
    assert flags(build("check", "gross_range", SPANS, table("o3")), [1, NAN]) == [2, 9]
    assert flags(build("check", "gross_range", SPANS, table("pm2_5")), [float("inf")]) == [4]


def test_the_default_holds_for_other_quantities() -> None:
    """A default span judges what is not named."""
    settings = {**SPANS, "default": {"fail_span": [0, 1]}}

    assert flags(build("check", "gross_range", settings, table("o3")), [1, 2]) == [1, 4]


@pytest.mark.parametrize(
    ("quantities", "message"),
    [
        ({"pm25": {"fail_span": [0, 1]}}, "did you mean pm2_5"),
        ({False: {"fail_span": [0, 1]}}, "in quotes"),
        ({"pm2_5": {"fail_span": [5, 1]}}, "from low to high"),
        ({"pm2_5": {"fail_span": [0, 1], "suspect_span": [0, 2]}}, "inside fail_span"),
    ],
)
def test_wrong_spans_stop_at_start(quantities: dict[object, object], message: str) -> None:
    """A bad policy is an error that says what to do, not a silent gap."""
    with pytest.raises(ConfigError, match=message):
        build("check", "gross_range", {"quantities": quantities}, table("pm2_5"))
