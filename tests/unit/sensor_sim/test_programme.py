# SPDX-License-Identifier: EUPL-1.2
"""The standard programme always has something to find, and never too much."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor_sim.calendar_time import HOUR_NS, MINUTE_NS, SECOND_NS
from sensor_sim.city import City
from sensor_sim.events import EventKind
from sensor_sim.faults import FaultKind, ListedProgramme
from sensor_sim.fleet import build_fleet
from sensor_sim.programme import AIR_ORDERS, TRAFFIC_ORDERS, standard_programme

NOW_NS = 1_795_298_400 * SECOND_NS
FLEET = build_fleet(1)
PROGRAMME = standard_programme(FLEET, 1, NOW_NS)
CITY = City(FLEET, 1, PROGRAMME)
YEAR_S = 365 * 86_400


@given(st.integers(-YEAR_S, YEAR_S))
def test_at_any_time_3_to_6_percent_of_the_stations_are_faulty(offset_s: int) -> None:
    """Far in the past and far ahead the share is the same, one fault to a station."""
    instant_ns = NOW_NS + offset_s * SECOND_NS

    faults = PROGRAMME.faults_between(instant_ns, instant_ns + 1)

    sensors = {fault.sensor for fault in faults}
    assert len(sensors) == len(faults)
    assert 0.03 <= len(sensors) / len(FLEET) <= 0.06


@settings(max_examples=50)
@given(st.integers(-100_000, 100_000), st.integers(0, 100_000), st.integers(0, 100_000))
def test_faults_and_events_do_not_depend_on_where_time_is_cut(
    start_s: int, first_s: int, second_s: int
) -> None:
    """Two halves of an interval name the same things as the whole."""
    start, middle = NOW_NS + start_s * SECOND_NS, NOW_NS + (start_s + first_s) * SECOND_NS
    end = middle + second_s * SECOND_NS

    for between in (PROGRAMME.faults_between, PROGRAMME.events_between):
        halves = {*between(start, middle), *between(middle, end)}
        assert halves == set(between(start, end))
        assert all(x.start_ns < end and x.end_ns > start for x in halves)


def test_every_kind_of_fault_has_its_turn() -> None:
    """A few days show every order of the programme."""
    faults = PROGRAMME.faults_between(NOW_NS, NOW_NS + 96 * HOUR_NS)

    shown = {(fault.kind, fault.quantity, fault.note) for fault in faults}
    assert shown == {*AIR_ORDERS, *TRAFFIC_ORDERS}
    assert {fault.kind for fault in faults} == set(FaultKind)


def test_a_demo_starts_with_several_faults_and_a_change_within_a_minute() -> None:
    """Eleven or so are under way, and some begin or end before the minute is over."""
    soon = PROGRAMME.faults_between(NOW_NS, NOW_NS + 60 * SECOND_NS)
    history = PROGRAMME.faults_between(NOW_NS - 26 * HOUR_NS, NOW_NS)

    assert len(soon) >= 8
    assert any(NOW_NS < fault.start_ns < NOW_NS + 60 * SECOND_NS for fault in soon)
    assert len({fault.kind for fault in history}) >= 8


def test_smoke_lies_over_several_stations_when_a_demo_starts() -> None:
    """PM2.5 is above 150 at three stations or more, for 20 minutes already and for 2 hours yet."""
    places = np.arange(150, dtype=np.int64)
    quiet = City(FLEET, 1, ListedProgramme())

    def above(minutes: int) -> int:
        time_ns = np.full(150, NOW_NS + minutes * MINUTE_NS, dtype=np.int64)
        smoky, clean = (c.readings(places, time_ns)["pm2_5"] for c in (CITY, quiet))
        return int(((smoky > 150) & (smoky < 400) & (clean < 40)).sum())

    assert above(-21) <= 3
    assert min(above(minutes) for minutes in (-15, -5, 0, 1, 30, 120)) >= 3


def test_an_accident_slows_a_detector_when_a_demo_starts() -> None:
    """The label's station is slower than without the accident."""
    (label, *_) = [
        label
        for label in CITY.labels_between(NOW_NS, NOW_NS + MINUTE_NS)
        if label.kind == EventKind.TRAFFIC_INCIDENT
    ]
    time_ns = NOW_NS + np.arange(30, dtype=np.int64) * MINUTE_NS
    places = np.full(30, CITY.sites.index[label.sensor], dtype=np.int64)
    events = ListedProgramme((), PROGRAMME.events_between(NOW_NS, NOW_NS + HOUR_NS))

    slowed = City(FLEET, 1, events).readings(places, time_ns)["speed"]
    usual = City(FLEET, 1, ListedProgramme()).readings(places, time_ns)["speed"]

    assert np.nanmedian(slowed) < 0.6 * np.nanmedian(usual)


def test_labels_name_every_fault_and_the_stations_in_the_smoke() -> None:
    """Events become one label for each station that feels them, and are no faults."""
    labels = CITY.labels_between(NOW_NS, NOW_NS + MINUTE_NS)
    smoky = [label for label in labels if label.kind == EventKind.SMOKE_PLUME]

    assert len(smoky) >= 3
    assert all(label.sensor.startswith("aq-") and not label.is_fault for label in smoky)
    assert {label for label in labels if label.is_fault} == set(
        PROGRAMME.faults_between(NOW_NS, NOW_NS + MINUTE_NS)
    )


def test_stations_without_a_label_send_healthy_messages() -> None:
    """What no label names equals the message of a city where all is well."""
    until_ns = NOW_NS + MINUTE_NS
    named = {label.sensor for label in CITY.labels_between(NOW_NS, until_ns)}
    near = {
        station.sensor
        for event in PROGRAMME.events_between(NOW_NS, until_ns)
        for station, reach, lacking in zip(
            FLEET.stations,
            event.reach(*FLEET.position_m()),
            event.shortage(CITY.sites.roads),
            strict=True,
        )
        if reach > 0 or lacking > 0
    }
    healthy = set(City(FLEET, 1, ListedProgramme()).messages_between(NOW_NS, until_ns))

    for message in CITY.messages_between(NOW_NS, until_ns):
        sensor = message.topic.split("/")[1]
        if sensor not in named | near:
            assert message in healthy
            assert json.loads(message.payload)["sensor"] == sensor


@pytest.mark.parametrize(("air_quality", "traffic"), [(0, 0), (1, 0), (0, 1), (3, 2)])
def test_small_fleets_have_a_programme_too(air_quality: int, traffic: int) -> None:
    """One station of each kind is enough for a fault."""
    fleet = build_fleet(1, air_quality, traffic)
    programme = standard_programme(fleet, 1, NOW_NS)

    faults = programme.faults_between(NOW_NS, NOW_NS + 1)

    assert len(faults) == min(air_quality, 1) + min(traffic, 1)
    assert programme.faults_between(NOW_NS, NOW_NS) == ()
    assert programme.events_between(NOW_NS, NOW_NS) == ()
