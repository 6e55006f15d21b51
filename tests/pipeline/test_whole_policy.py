# SPDX-License-Identifier: EUPL-1.2
"""A city under the policy with everything on: each part of it has its say, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from lamppost import log
from lamppost.batch import IndexBatch, JudgedBatch
from lamppost.component import registered
from lamppost.flags import FAIL, MISSING
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Record
from lamppost.series import SeriesKey, qualifiers_mapping
from lamppost.stations import Station
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS, format_instant
from lamppost_app.engine import Engine
from tests.processor_conformance import EVERYTHING
from tests.processor_conformance import POLICY as DEFAULT

BEGIN = 1_795_000_000 * SECOND_NS // (24 * HOUR_NS) * 24 * HOUR_NS
HOURS = 8 * 24
MINUTES = 40
ACCIDENT = range(15, 32)
ROAD: dict[str, Any] = {
    "kind": "traffic",
    "latitude": 52.5,
    "period_s": 60,
    "lanes": 2,
    "lane_type": "mainline",
    "free_flow_speed_km_h": 100,
    "detector_length_m": 1.8,
    "corridor": "A 1 north",
}
STATIONS = [
    Station(sensor="reference-1", kind="air_quality", latitude=52.5, longitude=13.4, period_s=3600),
    Station(sensor="compare-1", kind="air_quality", latitude=52.5, longitude=13.4, period_s=3600),
    Station(sensor="pa-1", kind="air_quality", latitude=52.51, longitude=13.4, period_s=3600),
    Station(sensor="tr-1", longitude=13.1, position_km=1, road_class="freeway", **ROAD),
    Station(sensor="tr-2", longitude=13.2, position_km=2, road_class="street_2", **ROAD),
    Station(
        sensor="tr-3",
        longitude=13.3,
        position_km=9,
        **ROAD | {"detector": "single_loop", "free_flow_speed_km_h": None},
    ),
]


def air(hour: int) -> Iterator[tuple[str, dict[str, float], dict[str, str]]]:
    """Yield what the stations measure in an hour: a reference, and two sensors that show more."""
    truth = 14 + 9 * np.sin(2 * np.pi * hour / 24) + 5 * np.sin(hour / 7)
    humidity = 60 - 20 * np.cos(2 * np.pi * hour / 24)
    gases = {"no2": 40 + truth, "o3": 60 - truth, "so2": 5 + truth / 9, "co": 300 + truth}
    yield "reference-1", {"pm2_5": truth, "pm10": truth + 8 + hour % 3, **gases}, {}
    shown = 1.7 * truth + 3 + hour % 2
    for sensor in ("compare-1", "pa-1"):
        particles = {"pm1": 0.7 * shown, "pm2_5": shown, "pm2_5_cf1": shown, "pm10": shown + 6}
        climate = {"temperature": 8 + truth / 4, "pressure": 1000 + truth / 3}
        yield sensor, {**particles, **climate, "humidity": humidity}, {}


def road(minute: int) -> Iterator[tuple[str, dict[str, float], dict[str, str]]]:
    """Yield what detectors count in a minute; an accident closes a lane between the first two."""
    stuck = minute in ACCIDENT
    sway = minute % 3
    yield "tr-1", {"flow": 900 + 60 * sway, "speed": 12 if stuck else 90 - sway,
                   "occupancy": 48 if stuck else 10 + sway}, {}  # fmt: skip
    yield "tr-2", {"flow": 800 + 60 * sway, "speed": 95 - sway, "headway": 8.0,
                   "occupancy": (2 if stuck else 10) + sway / 2}, {}  # fmt: skip
    yield "tr-3", {"vehicle_count": 14 + sway, "occupancy": 9 + sway}, {}
    yield "tr-3", {"vehicle_length": 4.4 + 4 * sway}, {"direction": "north"}


def inbox() -> Iterator[Entry]:
    """Yield what eight days of hours and forty minutes of the road leave in the inbox."""
    registration = json.dumps([station.model_dump() for station in STATIONS]).encode()
    yield Entry(1, log.POLICY, BEGIN, EVERYTHING.canonical().encode())
    yield Entry(2, log.REGISTRATION, BEGIN, registration)
    steps = [(BEGIN + hour * HOUR_NS, air(hour)) for hour in range(HOURS)]
    steps += [(BEGIN + HOURS * HOUR_NS + at * MINUTE_NS, road(at)) for at in range(MINUTES)]
    number = 2
    for at, said in steps:
        frame = Deliveries()
        for sensor, values, qualifiers in said:
            body = {"sensor": sensor, "time": format_instant(at), "values": values,
                    "qualifiers": qualifiers}  # fmt: skip
            heard_at = at + SECOND_NS
            frame.add(f"v1/{sensor}/readings", json.dumps(body).encode(), heard_at, source="mqtt")
        yield Entry(number + 1, log.FRAME, at + SECOND_NS, frame.to_bytes())
        yield Entry(number + 2, log.TICK, at + MINUTE_NS - SECOND_NS, b"")
        number += 2
    yield Entry(number + 1, log.TICK, BEGIN + (HOURS + 4) * HOUR_NS, b"")


class Heard:
    """What the engine has said."""

    def __init__(self) -> None:
        """Let it read the inbox."""
        self.engine = Engine()
        self.readings: list[tuple[SeriesKey, int, float, int]] = []
        self.indices: set[int] = set()
        self.alerts: list[dict[str, Any]] = []
        self.fits: list[dict[str, Any]] = []
        self.refused = 0
        self.ledger: dict[tuple[str, str, int], dict[str, int]] = {}
        for entry in inbox():
            for record in self.engine.apply(entry):
                self._hear(record)

    def _hear(self, record: Record) -> None:
        if record.kind == log.READINGS:
            said = JudgedBatch.from_arrow(arrow_batch(record.body))
            keys = [self.engine.series[code] for code in said.series.tolist()]
            columns = (said.time.tolist(), said.value.tolist(), said.flag.tolist())
            self.readings += zip(keys, *columns, strict=True)
        elif record.kind == log.INDICES:
            self.indices |= set(IndexBatch.from_arrow(arrow_batch(record.body)).index.tolist())
        elif record.kind == log.ALERTS:
            self.alerts += json.loads(record.body)
        elif record.kind == log.FITS:
            self.fits += json.loads(record.body)
        elif record.kind == log.QUARANTINE:
            self.refused += arrow_batch(record.body).num_rows
        elif record.kind == log.LEDGER:
            rows = json.loads(record.body)
            self.ledger |= {(row["source"], row["sensor"], row["hour"]): row for row in rows}

    def methods(self, qualifier: str) -> dict[str, set[str]]:
        """Return the methods that made series, and for which sensors."""
        found: dict[str, set[str]] = {}
        for key, *_ in self.readings:
            method = qualifiers_mapping(key.qualifiers).get(qualifier)
            if method:
                found.setdefault(method, set()).add(key.sensor)
        return found


@cache
def heard() -> Heard:
    """Return what became of it all; worked out once."""
    return Heard()


def test_every_correction_and_every_derivation_makes_its_series() -> None:
    """Those for comparison only where sensors are named for it."""
    corrected, derived = heard().methods("corrected"), heard().methods("derived")

    assert corrected.keys() == EVERYTHING.corrections.keys()
    assert derived.keys() == EVERYTHING.derivations.keys()
    assert {name for name, sensors in corrected.items() if "pa-1" in sensors} == {
        "barkjohn_2021", "barkjohn_2022", "fire_and_smoke",
    }  # fmt: skip
    assert any(fit["outcome"] == "in_force" for fit in heard().fits)


def test_every_index_has_a_value() -> None:
    """Those that are off by default as well."""
    numbers = {item.cls.number: name for name, item in registered("index").items()}

    assert {numbers[number] for number in heard().indices} == EVERYTHING.indices.keys()


def test_every_algorithm_finds_the_accident() -> None:
    """An alert each, at the station before it; and nothing is said of other roads."""
    fired = [alert for alert in heard().alerts if alert["kind"] == "firing"]
    uses = {rule_id: rule.use for rule_id, rule in EVERYTHING.alerts.items()}

    found = {uses[alert["rule"]] for alert in fired if alert["sensor"] == "tr-1"}

    assert {"california_7", "california_8", "apid", "standard_normal_deviate"} <= found
    added = EVERYTHING.alerts.keys() - DEFAULT.alerts.keys()
    assert all(alert["sensor"] == "tr-1" for alert in fired if alert["rule"] in added)


def test_nothing_is_lost_and_nothing_fails() -> None:
    """What was received was accepted; no verdict on a healthy city is worse than suspect."""
    rows = heard().ledger.values()

    assert sum(row["received"] for row in rows) == sum(row["accepted"] for row in rows) > 0
    assert heard().refused == 0
    raw = [(key, flag) for key, *_, flag in heard().readings if not key.qualifiers]
    assert len(raw) > HOURS * 20
    assert not [key for key, flag in raw if flag in {FAIL, MISSING}]


def test_switching_on_corrections_changes_nothing_that_was_measured() -> None:
    """Raw values stand beside them as they came."""
    found = {(key, at): value for key, at, value, _ in heard().readings}

    for hour in range(HOURS):
        for sensor, values, _ in air(hour):
            for quantity, value in values.items():
                assert found[SeriesKey(sensor, quantity), BEGIN + hour * HOUR_NS] == value
