# SPDX-License-Identifier: EUPL-1.2
"""The rule about clocks: per device, with a reason, and fair about our own clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lamppost.alerts import Signal
from lamppost.clock_skew import ClockBatch
from lamppost.errors import ConfigError
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from tests.processor_cases import START_NS, build, step

STATIONS = {
    "aq-2": Station(sensor="aq-2", kind="air_quality", latitude=0, longitude=0, period_s=600),
}
KEYS = (SeriesKey("aq-1", "pm2_5"), SeriesKey("aq-1", "no2"), SeriesKey("aq-2", "pm2_5"))
MANY = tuple(SeriesKey(f"tr-{number:02d}", "flow") for number in range(12))


def rule(keys: tuple[SeriesKey, ...] = KEYS, **settings: Any) -> Any:  # noqa: ANN401
    """Build a rule over a sensor with two series, and a station that sends every ten minutes."""
    return build("alert", "clock_skew", settings, SeriesTable(keys), STATIONS)


def told(
    clock_skew: Any,  # noqa: ANN401
    skews_s: Mapping[int, float],
    at_ns: int = 0,
    *,
    spread_s: float = 0.0,
) -> list[Signal]:
    """Tell the rule the skews of some series, and return what it says."""
    codes = sorted(skews_s)
    now = START_NS + at_ns
    clocks = ClockBatch(
        series=np.array(codes, np.int32),
        skew=np.array([round(skews_s[code] * SECOND_NS) for code in codes], np.int64),
        spread=np.full(len(codes), round(spread_s * SECOND_NS)),
        readings=np.full(len(codes), 5),
        until=np.full(len(codes), now),
    )
    return clock_skew.evaluate(replace(step(now, ticked=True), clocks=clocks))


def said(signals: list[Signal]) -> list[tuple[str, bool]]:
    """Return who, and whether it holds."""
    return [(signal.subject, signal.active) for signal in signals]


def test_a_clock_an_hour_ahead_is_local_time_sent_as_utc() -> None:
    """One signal for the device, with numbers, the reason, and what ends it."""
    (signal,) = told(rule(), {0: -3598.0, 1: -3598.0, 2: 0.1})

    assert (signal.subject, signal.quantity, signal.active) == ("aq-1", "", True)
    assert signal.sentence == (
        "the clock of aq-1 is 1 h ahead: probably local time sent as UTC;"
        " readings too far in the future are filed under the time of their receipt"
    )
    assert (signal.observed, signal.band_low, signal.band_high) == (-3598.0, -60.0, 60.0)
    assert signal.clears_when == "time given and time of receipt agree within 30 s for half an hour"


@pytest.mark.parametrize(
    ("skew_s", "sentence"),
    [
        (
            3602.0,
            (
                "the clock of aq-1 is 1 h behind: probably local time sent as UTC;"
                " its readings are filed 1 h too early"
            ),
        ),
        (
            300.0,
            (
                "the clock of aq-1 is 5 min behind, or its readings take that long;"
                " if it is the clock, they are filed 5 min too early"
            ),
        ),
        (
            START_NS / SECOND_NS,
            (
                "the clock of aq-1 is not set, it says 1970-01-01;"
                " its readings are filed under the time of their receipt"
            ),
        ),
    ],
)
def test_the_sentence_says_what_is_wrong_and_what_it_does(skew_s: float, sentence: str) -> None:
    """For whoever owns the sensor."""
    (signal,) = told(rule(), {0: skew_s})

    assert signal.sentence == sentence


def test_it_ends_closer_than_it_began() -> None:
    """A clock at the limit is one alert."""
    clock_skew = rule()
    skews = [-59.0, -61.0, -31.0, -61.0, -29.0, -31.0]

    found = [said(told(clock_skew, {0: skew}, n * MINUTE_NS)) for n, skew in enumerate(skews)]

    assert found == [[], [("aq-1", True)], [("aq-1", True)], [("aq-1", True)],
                     [("aq-1", False)], []]  # fmt: skip


def test_a_device_is_wrong_while_any_of_its_series_is() -> None:
    """A station may have several loggers."""
    clock_skew = rule()
    told(clock_skew, {0: -90.0, 1: -300.0})

    (first,) = told(clock_skew, {0: 0.0}, MINUTE_NS * 10)
    (second,) = told(clock_skew, {1: 0.2}, MINUTE_NS * 20)

    assert first.active
    assert first.observed == -300.0
    assert (second.active, second.sentence) == (
        False,
        "the clock of aq-1 is right within a second",
    )


def test_what_is_late_by_varying_times_is_no_clock() -> None:
    """It neither begins nor goes on by delays."""
    clock_skew = rule()
    assert told(clock_skew, {0: 600.0}, spread_s=120.0) == []
    assert said(told(clock_skew, {0: 600.0}, MINUTE_NS)) == [("aq-1", True)]

    (signal,) = told(clock_skew, {0: 600.0}, 2 * MINUTE_NS, spread_s=120.0)

    assert signal.sentence == (
        "the readings of aq-1 come late by varying times; its clock cannot be judged"
    )


def test_what_varies_at_the_limit_is_one_alert() -> None:
    """It begins when it is steady to 5 %, and ends when it varies by more than 10 %."""
    clock_skew = rule()
    spreads = [31.0, 29.0, 59.0, 31.0, 61.0, 59.0]

    found = [
        said(told(clock_skew, {0: 600.0}, n * MINUTE_NS, spread_s=spread))
        for n, spread in enumerate(spreads)
    ]

    on, off = [("aq-1", True)], [("aq-1", False)]
    assert found == [[], on, on, on, off, []]


def test_slow_stations_are_given_their_own_time() -> None:
    """A reading that names the beginning of its ten minutes is not late, nor one that waited."""
    clock_skew = rule()

    assert told(clock_skew, {2: 1_190.0}) == []
    (signal,) = told(clock_skew, {2: 1_210.0})
    assert signal.band_high == 1_200.0
    assert said(told(rule(), {2: -61.0})) == [("aq-2", True)]


def test_when_most_are_off_by_the_same_it_is_our_own_clock() -> None:
    """One alert about this machine, and only those that differ from the others beside it."""
    clock_skew = rule(MANY)
    everybody = {code: -301.0 + code / 10 for code in range(11)}

    found = told(clock_skew, {**everybody, 11: -3_600.0})

    assert said(found) == [("", True), ("tr-11", True)]
    assert found[0].qualifiers == "clock=ours"
    assert found[0].sentence == (
        "most of 12 sensors are off by the same: the clock of this machine is probably 5 min"
        " behind; compare it with a time server"
    )


def test_our_own_clock_takes_the_alerts_of_devices_back() -> None:
    """What was said of a device before the others followed was not about it."""
    clock_skew = rule(MANY)
    assert said(told(clock_skew, {0: 300.0})) == [("tr-00", True)]

    found = told(clock_skew, dict.fromkeys(range(12), 300.0), MINUTE_NS)
    assert said(found) == [("", True), ("tr-00", False)]
    assert "is probably 5 min ahead, or all readings take that long" in found[0].sentence
    assert found[1].sentence == "most sensors are off as tr-00 is: it is not its clock"

    found = told(clock_skew, dict.fromkeys(range(12), 0.0), 2 * MINUTE_NS)
    assert said(found) == [("", False)]
    assert told(clock_skew, dict.fromkeys(range(12), 0.0), 3 * MINUTE_NS) == []


def test_a_fleet_that_is_late_or_slow_by_itself_says_nothing_about_our_clock() -> None:
    """Readings that queue up behind an outage; hourly stations that name the hour's beginning."""
    late = rule(MANY)
    stations = {
        key.sensor: Station(
            sensor=key.sensor, kind="traffic", latitude=0, longitude=0, period_s=3_600
        )
        for key in MANY
    }
    hourly = build("alert", "clock_skew", {}, SeriesTable(MANY), stations)

    assert told(late, dict.fromkeys(range(12), 900.0), spread_s=300.0) == []
    assert told(hourly, dict.fromkeys(range(12), 3_700.0)) == []


