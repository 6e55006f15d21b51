# SPDX-License-Identifier: EUPL-1.2
"""Instants as texts are those of the standard library, in UTC and in local time."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.times import format_instant
from lamppost.zones import load_zone
from sinks.instant_texts import known_zone, local_text, utc_text


@given(
    st.lists(st.integers(-2_208_988_800_000, 4_102_444_800_000), min_size=1, max_size=8),
    st.sampled_from([1, 1_000, 1_000_000]),
    st.sampled_from(["Europe/Amsterdam", "America/St_Johns", "Asia/Kathmandu", "UTC"]),
)
def test_texts_of_instants_are_those_of_the_standard_library(
    millis: list[int], unit: int, zone: str
) -> None:
    """In UTC and in local time, across changes of the clock, by the tzdata windows are made by."""
    times = np.array(millis, np.int64) * 1_000_000 // unit * unit

    assert utc_text(times).to_pylist() == [format_instant(int(time)) for time in times]
    for time_ns, text in zip(times, local_text(times, zone).to_pylist(), strict=True):
        offset = datetime.fromtimestamp(int(time_ns) // 10**9, load_zone(zone)).utcoffset()
        told = datetime.fromisoformat(text).utcoffset()
        assert offset is not None
        assert told is not None
        assert told.total_seconds() // 60 == int(abs(offset.total_seconds()) // 60) * (
            -1 if offset.total_seconds() < 0 else 1
        )


@pytest.mark.parametrize("name", [None, "", "Nowhere/Bree", "../etc/passwd", 7])
def test_what_is_no_time_zone_is_utc(name: object) -> None:
    """A policy of another version may say anything."""
    assert known_zone(name) == "UTC"
