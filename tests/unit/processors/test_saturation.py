# SPDX-License-Identifier: EUPL-1.2
"""Saturation: stuck humidity is found, fog is not, and it is known before it corrects anything."""

from __future__ import annotations

import numpy as np
import pytest

from lamppost.component import Check
from processors.quality.saturation import SATURATION
from processors.quality.stage import QualityStage
from tests.processor_cases import NAN, build, flags, readings, table
from tests.processor_conformance import POLICY

DHT22 = pytest.mark.vector("traps", "DHT22 of citizen networks, saturated at 99.9 %")

HOUR_S = 3_600
SETTINGS = {
    "quantities": {"humidity": {"high": 99.5, "suspect_s": 3 * HOUR_S, "fail_s": 5 * HOUR_S}}
}


def check() -> Check:
    """Build the check for humidity."""
    made: Check = build("check", "saturation", SETTINGS, table("humidity"))
    return made


@DHT22
def test_a_humidity_sensor_stuck_at_the_top_is_suspect_and_then_fails() -> None:
    """99.9 % for hours, even when it flickers (DHT22)."""
    hourly = [80, 99.9, 99.8, 99.9, 99.9, 100.0, 99.9]

    assert flags(check(), hourly, HOUR_S) == [1, 1, 1, 1, 3, 3, 4]


@DHT22
def test_a_healthy_sensor_in_damp_air_is_good() -> None:
    """High humidity that comes down now and then is weather."""
    assert flags(check(), [98, 99.6, 99.7, 99.4, 99.6, 99.9, 99.3], HOUR_S) == [1] * 7


def test_a_missing_value_neither_ends_nor_prolongs_a_run() -> None:
    """The run goes on behind it."""
    assert flags(check(), [99.9, NAN, 99.9, 99.9], HOUR_S) == [1, 9, 1, 3]


def test_the_lower_end_of_a_scale_counts_as_well() -> None:
    """A sensor at 1 % all day is broken, too."""
    limits = {"humidity": {"low": 1, "suspect_s": HOUR_S}}
    made = build("check", "saturation", {"quantities": limits}, table("humidity"))

    assert flags(made, [1, 0.5, 1, 2], HOUR_S) == [1, 3, 3, 1]


@DHT22
def test_saturated_humidity_is_known_at_first_sight() -> None:
    """What corrects particles by humidity sees the verdict with the reading, not later."""
    series = table("humidity")
    checks = [build("check", name, raw, series) for name, raw in POLICY.quality.items()]
    # The check looks back only, so its verdict is part of what later stages build on.
    stuck = readings([99.9] * 3000)

    found = QualityStage(checks, series).judge(stuck, np.ones(3000, bool))

    assert (found.first_flag[-60:] >= 3).all()
    assert (found.readings.reasons[-60:] & SATURATION.mask != 0).all()
