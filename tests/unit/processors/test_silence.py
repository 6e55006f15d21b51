# SPDX-License-Identifier: EUPL-1.2
"""Silence rules: per device, at ticks, fair about our own pauses."""

from __future__ import annotations

from typing import Any

from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from lamppost.times import MINUTE_NS, SECOND_NS
from tests.processor_cases import START_NS, build, step

STATIONS = {
    "aq-1": Station(sensor="aq-1", kind="air_quality", latitude=0, longitude=0, period_s=600),
    "tr-1": Station(sensor="tr-1", kind="traffic", latitude=0, longitude=0, period_s=60),
}
SERIES = (SeriesKey("aq-1", "pm2_5"), SeriesKey("aq-1", "no2"), SeriesKey("tr-1", "flow"))


def rule(**settings: Any) -> Any:  # noqa: ANN401 - settings of any type
    """Build a rule over an air station with two series and a traffic station."""
    return build("alert", "silence", {"silent_s": 300, **settings}, SeriesTable(SERIES), STATIONS)


def ticked(silence: Any, minutes: range, received: list[int]) -> list[tuple[str, bool, int]]:  # noqa: ANN401
    """Tick once a minute; return who was said to be silent, and when."""
    last_received = [START_NS + minute * MINUTE_NS for minute in received]
    return [
        (signal.subject, signal.active, minute)
        for minute in minutes
        for signal in silence.evaluate(
            step(START_NS + minute * MINUTE_NS, ticked=True, last_received=last_received)
        )
    ]


def test_a_device_is_silent_when_all_its_series_are() -> None:
    """One living series is enough to be heard."""
    silence = rule()

    assert ticked(silence, range(6), [0, 0, 0]) == []
    assert ticked(silence, range(6, 7), [0, 4, 0]) == [("tr-1", True, 6)]


def test_it_goes_on_until_something_is_heard() -> None:
    """Signals come with every tick, and one at the end."""
    silence = rule()

    found = ticked(silence, range(8), [5, 5, 0]) + ticked(silence, range(8, 10), [5, 5, 8])

    assert found == [("tr-1", True, 6), ("tr-1", True, 7), ("tr-1", False, 8)]


def test_slow_stations_are_given_their_own_time() -> None:
    """Three periods of ten minutes, against three of one and the shortest silence."""
    found = ticked(rule(periods=3), range(32), [0, 0, 0])

    assert found[0] == ("tr-1", True, 6)
    assert ("aq-1", True, 31) in found
    assert ("aq-1", True, 30) not in found


def test_only_the_kinds_named_are_watched() -> None:
    """The roads department need not hear of air stations."""
    found = ticked(rule(kinds=["air_quality"]), range(7), [0, 0, 0])

    assert found == [("aq-1", True, 6)]


def test_a_station_that_never_sent_anything_is_silent_too() -> None:
    """It is counted from when we came to know it."""
    silence = build("alert", "silence", {"silent_s": 300}, SeriesTable(), STATIONS)

    found = ticked(silence, range(7), [])

    assert [(name, minute) for name, _, minute in found] == [("aq-1", 6), ("tr-1", 6)]


def test_our_own_pause_is_not_held_against_the_devices() -> None:
    """After a night of ours, everyone gets a fresh start."""
    silence = rule()
    ticked(silence, range(3), [0, 0, 0])

    assert ticked(silence, range(600, 606), [0, 0, 0]) == []
    assert len(ticked(silence, range(606, 607), [0, 0, 0])) == 2


def test_sentences_say_how_long_and_since_when() -> None:
    """And what would end it."""
    silence = rule()
    ticked(silence, range(6), [0, 5, 0])
    now = START_NS + 6 * MINUTE_NS
    received = [START_NS, START_NS + 5 * MINUTE_NS, START_NS]

    (signal,) = silence.evaluate(step(now, ticked=True, last_received=received))

    assert signal.sentence.startswith("nothing has been received from tr-1 for 6 min, since 2026-")
    assert signal.clears_when == "anything is received from tr-1"
    assert (signal.observed, signal.expected, signal.unit) == (360.0, 300.0, "s")
    assert signal.at == now


def test_nothing_is_looked_at_between_ticks() -> None:
    """Time passes only with ticks."""
    assert rule().evaluate(step(START_NS + 10**6 * SECOND_NS, last_received=[0, 0, 0])) == []
