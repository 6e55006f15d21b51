# SPDX-License-Identifier: EUPL-1.2
"""Silence rules: per device, at ticks, fair about our own pauses."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lamppost.errors import ConfigError
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS
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


def reported(silence: Any, name_count: int, hours: list[bool]) -> list[tuple[str, bool, int]]:  # noqa: ANN401
    """Tick every minute; devices report in the hours that are true. Return who is said silent."""
    found = []
    received = START_NS
    for minute in range(60 * len(hours)):
        now = START_NS + minute * MINUTE_NS
        received = now if hours[minute // 60] else received
        signals = silence.evaluate(step(now, ticked=True, last_received=[received] * name_count))
        found += [(signal.subject, signal.active, minute) for signal in signals]
    return found


def unregistered(count: int = 1, **settings: Any) -> Any:  # noqa: ANN401 - settings of any type
    """Build a rule that knows no station but series of some invented names."""
    series = SeriesTable(SeriesKey(f"invented-{number}", "pm2_5") for number in range(count))
    raw = {"silent_s": 300, "registered_only": False, **settings}
    return build("alert", "silence", raw, series, {})


def test_invented_names_never_become_alerts() -> None:
    """Whoever may publish can invent names; nobody can repair such a device."""
    silence = unregistered(100, registered_only=True)

    assert reported(silence, 100, [True] * 5 + [False] * 2) == []


def test_a_sensor_registered_later_is_watched_from_then_on() -> None:
    """Its series were there before its station."""
    stations = dict(STATIONS)
    series = SeriesTable([SeriesKey("aq-2", "pm2_5")])
    silence = build("alert", "silence", {"silent_s": 300}, series, stations)
    ticked(silence, range(3), [0])
    stations["aq-2"] = Station(sensor="aq-2", latitude=0, longitude=0)

    found = ticked(silence, range(3, 10), [1])

    assert ("aq-2", True, 9) in found
    assert ("aq-2", True, 8) not in found


def test_an_unregistered_sensor_is_watched_after_hours_of_steady_reports() -> None:
    """One that spoke for an hour only was never watched."""
    brief = reported(unregistered(steady_for_s=7200), 1, [True, False, True, False])
    steady = reported(unregistered(steady_for_s=7200), 1, [True, True, True, False])

    assert brief == []
    assert steady[0] == ("invented-0", True, 60 * 3 + 5)


def test_the_alert_of_an_unregistered_sensor_ends_when_it_is_forgotten() -> None:
    """And it has to earn its place again."""
    silence = unregistered(steady_for_s=3600, forget_after_s=7200)

    found = reported(silence, 1, [True, True, False, False, False, True, False])

    assert found[0][1:] == (True, 125)
    assert found[-1][1:] == (False, 119 + 121)


def test_a_forgotten_sensor_is_said_to_be_watched_no_more() -> None:
    """It was not heard again, and the sentence does not say so."""
    silence = unregistered(steady_for_s=600, forget_after_s=1200)
    last = START_NS + 15 * MINUTE_NS
    said = [
        signal
        for now in range(START_NS, START_NS + 40 * MINUTE_NS, MINUTE_NS)
        for signal in silence.evaluate(step(now, ticked=True, last_received=[min(now, last)]))
    ]

    assert said[0].clears_when == "anything is received from invented-0, or nothing for 20 min"
    assert said[-1].sentence.startswith("invented-0 has not been heard since 2026-")
    assert said[-1].sentence.endswith("; it is no longer watched")


def test_our_own_pause_does_not_break_steady_reporting() -> None:
    """The hours before a restart of ours still count."""
    silence = unregistered(steady_for_s=7200)
    reported(silence, 1, [True, True])
    later = START_NS + 5 * HOUR_NS
    for minute in range(7):
        silence.evaluate(
            step(later + minute * MINUTE_NS, ticked=True, last_received=[later + MINUTE_NS])
        )

    (signal,) = silence.evaluate(
        step(later + 7 * MINUTE_NS, ticked=True, last_received=[later + MINUTE_NS])
    )

    assert signal.active


def test_a_sensor_must_be_remembered_for_longer_than_it_may_be_silent() -> None:
    """Otherwise its alert could never begin."""
    with pytest.raises(ConfigError, match="forget_after_s must exceed silent_s"):
        rule(forget_after_s=300)


def calls_of(action: Callable[[], object]) -> int:
    """Return how many Python functions an action calls."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls


def test_a_tick_costs_no_call_per_device() -> None:
    """A thousand stations are one set of arrays."""
    stations = {
        f"aq-{number}": Station(sensor=f"aq-{number}", latitude=0, longitude=0)
        for number in range(1000)
    }
    series = SeriesTable(SeriesKey(name, "pm2_5") for name in stations)
    silence = build("alert", "silence", {}, series, stations)
    heard = np.full(1000, START_NS).tolist()
    silence.evaluate(step(START_NS, ticked=True, last_received=heard))
    following = step(START_NS + SECOND_NS, ticked=True, last_received=heard)

    assert calls_of(lambda: silence.evaluate(following)) < 100
