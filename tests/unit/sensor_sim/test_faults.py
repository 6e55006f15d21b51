# SPDX-License-Identifier: EUPL-1.2
"""Every label says what its station's messages then show."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sensor_sim.calendar_time import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from sensor_sim.city import City
from sensor_sim.faults import FaultKind, FaultLabel, ListedProgramme
from sensor_sim.fleet import build_fleet
from sensor_sim.transmission import UNKNOWN_UNIT

NOW_NS = 1_795_341_600 * SECOND_NS
FROM_NS = NOW_NS + HOUR_NS
UNTIL_NS = NOW_NS + 2 * HOUR_NS
END_NS = NOW_NS + 3 * HOUR_NS
FLEET = build_fleet(1, 5, 5)
AIR, ROAD = "aq-002", "tr-002"
Bodies = list[dict[str, Any]]


def payloads(kind: FaultKind, sensor: str, quantity: str | None) -> list[tuple[int, bytes]]:
    """Return what one station sends in three hours of which the second is faulty."""
    fault = FaultLabel(sensor, quantity, kind, FROM_NS, UNTIL_NS)
    city = City(FLEET, 1, ListedProgramme((fault,)))
    messages = city.messages_between(NOW_NS, END_NS)
    return [(m.due_at_ns, m.payload) for m in messages if m.topic == f"v1/{sensor}/readings"]


def split(sent: list[tuple[int, bytes]]) -> tuple[list[bytes], list[bytes]]:
    """Return the payloads within the faulty hour, and the others."""
    during = [payload for due, payload in sent if FROM_NS <= due < UNTIL_NS]
    return during, [payload for due, payload in sent if not FROM_NS <= due < UNTIL_NS]


def column(bodies: Bodies, quantity: str) -> list[float]:
    """Return one quantity of some messages, NaN where it is not sent."""
    return [body["values"].get(quantity, math.nan) for body in bodies]


def healthy_column(sensor: str, quantity: str) -> np.ndarray[Any, Any]:
    """Return what the station would have sent in the faulty hour."""
    city = City(FLEET, 1, ListedProgramme())
    messages = city.messages_between(FROM_NS, UNTIL_NS)
    mine = [json.loads(m.payload) for m in messages if m.topic == f"v1/{sensor}/readings"]
    return np.array(column(mine, quantity))


def faulty_column(kind: FaultKind, sensor: str, quantity: str) -> np.ndarray[Any, Any]:
    """Return what the station sends in the faulty hour."""
    during, _ = split(payloads(kind, sensor, quantity))
    return np.array(column([json.loads(payload) for payload in during], quantity))


@pytest.mark.parametrize(
    ("kind", "sensor", "quantity", "shows"),
    [
        (FaultKind.STUCK, AIR, "pm2_5", lambda v, _: len(set(v)) == 1 and v[0] != 0),
        (FaultKind.SENTINEL, AIR, "pm2_5", lambda v, _: (v == 999.9).all()),
        (FaultKind.SENTINEL, AIR, "temperature", lambda v, _: (v == -200).all()),
        (FaultKind.SENTINEL, ROAD, "speed", lambda v, _: (v == 255).all()),
        (FaultKind.HUMIDITY_SATURATED, AIR, "humidity", lambda v, _: (v == 99.9).all()),
        (FaultKind.SPIKES, AIR, "pm2_5", lambda v, h: 1 < (v - h > 150).sum() < 25),
        (FaultKind.OFFSET_JUMP, AIR, "temperature", lambda v, h: np.allclose(v - h, 12.0)),
        (FaultKind.DRIFT, AIR, "pm2_5", lambda v, h: np.all(np.diff(v - h) > -0.11)),
        (FaultKind.DRIFT, AIR, "pm2_5", lambda v, h: 8.5 < (v - h)[-1] < 9.1),
        (FaultKind.LOCKED_ON, ROAD, "occupancy", lambda v, _: (v == 100).all()),
        (FaultKind.NO_HITS, ROAD, "vehicle_count", lambda v, _: (v == 0).all()),
        (FaultKind.CHATTER, ROAD, "flow", lambda v, _: (v == 7200).all()),
    ],
)
def test_a_fault_of_values_shows_in_the_values(
    kind: FaultKind, sensor: str, quantity: str, shows: Callable[..., bool]
) -> None:
    """The faulty hour shows the fault, beside what the station would have sent."""
    values, healthy = faulty_column(kind, sensor, quantity), healthy_column(sensor, quantity)

    assert len(values) == len(healthy) == 60
    assert shows(values, healthy)


@pytest.mark.parametrize("kind", list(FaultKind))
def test_outside_its_interval_a_fault_changes_nothing(kind: FaultKind) -> None:
    """The hours before and after are those of a healthy station, byte for byte."""
    sensor = ROAD if kind in {FaultKind.LOCKED_ON, FaultKind.NO_HITS, FaultKind.CHATTER} else AIR
    quantity = "humidity" if kind == FaultKind.HUMIDITY_SATURATED else None
    city = City(FLEET, 1, ListedProgramme())
    healthy = [
        (m.due_at_ns, m.payload)
        for m in city.messages_between(NOW_NS, END_NS)
        if m.topic == f"v1/{sensor}/readings"
    ]

    during, outside = split(payloads(kind, sensor, quantity))

    assert outside == split(healthy)[1]
    assert kind == FaultKind.DUPLICATE or during != split(healthy)[0]


def test_silence_sends_nothing() -> None:
    """The faulty hour is empty."""
    assert split(payloads(FaultKind.SILENCE, AIR, None))[0] == []


def test_duplicates_are_sent_twice_byte_for_byte() -> None:
    """Every payload of the hour occurs twice."""
    during, _ = split(payloads(FaultKind.DUPLICATE, AIR, None))

    assert len(during) == 120
    assert len(set(during)) == 60


def test_malformed_payloads_are_cut_short() -> None:
    """No payload of the hour can be read as JSON."""
    during, _ = split(payloads(FaultKind.MALFORMED, AIR, None))

    assert len(during) == 60
    for payload in during:
        with pytest.raises(ValueError, match=r"."):
            json.loads(payload)


@pytest.mark.parametrize(
    ("kind", "offset_ns"),
    [
        (FaultKind.CLOCK_DAY_AHEAD, DAY_NS),
        (FaultKind.CLOCK_HOUR_AHEAD, HOUR_NS),
        (FaultKind.CLOCK_EPOCH, -FROM_NS),
    ],
)
def test_a_wrong_clock_shifts_the_time_and_not_the_values(kind: FaultKind, offset_ns: int) -> None:
    """Times are off by the stated amount."""
    sent = [(due, p) for due, p in payloads(kind, AIR, None) if FROM_NS <= due < UNTIL_NS]
    times = [np.datetime64(json.loads(p)["time"].rstrip("Z"), "s") for _, p in sent]

    seconds = [due // SECOND_NS for due, _ in sent]
    shown = [int(time.astype(np.int64)) for time in times]
    assert [s - d for s, d in zip(shown, seconds, strict=True)] == [offset_ns // SECOND_NS] * 60


def test_absent_values_are_null_or_the_word_nan() -> None:
    """Null is JSON; NaN is not, and is sent all the same."""
    null, _ = split(payloads(FaultKind.NULL_VALUE, AIR, "pm2_5"))
    nan, _ = split(payloads(FaultKind.NAN_VALUE, AIR, "pm2_5"))

    assert all(b'"pm2_5":null' in payload for payload in null)
    assert all(b'"pm2_5":NaN' in payload for payload in nan)


def test_unknown_units_and_names_are_sent_as_such() -> None:
    """The unit or the name is one that nobody has agreed on."""
    unit, _ = split(payloads(FaultKind.UNKNOWN_UNIT, AIR, "pm2_5"))
    name, _ = split(payloads(FaultKind.UNKNOWN_QUANTITY, AIR, "pm2_5"))

    assert all(json.loads(payload)["units"]["pm2_5"] == UNKNOWN_UNIT for payload in unit)
    assert all("glow_pm2_5" in json.loads(payload)["values"] for payload in name)
    assert all("pm2_5" not in json.loads(payload)["values"] for payload in name)


def test_batches_are_cut_where_a_fault_of_the_line_begins_and_ends() -> None:
    """History shows silence as a gap of just the faulty hour."""
    fault = FaultLabel(AIR, None, FaultKind.SILENCE, FROM_NS, UNTIL_NS)
    city = City(FLEET, 1, ListedProgramme((fault,)))
    messages = [m for m in city.history(NOW_NS, END_NS, 60) if AIR in m.topic]

    sizes = [len(json.loads(message.payload)["time"]) for message in messages]

    assert sizes == [60, 60]
    assert messages[0].due_at_ns < FROM_NS <= UNTIL_NS <= messages[1].due_at_ns + HOUR_NS


def test_a_stuck_value_is_the_same_in_every_cut_of_time() -> None:
    """Asking for the last minute alone gives the value of the first."""
    fault = FaultLabel(AIR, "pm2_5", FaultKind.STUCK, FROM_NS, UNTIL_NS)
    city = City(FLEET, 1, ListedProgramme((fault,)))
    ends = [(FROM_NS, FROM_NS + MINUTE_NS), (UNTIL_NS - MINUTE_NS, UNTIL_NS)]

    shown = [
        json.loads(message.payload)["values"]["pm2_5"]
        for first, last in ends
        for message in city.messages_between(first, last)
        if AIR in message.topic
    ]

    assert len(shown) == 2
    assert shown[0] == shown[1]


def test_a_fault_of_an_unknown_station_is_ignored() -> None:
    """A label for a sensor that the fleet has not changes nothing."""
    stray = ListedProgramme((FaultLabel("aq-999", None, FaultKind.STUCK, NOW_NS, END_NS),))

    with_stray = City(FLEET, 1, stray).messages_between(NOW_NS, NOW_NS + MINUTE_NS)

    assert with_stray == City(FLEET, 1, ListedProgramme()).messages_between(
        NOW_NS, NOW_NS + MINUTE_NS
    )
