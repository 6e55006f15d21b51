# SPDX-License-Identifier: EUPL-1.2
"""Limits in the engine: who floods is named and counted, who invents names is stopped."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest

from ingest.limits import Limiter, Limits, records
from lamppost import log
from lamppost.errors import ConfigError
from lamppost.flooding import FLOODING_RULE_ID
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Record
from lamppost.policy import GrowthRule, Policy, Route
from lamppost.series import SeriesTable
from lamppost.stations import Station
from lamppost.times import HOUR_NS, SECOND_NS, format_instant
from lamppost_app import decoding, ledger
from lamppost_app.engine import Engine
from lamppost_app.pipeline import Pipeline

BEGIN = 1_795_000_000 * SECOND_NS // HOUR_NS * HOUR_NS
POLICY = Policy(
    routes=(Route(match="v1/+/readings", format="native_json"),), windows={"event_time": {}}
)


class Run:
    """An engine beside a second one that is restarted before every entry."""

    def __init__(self, **growth: int) -> None:
        """Put a policy in force."""
        self.engine, self._other = Engine(), Engine()
        self._seq = 0
        self.said: list[Record] = []
        self.policy(**growth)

    def policy(self, **growth: int) -> None:
        """Change the limits."""
        changed = POLICY.model_copy(update={"growth": GrowthRule(**growth)})
        self.take(Record(log.POLICY, BEGIN, changed.canonical().encode()))

    def take(self, *given: Record) -> None:
        """Apply records; what is said must not depend on restarts."""
        for record in given:
            self._seq += 1
            entry = Entry(self._seq, *record)
            said = self.engine.apply(entry)
            self._other = Engine.from_snapshot(self._other.snapshot())
            assert self._other.apply(entry) == said
            self.said += said

    def send(self, *sensors: str, at: int = BEGIN, quantity: str = "pm10", **more: Any) -> None:
        """Receive a reading of each sensor."""
        self.take(Record(log.FRAME, at, deliveries_of(sensors, at, quantity, **more).to_bytes()))

    def tick(self, at: int) -> None:
        """Let time pass."""
        self.take(Record(log.TICK, at, b""))

    def quarantine(self) -> list[dict[str, Any]]:
        """Return the rows in quarantine."""
        bodies = [record.body for record in self.said if record.kind == log.QUARANTINE]
        return [row for body in bodies for row in arrow_batch(body).to_pylist()]

    def codes(self) -> list[str]:
        """Return why messages lie in quarantine."""
        return [row["code"] for row in self.quarantine()]

    def alerts(self) -> list[dict[str, Any]]:
        """Return what was said about devices over their limit."""
        bodies = [record.body for record in self.said if record.kind == log.ALERTS]
        found = [event for body in bodies for event in json.loads(body)]
        return [event for event in found if event["rule"] == FLOODING_RULE_ID]


def deliveries_of(
    sensors: Sequence[str], at: int, quantity: str = "pm10", **more: Any
) -> Deliveries:
    """Return a message of each sensor."""
    made = Deliveries()
    for number, sensor in enumerate(sensors):
        time = format_instant(at + number * SECOND_NS // 1000)
        message = {"sensor": sensor, "time": time, "values": {quantity: 1}, **more}
        made.add(f"v1/{sensor}/readings", json.dumps(message).encode(), at, source="mqtt")
    return made


def flood(run: Run, door: Limiter, messages: int, at: int) -> None:
    """Let one device send many messages at once."""
    made = deliveries_of(["aq-1"] * messages, at)
    run.take(*records(made, door.judge(made.routes, [100] * messages, at), at))


def door(**limits: int) -> Limiter:
    """Return an MQTT door."""
    return Limiter(Limits(messages_per_s=1, **limits), "mqtt", ["v1/+/readings"])


def test_everything_a_flooding_device_sent_is_in_the_ledger() -> None:
    """Received = accepted + duplicate + quarantined + refused, and the last is used."""
    run, source = Run(), door(burst_messages=10, kept_messages_per_h=5)

    flood(run, source, 100, BEGIN)
    run.tick(BEGIN + 20 * SECOND_NS)

    rows = json.loads(next(one.body for one in run.said if one.kind == log.LEDGER))
    (row,) = rows
    assert (row["source"], row["sensor"], row["received"]) == ("mqtt", "aq-1", 100)
    assert (row["accepted"], row["quarantined"], row["refused"]) == (10, 5, 85)
    assert run.codes() == ["rate_limited"] * 5
    assert {row["sensor"] for row in run.quarantine()} == {"aq-1"}
    assert run.engine.ledger.broken() == []


def test_it_is_named_until_it_stays_within_its_limit_for_a_minute() -> None:
    """With rate, limit, and what became of its messages; one alert, however long it goes on."""
    run, source = Run(), door(burst_messages=10, kept_messages_per_h=5)
    run.tick(BEGIN)
    for second in range(1, 4):
        flood(run, source, 100, BEGIN + second * SECOND_NS)
        run.tick(BEGIN + second * SECOND_NS)
    (fired,) = run.alerts()
    for second in (10, 62, 63, 64):
        run.tick(BEGIN + second * SECOND_NS)

    _, resolved = run.alerts()
    assert (fired["kind"], resolved["kind"]) == ("firing", "resolved")
    assert (fired["sensor"], fired["observed"], fired["expected"]) == ("aq-1", 100.0, 1.0)
    assert "100 messages a second through mqtt" in fired["sentence"]
    assert "5 went to quarantine, 85 were refused" in fired["sentence"]
    assert resolved["at"] == BEGIN + 63 * SECOND_NS
    assert "5 went to quarantine, 283 were refused" in resolved["sentence"]


def test_what_was_kept_can_be_replayed() -> None:
    """Its bytes are those that came, so the engine can read them later."""
    run, source = Run(), door(burst_messages=10, kept_messages_per_h=5)
    flood(run, source, 15, BEGIN)

    kept = Deliveries()
    for row in run.quarantine():
        kept.add(row["route"], row["payload"], row["received_at"], source=row["source"])
    run.take(Record(log.FRAME, BEGIN, kept.to_bytes()))

    assert run.engine.ledger.totals()["accepted"] == 15


def test_no_policy_can_take_the_name_of_the_rule() -> None:
    """It is Lamppost's own."""
    rule = {"use": "silence", "title": "x", "settings": {"silent_s": 1, "periods": 1}}
    taken = Policy.model_validate(
        {"windows": {"event_time": {}}, "alerts": {FLOODING_RULE_ID: rule}}
    )

    with pytest.raises(ConfigError, match="taken by a rule"):
        Pipeline(taken, SeriesTable(), {})


