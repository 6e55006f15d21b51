# SPDX-License-Identifier: EUPL-1.2
"""What people read about the clock of a station."""

from __future__ import annotations

import pytest

from lamppost.flags import TIME_MISSING
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS, parse_instant
from lamppost_app.portal.rulebook import Rulebook
from lamppost_app.portal.station_clock import ClockView, clock_views
from lamppost_app.portal.texts import catalogue

NOW = parse_instant("2026-11-21T12:00:00Z")
RULES = Rulebook(content={"time": {"max_ahead_s": 120.0}})


def estimate(skew_ns: float, spread_ns: float = 0, quantity: str = "pm10") -> dict[str, object]:
    """Return a row of the store."""
    return {"quantity": quantity, "qualifiers": "", "series": 0, "skew": round(skew_ns),
            "spread": round(spread_ns), "readings": 5, "until": NOW, "entry": 1}  # fmt: skip


def view(skew_ns: float, spread_ns: float = 0) -> ClockView:
    """Return what is said of one clock."""
    (found,) = clock_views([estimate(skew_ns, spread_ns)], [], RULES)
    return found


@pytest.mark.parametrize(
    ("skew_ns", "spread_ns", "words", "advice", "is_wrong"),
    [
        (0, 0, "right within a second", "", False),
        (7 * SECOND_NS, 0, "7 s behind", "", False),
        (-30 * SECOND_NS, 0, "30 s ahead", "", False),
        (-18 * SECOND_NS, 0, "18 s ahead: probably GPS time", "Take the leap seconds off", False),
        (5 * MINUTE_NS, 0, "5 min behind", "if it sends means of an interval", True),
        (5 * MINUTE_NS, MINUTE_NS, "readings come 5 min late", "look at the network", False),
        (-HOUR_NS, 0, "1 h ahead: probably local time sent as UTC", "Send the time in UTC", True),
        (2 * HOUR_NS, 0, "2 h behind: probably local time", "Send the time in UTC", True),
        (NOW, 0, "not set: it says 1970-01-01", "before it measures", True),
    ],
)
def test_each_kind_of_clock_has_words_and_advice(
    skew_ns: float, spread_ns: float, words: str, advice: str, is_wrong: object
) -> None:
    """Whoever owns the sensor knows what to do next."""
    found = view(skew_ns, spread_ns)

    assert found.words.startswith(words)
    assert advice in found.advice
    assert bool(found.advice) == bool(advice)
    assert found.is_wrong is is_wrong
    assert (found.meaning == "") == (words == "right within a second")
    assert "{" not in found.words + found.meaning + found.advice


def test_the_meaning_names_the_limit_of_the_policy() -> None:
    """How far ahead a time is believed is the city's decision."""
    assert view(-90 * SECOND_NS).meaning.startswith("Up to 2 min ahead is believed")
    assert "under the time they arrive" in view(-130 * SECOND_NS).meaning


def test_whether_it_is_the_clock_or_the_way_is_said_only_where_it_is_open() -> None:
    """Five hours to the minute are no delay."""
    assert "the two look alike" in view(10 * MINUTE_NS).meaning
    assert view(5 * HOUR_NS).meaning.startswith("The readings are filed 5 h too early")


def test_series_with_clocks_of_their_own_are_told_apart_the_worst_first() -> None:
    """A station with two loggers."""
    rows = [estimate(0), estimate(100 * SECOND_NS, quantity="no2"), estimate(0, quantity="o3")]

    found = clock_views(rows, [], RULES)

    assert [(one.words, [row["quantity"] for row in one.series]) for one in found] == [
        ("1 min behind", ["no2"]),
        ("right within a second", ["pm10", "o3"]),
    ]


def test_a_sensor_that_sends_no_time_has_no_clock() -> None:
    """Nothing to wait for."""
    timeless = [{"reasons": int(TIME_MISSING.mask)}]

    assert "sends no time" in clock_views([], timeless, RULES)[0].words
    assert "not known yet" in clock_views([], [{"reasons": 0}], RULES)[0].words
    assert "not known yet" in clock_views([], [], RULES)[0].words


def test_every_sentence_about_clocks_can_be_reached() -> None:
    """What nobody reads is taken out."""
    known = {key.removeprefix("clock.") for key in catalogue() if key.startswith("clock.")}
    kinds = {"right", "ahead", "behind", "delayed", "unset"}
    causes = {"zone", "date", "leap_seconds", "week_number"}
    meanings = {*kinds, "little", "behind_surely", "ahead_believed"} - {"right"}

    assert known == {
        *kinds, "title", "unknown", "none", "rests_on",
        *(f"cause.{cause}" for cause in causes),
        *(f"meaning.{name}" for name in meanings),
        *(f"advice.{name}" for name in {*kinds, *causes} - {"right"}),
    }  # fmt: skip
