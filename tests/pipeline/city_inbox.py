# SPDX-License-Identifier: EUPL-1.2
"""Fills an inbox the way an intake would, from the simulated city."""

from __future__ import annotations

import json
from pathlib import Path

from lamppost import log
from lamppost.frames import Deliveries
from lamppost.log import Record
from lamppost.policy import load_policy
from lamppost.stations import parse_stations
from lamppost.times import HOUR_NS, MINUTE_NS
from sensor_sim.city import City
from sensor_sim.faults import Programme
from sensor_sim.fleet import build_fleet, to_geojson
from sensor_sim.programme import standard_programme

POLICY = Path(__file__).parents[2] / "policy"
BEGIN = 1_795_000_000 * 1_000_000_000 // HOUR_NS * HOUR_NS


def city_records(
    minutes: int,
    *,
    air_quality: int = 12,
    traffic: int = 8,
    programme: Programme | None = None,
) -> list[Record]:
    """Return the inbox of some minutes of a small city, four frames and a tick a minute."""
    fleet = build_fleet(7, air_quality, traffic)
    city = City(fleet, 7, programme or standard_programme(fleet, 7, BEGIN))
    stations = parse_stations(json.dumps(to_geojson(fleet)), "fleet")
    registration = json.dumps([station.model_dump() for station in stations]).encode()
    records = [
        Record(log.POLICY, BEGIN, load_policy(POLICY).canonical().encode()),
        Record(log.REGISTRATION, BEGIN, registration),
    ]
    quarter = MINUTE_NS // 4
    for number in range(4 * minutes):
        start = BEGIN + number * quarter
        records += _frame(city, start, start + quarter)
        if number % 4 == 3:
            records.append(Record(log.TICK, start + quarter, b""))
    records.append(Record(log.TICK, BEGIN + minutes * MINUTE_NS + 2 * HOUR_NS, b""))
    return records


def _frame(city: City, start: int, end: int) -> list[Record]:
    deliveries = Deliveries()
    for message in city.messages_between(start, end):
        deliveries.add(message.topic, message.payload, message.due_at_ns, source="mqtt")
    return [Record(log.FRAME, end, deliveries.to_bytes())] if len(deliveries) else []
