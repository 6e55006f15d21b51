# SPDX-License-Identifier: EUPL-1.2
"""The city's messages are a pure function of seed, station and time."""

from __future__ import annotations

import json
from itertools import pairwise
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor_sim.calendar_time import HOUR_NS, MINUTE_NS, SECOND_NS
from sensor_sim.city import LONGEST_BATCH, City
from sensor_sim.faults import ListedProgramme
from sensor_sim.fleet import build_fleet
from sensor_sim.programme import standard_programme

NOW_NS = 1_795_298_400 * SECOND_NS
FLEET = build_fleet(1, 20, 12)
CITY = City(FLEET, 1, standard_programme(FLEET, 1, NOW_NS))
WELL = City(FLEET, 1, ListedProgramme())
MINUTES = CITY.messages_between(NOW_NS, NOW_NS + 4 * MINUTE_NS)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4 * 60_000), max_size=6))
def test_live_messages_do_not_depend_on_where_time_is_cut(cuts_ms: list[int]) -> None:
    """Any partition of four minutes gives the same messages in the same order."""
    bounds = [0, *sorted(cuts_ms), 4 * 60_000]
    parts = [
        message
        for first, last in pairwise(bounds)
        for message in CITY.messages_between(NOW_NS + first * 10**6, NOW_NS + last * 10**6)
    ]

    assert parts == MINUTES


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 32 * 40), st.permutations(range(20)))
def test_values_do_not_depend_on_batch_or_order(cut: int, order: list[int]) -> None:
    """Readings in two parts, or in another order, are the same to the last bit."""
    time_ns = np.repeat(NOW_NS - np.arange(40, dtype=np.int64) * HOUR_NS, len(FLEET))
    places = np.tile(np.arange(len(FLEET), dtype=np.int64), 40)
    whole = CITY.readings(places, time_ns)
    first, last = (CITY.readings(places[s], time_ns[s]) for s in (slice(cut), slice(cut, None)))
    picked = CITY.readings(places[order], time_ns[order])

    for quantity, values in whole.items():
        absent = np.full(len(values), np.nan)
        head = first.get(quantity, absent[:cut])
        tail = last.get(quantity, absent[cut:])
        assert np.array_equal(np.concatenate([head, tail]), values, equal_nan=True)
        shown = picked.get(quantity, absent[order])
        assert np.array_equal(shown, values[order], equal_nan=True)


def test_the_seed_decides_everything() -> None:
    """The same seed repeats each byte, another seed changes the values."""
    again = City(FLEET, 1, standard_programme(FLEET, 1, NOW_NS))
    other = City(FLEET, 2, ListedProgramme())

    assert again.messages_between(NOW_NS, NOW_NS + 4 * MINUTE_NS) == MINUTES
    assert other.messages_between(NOW_NS, NOW_NS + MINUTE_NS) != WELL.messages_between(
        NOW_NS, NOW_NS + MINUTE_NS
    )


def test_every_healthy_station_speaks_once_in_a_period() -> None:
    """Stations are spread over the minute, and each has one message in it."""
    messages = WELL.messages_between(NOW_NS, NOW_NS + MINUTE_NS)

    assert sorted(m.topic for m in messages) == sorted(
        f"v1/{station.sensor}/readings" for station in FLEET.stations
    )
    assert len({m.due_at_ns for m in messages}) > len(messages) * 0.9
    assert all(NOW_NS <= m.due_at_ns < NOW_NS + MINUTE_NS for m in messages)


def test_history_at_the_period_of_the_stations_is_what_live_time_would_send() -> None:
    """Every reading of the batches equals the live reading of the same station and time."""
    batched: dict[tuple[str, object], dict[str, object]] = {}
    for message in WELL.history(NOW_NS, NOW_NS + 10 * MINUTE_NS, 60):
        body = json.loads(message.payload)
        for row, time in enumerate(body["time"]):
            values = {q: column[row] for q, column in body["values"].items()}
            batched[body["sensor"], time] = {q: v for q, v in values.items() if v is not None}

    live = WELL.messages_between(NOW_NS, NOW_NS + 10 * MINUTE_NS)

    assert len(batched) == len(live)
    for message in live:
        body = json.loads(message.payload)
        assert batched[body["sensor"], body["time"]] == body["values"]


def test_history_comes_in_batches_without_gaps() -> None:
    """A healthy station sends every step once, at most 120 to a message."""
    messages = list(WELL.history(NOW_NS - 26 * HOUR_NS, NOW_NS, 300))
    times: dict[str, int] = {}
    for message in messages:
        body = json.loads(message.payload)
        assert len(body["time"]) <= LONGEST_BATCH
        assert all(len(column) == len(body["time"]) for column in body["values"].values())
        times[body["sensor"]] = times.get(body["sensor"], 0) + len(body["time"])

    assert set(times.values()) == {312}
    assert len(times) == len(FLEET)


def test_some_stations_send_other_units() -> None:
    """Values in ppb and in degrees Fahrenheit carry their unit."""
    fleet = build_fleet(1)
    city = City(fleet, 1, ListedProgramme())
    bodies = [json.loads(m.payload) for m in city.messages_between(NOW_NS, NOW_NS + MINUTE_NS)]
    units = [body["units"] for body in bodies if "units" in body]

    assert {"no2": "ppb"} in units
    assert {"temperature": "degF"} in units
    assert {type(body["time"]) for body in bodies} == {int, str}


def test_healthy_air_is_clean_and_healthy_loops_agree_with_themselves() -> None:
    """Without faults and events no value looks like one."""
    time_ns = NOW_NS - np.arange(7 * 24, dtype=np.int64) * HOUR_NS
    air = WELL.readings(np.zeros(len(time_ns), dtype=np.int64), time_ns)
    road = WELL.readings(np.full(len(time_ns), 20, dtype=np.int64), time_ns)

    assert air["pm2_5"].max() < 80
    assert air["humidity"].max() < 99
    assert np.isnan(road["speed"][road["vehicle_count"] == 0]).all()
    assert (road["flow"] == road["vehicle_count"] * 60).all()


def test_an_empty_interval_has_no_messages() -> None:
    """No time and no stations both give nothing."""
    empty = build_fleet(1, 0, 0)

    assert WELL.messages_between(NOW_NS, NOW_NS) == []
    assert list(WELL.history(NOW_NS, NOW_NS)) == []
    nobody = City(empty, 1, standard_programme(empty, 1, NOW_NS))
    assert nobody.messages_between(NOW_NS, NOW_NS + MINUTE_NS) == []


@pytest.mark.slow
def test_a_day_of_the_whole_city_takes_seconds_and_a_second_milliseconds() -> None:
    """The budgets of history and of live pacing hold with room to spare."""
    fleet = build_fleet(1)
    city = City(fleet, 1, standard_programme(fleet, 1, NOW_NS))
    started_at = perf_counter()
    list(city.history(NOW_NS - 26 * HOUR_NS, NOW_NS, 300))
    history_s = perf_counter() - started_at
    started_at = perf_counter()
    for second in range(20):
        city.messages_between(NOW_NS + second * SECOND_NS, NOW_NS + (second + 1) * SECOND_NS)
    second_s = (perf_counter() - started_at) / 20

    assert history_s < 5
    assert second_s < 0.05
