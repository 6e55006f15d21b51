# SPDX-License-Identifier: EUPL-1.2
"""What a skew says of a clock, in words."""

from __future__ import annotations

import pytest

from lamppost.clock_skew import ClockState, state_of
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, parse_instant

NOW = parse_instant("2026-11-21T12:00:00Z")


def state(skew_ns: float, spread_ns: float = 0) -> ClockState:
    """Return the state of a clock at noon."""
    return state_of(round(skew_ns), round(spread_ns), NOW)


@pytest.mark.parametrize(
    ("skew_ns", "words"),
    [
        (0.2 * SECOND_NS, "clock right within a second"),
        (-SECOND_NS, "clock right within a second"),
        (7 * SECOND_NS, "clock 7 s behind"),
        (-42 * SECOND_NS, "clock 42 s ahead"),
        (-7 * MINUTE_NS, "clock 7 min ahead"),
        (-HOUR_NS + 3 * SECOND_NS, "clock 1 h ahead: probably local time sent as UTC"),
        (5 * HOUR_NS + 20 * SECOND_NS, "clock 5 h behind: probably local time sent as UTC"),
        (-5.5 * HOUR_NS, "clock 5 h 30 min ahead: probably local time sent as UTC"),
        (-1.5 * HOUR_NS, "clock 1 h 30 min ahead"),
        (-DAY_NS + SECOND_NS, "clock 1 d ahead: the date is wrong"),
        (-17.8 * SECOND_NS, "clock 18 s ahead: probably GPS time, which has no leap seconds"),
        (
            1024 * 7 * DAY_NS,
            "clock 1024 weeks behind: its GPS receiver has lost count of the weeks",
        ),
        (NOW, "clock not set: it says 1970-01-01"),
    ],
)
def test_a_skew_is_said_in_words(skew_ns: float, words: str) -> None:
    """Short, with what is probably wrong where the number gives it away."""
    assert str(state(skew_ns)) == words


def test_a_delay_that_varies_is_no_clock() -> None:
    """A wrong clock is steady; buffered readings are not."""
    assert state(5 * MINUTE_NS, 10 * SECOND_NS).kind == "behind"
    late = state(5 * MINUTE_NS, 2 * MINUTE_NS)

    assert late.kind == "delayed"
    assert str(late) == "readings 5 min late at the quickest, by varying times"


def test_a_clock_that_is_ahead_is_so_however_it_varies() -> None:
    """No reading arrives before it was sent."""
    assert state(-5 * MINUTE_NS, 2 * MINUTE_NS).kind == "ahead"


def test_a_varying_skew_has_no_cause() -> None:
    """An hour of delay, more or less, is no time zone."""
    assert state(HOUR_NS, 30 * MINUTE_NS).cause == ""
    assert state(HOUR_NS).cause == "zone"
