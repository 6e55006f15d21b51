# SPDX-License-Identifier: EUPL-1.2
"""Wrong clocks in the simulated city: found, named, and told the same by every replay."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from lamppost import log
from lamppost.clock_skew import ClockBatch, ClockState, state_of
from lamppost.component import registered
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Record
from lamppost.quarantine import MessageId, Replay, replay_bytes
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS, format_instant
from lamppost_app.components import discover_all
from lamppost_app.engine import Engine
from lamppost_app.engine_role import EngineRole
from lamppost_app.sqlite_log import SqliteLog
from sensor_sim.faults import FaultKind, FaultLabel, ListedProgramme
from tests.pipeline.city_inbox import BEGIN, city_records

pytestmark = pytest.mark.slow

MINUTES = 90
REPAIRED = BEGIN + 50 * MINUTE_NS
WRONG = {
    "aq-003": FaultKind.CLOCK_HOUR_AHEAD,
    "aq-007": FaultKind.CLOCK_EPOCH,
    "tr-002": FaultKind.CLOCK_DAY_AHEAD,
}


@cache
def inbox() -> list[Record]:
    """Return the inbox of a city with three wrong clocks, the first of which is set right."""
    faults = [
        FaultLabel(sensor, None, kind, BEGIN, BEGIN + 12 * HOUR_NS, "clock")
        for sensor, kind in WRONG.items()
    ]
    first = faults[0]
    until = FaultLabel(first.sensor, None, first.kind, BEGIN, REPAIRED, "clock")
    records = city_records(
        MINUTES, air_quality=8, traffic=4, programme=ListedProgramme((until, *faults[1:]))
    )
    return records[:-1]  # without the tick hours later


@dataclass
class Told:
    """What an engine says of an inbox, and the sensors of its series."""

    records: list[Record] = field(default_factory=list)
    sensors: list[str] = field(default_factory=list)

    def clocks(self) -> list[tuple[str, int, ClockState]]:
        """Return what is said of clocks, in order: sensor, minute, state."""
        found = []
        for said in self.records:
            if said.kind == log.CLOCKS:
                batch = ClockBatch.from_arrow(arrow_batch(said.body))
                columns = (batch.series, batch.skew, batch.spread, batch.until)
                for code, *numbers in zip(*(column.tolist() for column in columns), strict=True):
                    minute = (said.at - BEGIN) // MINUTE_NS
                    found.append((self.sensors[code], minute, state_of(*numbers)))
        return found


def outbox(records: list[Record], *, restart_every: int = 0) -> Told:
    """Return what the engine says, restarted from a snapshot now and then."""
    engine, told = Engine(), Told()
    for number, record in enumerate(records, 1):
        if restart_every and number % restart_every == 0:
            engine = Engine.from_snapshot(engine.snapshot())
        told.records += engine.apply(Entry(number, *record))
    told.sensors = [key.sensor for key in engine.series]
    return told


@cache
def city() -> Told:
    """Return what an engine that never stops says of the city."""
    return outbox(inbox())


def test_every_wrong_clock_is_told_and_no_other() -> None:
    """After half an hour, each with what is probably wrong."""
    first = [(sensor, state) for sensor, minute, state in city().clocks() if minute <= 30]

    assert {sensor: (state.kind, state.cause) for sensor, state in first if sensor in WRONG} == {
        "aq-003": ("ahead", "zone"),
        "aq-007": ("unset", ""),
        "tr-002": ("ahead", "date"),
    }
    assert {state.kind for sensor, state in first if sensor not in WRONG} == {"right"}


def test_a_clock_that_was_set_is_told_again_and_the_others_are_not() -> None:
    """Nothing is said of what has not changed."""
    later = [(sensor, state) for sensor, minute, state in city().clocks() if minute > 30]

    assert {sensor for sensor, _ in later} == {"aq-003"}
    assert later[-1][1].kind == "right"


def test_an_alert_names_the_device_until_its_clock_is_set() -> None:
    """With the sentence its owner needs."""
    events = [
        (event["kind"], event["sensor"], event["sentence"])
        for said in city().records
        if said.kind == log.ALERTS
        for event in json.loads(said.body)
        if event["rule"] == "clock_skew"
    ]

    begun = {sensor: sentence for kind, sensor, sentence in events if kind == "firing"}
    assert begun.keys() == WRONG.keys()
    assert "1 h ahead: probably local time sent as UTC" in begun["aq-003"]
    assert "is not set, it says 1970-01-01" in begun["aq-007"]
    assert "1 d ahead: the date is wrong" in begun["tr-002"]
    assert [event for event in events if event[0] == "resolved"] == [
        ("resolved", "aq-003", "the clock of aq-003 is right within a second")
    ]


def test_a_restarted_engine_says_the_same() -> None:
    """Byte for byte, wherever it is stopped."""
    assert outbox(inbox(), restart_every=37).records == city().records


def test_frames_cut_otherwise_tell_the_same_clocks() -> None:
    """A message a frame or many: between two ticks it does not show."""
    records: list[Record] = []
    for record in inbox():
        if record.kind != log.FRAME:
            records.append(record)
            continue
        whole = Deliveries.from_bytes(record.body)
        for row in range(len(whole)):
            single = Deliveries()
            single.add(
                whole.routes[row], whole.payloads[row], whole.received_at[row], source="mqtt"
            )
            records.append(Record(log.FRAME, record.at, single.to_bytes()))

    assert outbox(records).clocks() == city().clocks()


def test_a_replay_of_the_inbox_gives_the_same_outbox(tmp_path: Path) -> None:
    """However its entries are grouped into commits and snapshots."""
    SqliteLog(tmp_path / "inbox.db").append(inbox())
    said = []
    for name, snapshot_s in (("one", 1e9), ("other", 1e-9)):
        role = EngineRole(
            SqliteLog(tmp_path / "inbox.db"),
            SqliteLog(tmp_path / f"{name}.db"),
            snapshot_s=snapshot_s,
        )
        while role.step():
            pass
        said.append(SqliteLog(tmp_path / f"{name}.db").read(0, 1_000_000))

    assert said[0] == said[1]
    assert any(entry.kind == log.CLOCKS for entry in said[0])


def message(sensor: str, at: int, received: int) -> Deliveries:
    """Return a message of a sensor."""
    body = {"sensor": sensor, "time": format_instant(at), "values": {"pm10": 9.0}}
    deliveries = Deliveries()
    deliveries.add(f"v1/{sensor}/readings", json.dumps(body).encode(), received, source="mqtt")
    return deliveries


def test_duplicates_and_messages_read_again_say_nothing_about_a_clock() -> None:
    """The broker repeats an old message of a silent device; an operator replays another."""
    records = inbox()[:2]
    old = message("aq-001", BEGIN - HOUR_NS, BEGIN)
    records.append(Record(log.FRAME, BEGIN, old.to_bytes()))
    for minute in range(1, 60):
        now = BEGIN + minute * MINUTE_NS
        again = message("aq-001", BEGIN - HOUR_NS, now)
        records.append(Record(log.FRAME, now, again.to_bytes()))
        replayed = message("aq-002", BEGIN - minute * MINUTE_NS, BEGIN - HOUR_NS)
        said = replay_bytes(replayed, Replay(messages=(MessageId(3, 0),), by="ada"))
        records += [Record(log.REPLAY, now, said), Record(log.TICK, now + SECOND_NS, b"")]

    assert outbox(records).clocks() == []


def test_no_sink_but_the_store_is_given_clocks() -> None:
    """They are about devices, not about the air."""
    discover_all()

    wanting = {name for name, sink in registered("sink").items() if log.CLOCKS in sink.cls.wants}

    assert wanting == {"store"}