@pytest.mark.parametrize("kind", [log.THROTTLED, log.EXCESS])
@pytest.mark.parametrize("body", [b"", b"[{}]", deliveries_of(["a"], BEGIN).to_bytes()])
def test_an_entry_that_says_nothing_is_quarantined(kind: str, body: bytes) -> None:
    """It is counted like everything received."""
    run = Run()

    run.take(Record(kind, BEGIN, body))

    assert run.codes() == ["bad_command"]


def test_more_new_sensors_than_an_hour_may_bring_wait_for_the_next() -> None:
    """Known sensors go on; the hour after lets others in."""
    run = Run(new_sensors_per_h=3)

    run.send("a", "b", "c", "d", "e", "a")
    run.send("e", "d", at=BEGIN + HOUR_NS - 1)
    assert run.codes() == ["too_many_sensors"] * 4
    run.send("e", "d", "a", at=BEGIN + HOUR_NS)

    assert len(run.quarantine()) == 4
    assert [key.sensor for key in run.engine.series] == ["a", "b", "c", "e", "d"]
    assert run.engine.ledger.broken() == []


def test_registered_sensors_do_not_count() -> None:
    """A station file larger than the limits is no reason to turn anybody away."""
    run = Run(new_sensors_per_h=1, unregistered_sensors=1)
    stations = [Station(sensor=name, latitude=1, longitude=1) for name in ("a", "b", "c")]
    body = json.dumps([station.model_dump() for station in stations]).encode()
    run.take(Record(log.REGISTRATION, BEGIN, body))

    run.send("a", "b", "c", "x", "y")

    assert run.codes() == ["too_many_sensors"]
    assert "'y'" in run.quarantine()[0]["detail"]


def test_a_sensor_turned_away_is_let_in_once_it_is_registered() -> None:
    """Nothing is remembered against it; what it sent can be replayed."""
    run = Run(unregistered_sensors=1)
    run.send("a", "b")
    body = Station(sensor="b", latitude=1, longitude=1).model_dump_json()
    run.take(Record(log.REGISTRATION, BEGIN, f"[{body}]".encode()))
    run.send("b", "c", at=BEGIN + SECOND_NS)

    assert [key.sensor for key in run.engine.series] == ["a", "b"]
    assert run.codes() == ["too_many_sensors"] * 2


def test_series_of_one_sensor_are_bounded() -> None:
    """A device that invents qualifiers harms itself; its known series go on."""
    run = Run(series_per_sensor=2)

    for lane in ("1", "2", "3", "1"):
        run.send("a", at=BEGIN + int(lane), qualifiers={"lane": lane})
    run.send("b", at=BEGIN + 9)

    assert run.codes() == ["too_many_series"]
    assert len(run.engine.series) == 3


def test_codes_do_not_depend_on_what_was_turned_away_before() -> None:
    """New series are numbered as they appear, whatever an engine remembers of earlier frames."""
    run = Run(new_sensors_per_h=0)
    run.send("a", "b", "c")
    run.policy(new_sensors_per_h=1)
    run.send("x", "a", "b", "c", at=BEGIN + HOUR_NS)
    run.send("c", "b", at=BEGIN + 2 * HOUR_NS)
    run.send("b", "a", at=BEGIN + 3 * HOUR_NS)

    assert [key.sensor for key in run.engine.series] == ["x", "c", "b"]


@pytest.mark.parametrize("kind", ["readings", "unreadable"])
def test_a_device_that_invents_names_does_not_fill_the_memory(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither with readings nor with messages that name an unknown quantity."""
    monkeypatch.setattr(decoding, "_USELESS", 2_000)
    monkeypatch.setattr(ledger, "_MOST_STRANGERS", 1_000)
    engine, quantity = Engine(), "pm10" if kind == "readings" else "nonsense"
    growth = {"growth": GrowthRule(new_sensors_per_h=500)}
    changed = POLICY.model_copy(update=growth)
    engine.apply(Entry(1, log.POLICY, BEGIN, changed.canonical().encode()))

    def invent(first: int, count: int) -> None:
        for start in range(first, first + count, 1000):
            names = [f"invented-{number}" for number in range(start, start + 1000)]
            frame = deliveries_of(names, BEGIN, quantity)
            engine.apply(Entry(2, log.FRAME, BEGIN, frame.to_bytes()))
            engine.apply(Entry(3, log.TICK, BEGIN + start * SECOND_NS // 1000, b""))

    tracemalloc.start()
    invent(0, 8_000)
    first_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    invent(8_000, 8_000)
    second_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert len(engine.series) <= 500
    assert len(engine.ledger.facts()["rows"]) <= 1_501
    assert second_peak < 1.25 * first_peak