def test_few_sensors_say_nothing_about_our_clock() -> None:
    """Three citizens with the same firmware may all be wrong."""
    found = told(rule(MANY[:3]), dict.fromkeys(range(3), -3_600.0))

    assert said(found) == [("tr-00", True), ("tr-01", True), ("tr-02", True)]


@pytest.mark.parametrize("keys", [KEYS, MANY])
def test_what_nothing_is_heard_of_any_more_is_no_longer_judged(
    keys: tuple[SeriesKey, ...],
) -> None:
    """A device that is gone, and all of them."""
    clock_skew = rule(keys)
    wrong = {0: -90.0} if keys is KEYS else dict.fromkeys(range(12), -90.0)
    (first,) = told(clock_skew, wrong)

    assert clock_skew.evaluate(step(START_NS + DAY_NS, ticked=True)) == []
    (signal,) = clock_skew.evaluate(step(START_NS + DAY_NS + 1, ticked=True))

    assert (signal.subject, signal.active) == (first.subject, False)
    assert clock_skew.evaluate(step(START_NS + DAY_NS + HOUR_NS, ticked=True)) == []


def test_it_must_end_within_where_it_begins() -> None:
    """Otherwise it would never end."""
    with pytest.raises(ConfigError, match="clear_s must not exceed off_s"):
        rule(clear_s=90)
