# SPDX-License-Identifier: EUPL-1.2
"""Sentinel: codes in place of measurements."""

from __future__ import annotations

from tests.processor_cases import NAN, build, flags, table

CODES = {"quantities": {"pm2_5": [999.9, -1], "no2": [-200]}}


def test_codes_fail_and_neighbouring_values_do_not() -> None:
    """Only the exact number is a code."""
    check = build("check", "sentinel", CODES, table("pm2_5"))

    assert flags(check, [999.9, 999.8, -1, 1, NAN]) == [4, 1, 4, 1, 9]


def test_each_quantity_has_its_own_codes() -> None:
    """A quantity without codes is not evaluated."""
    assert flags(build("check", "sentinel", CODES, table("no2")), [-200, -1]) == [4, 1]
    assert flags(build("check", "sentinel", CODES, table("o3")), [-200]) == [2]
