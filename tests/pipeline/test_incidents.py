# SPDX-License-Identifier: EUPL-1.2
"""An accident of the simulated city becomes an alert that says between which stations it is."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lamppost import log
from lamppost.batch import JudgedBatch
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Record
from lamppost.stations import parse_stations
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS
from lamppost_app.engine import Engine
from sensor_sim.city import City
from sensor_sim.events import EventKind
from sensor_sim.faults import ListedProgramme
from sensor_sim.fleet import build_fleet, to_geojson
from sensor_sim.programme import standard_programme
from tests.processor_conformance import POLICY

# Half past eight of a Monday in the city.
BEGIN = 1_795_419_000 * SECOND_NS
FLEET = build_fleet(1, 0, 40)


def entries(city: City, minutes: int) -> Iterator[Entry]:
    """Yield the inbox of some minutes of a city that is heard live."""
    stations = parse_stations(json.dumps(to_geojson(FLEET)), "fleet")
    registration = json.dumps([station.model_dump() for station in stations]).encode()
    records = [
        Record(log.POLICY, BEGIN, POLICY.canonical().encode()),
        Record(log.REGISTRATION, BEGIN, registration),
    ]
    for number in range(minutes):
        start, end = BEGIN + number * MINUTE_NS, BEGIN + (number + 1) * MINUTE_NS
        deliveries = Deliveries()
        for message in city.messages_between(start, end):
            deliveries.add(message.topic, message.payload, message.due_at_ns, source="mqtt")
        records += [Record(log.FRAME, end, deliveries.to_bytes()), Record(log.TICK, end, b"")]
    for number, record in enumerate(records, 1):
        yield Entry(number, *record)


def test_an_accident_between_two_stations_is_told() -> None:
    """By the rule of the default policy, at the station before it, while it lasts."""
    programme = standard_programme(FLEET, 1, BEGIN)
    accidents = [
        event
        for event in programme.events_between(BEGIN + 11 * MINUTE_NS, BEGIN + HOUR_NS)
        if event.kind == EventKind.TRAFFIC_INCIDENT and event.start_ns > BEGIN
    ]
    (accident,) = accidents
    sensor = FLEET.stations[accident.place].sensor
    engine = Engine()
    found, quantities = [], set()

    for entry in entries(City(FLEET, 1, ListedProgramme((), (accident,))), 40):
        for record in engine.apply(entry):
            if record.kind == log.ALERTS:
                found += [event for event in json.loads(record.body) if event["kind"] == "firing"]
            if record.kind == log.READINGS:
                batch = JudgedBatch.from_arrow(arrow_batch(record.body))
                quantities |= {engine.series[code].quantity for code in set(batch.series.tolist())}

    (incident,) = [event for event in found if event["rule"] == "traffic_incident"]
    assert incident["sensor"] == sensor
    assert accident.start_ns < incident["since"] <= accident.start_ns + 10 * MINUTE_NS
    assert " km downstream: difference " in incident["sentence"]
    assert {"density", "level_of_service", "travel_time_index", "delay"} <= quantities
