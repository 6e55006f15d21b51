# SPDX-License-Identifier: EUPL-1.2
"""Clocks tell the time they are meant to tell."""

from __future__ import annotations

import time

from lamppost.clock import ManualClock, SystemClock


def test_a_manual_clock_stands_still_until_told() -> None:
    """Asking the time does not move it."""
    clock = ManualClock(100)

    assert [clock.now_ns(), clock.now_ns()] == [100, 100]


def test_a_manual_clock_moves_both_ways() -> None:
    """A broken clock may jump back."""
    clock = ManualClock(100)

    clock.advance(50)
    clock.advance(-70)

    assert clock.now_ns() == 80


def test_the_system_clock_tells_the_machines_time() -> None:
    """It lies between two looks at the machine's own clock."""
    before = time.time_ns()

    told = SystemClock().now_ns()

    assert before <= told <= time.time_ns()
