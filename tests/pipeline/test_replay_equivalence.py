# SPDX-License-Identifier: EUPL-1.2
"""Replaying quarantine after a fix yields what a right first try would have yielded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost import log
from lamppost.batch import AggregateBatch, JudgedBatch
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Record
from lamppost.policy import Policy, Route, load_policy
from lamppost.quantities import QUANTITIES
from lamppost.quarantine import Replay, replay_bytes
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS, format_instant
from lamppost_app.engine import Engine
from lamppost_app.quarantine_room import Held, messages_of
from tests.pipeline.city_inbox import POLICY

BEGIN = 1_795_000_000 * SECOND_NS // HOUR_NS * HOUR_NS
RIGHT = Policy(
    routes=(Route(match="v1/+/readings", format="native_json"),),
    windows={"event_time": {}},
    quality={"gross_range": {}},
)
NO_ROUTE = RIGHT.model_copy(
    update={"routes": (Route(match="v1/known/readings", format="native_json"),)}
)


@dataclass
class Run:
    """An engine, the inbox it has read, and what it said last about everything."""

    engine: Engine = field(default_factory=Engine)
    seq: int = 0
    out: int = 0
    readings: dict[tuple[Any, ...], tuple[Any, ...]] = field(default_factory=dict)
    aggregates: dict[tuple[Any, ...], dict[str, float]] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    ledger: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)

    def take(self, *records: Record) -> None:
        """Apply inbox records."""
        for record in records:
            self.seq += 1
            for said in self.engine.apply(Entry(self.seq, *record)):
                self.out += 1
                self._hear(Entry(self.out, *said))

    def restart(self) -> None:
        """Go on from a snapshot, as a new process with new code would."""
        self.engine = Engine.from_snapshot(self.engine.snapshot())

    def replay(self, at: int, chosen: Sequence[Held]) -> None:
        """Enter messages again."""
        deliveries = Deliveries()
        for held in {held.message: held for held in chosen}.values():
            deliveries.add(held.route, held.payload, held.received_at, source=held.source)
        said = Replay(messages=tuple(held.id for held in chosen), by="me")
        self.take(Record(log.REPLAY, at, replay_bytes(deliveries, said)))

    def _hear(self, entry: Entry) -> None:
        self.held += messages_of(entry)
        if entry.kind == log.READINGS:
            self._hear_readings(JudgedBatch.from_arrow(arrow_batch(entry.body)))
        elif entry.kind == log.AGGREGATES:
            self._hear_aggregates(AggregateBatch.from_arrow(arrow_batch(entry.body)))
        elif entry.kind == log.QUARANTINE_STATES:
            self.states += json.loads(entry.body)
        elif entry.kind == log.LEDGER:
            for row in json.loads(entry.body):
                self.ledger[row["source"], row["sensor"], row["hour"]] = row

    def _hear_readings(self, batch: JudgedBatch) -> None:
        for row in range(len(batch)):
            key = (*self.engine.series[int(batch.series[row])], int(batch.time[row]))
            self.readings[key] = (float(batch.value[row]), int(batch.flag[row]))

    def _hear_aggregates(self, batch: AggregateBatch) -> None:
        numbers = ("count", "mean", "min", "max", "total", "sd", "coverage", "expected", "flag")
        for row in range(len(batch)):
            series = self.engine.series[int(batch.series[row])]
            key = (*series, int(batch.start[row]), int(batch.length[row]))
            self.aggregates[key] = {name: float(getattr(batch, name)[row]) for name in numbers}


def policy(content: Policy, at: int = BEGIN) -> Record:
    """Return the entry that puts a policy in force."""
    return Record(log.POLICY, at, content.canonical().encode())


def frame(messages: Sequence[tuple[int, str, dict[str, float]]], units: dict[str, str]) -> Record:
    """Return a frame of messages (instant, sensor, values), each received a second later."""
    deliveries = Deliveries()
    for at, sensor, values in messages:
        body = {"sensor": sensor, "time": format_instant(at), "values": values}
        if units:
            body["units"] = {name: units[name] for name in values if name in units}
        deliveries.add(
            f"v1/{sensor}/readings", json.dumps(body).encode(), at + SECOND_NS, source="mqtt"
        )
    return Record(log.FRAME, deliveries.received_at[-1], deliveries.to_bytes())


def same(first: dict[str, float], second: dict[str, float], names: Sequence[str]) -> bool:
    """Tell whether two aggregates agree but for the last digits."""
    return np.allclose(
        [first[name] for name in names],
        [second[name] for name in names],
        rtol=1e-12,
        equal_nan=True,
    )


SCHEDULE = st.lists(
    st.tuples(
        st.integers(1, 240),
        st.sampled_from(["known", "new"]),
        st.dictionaries(
            st.sampled_from(["no2", "pm2_5"]),
            st.floats(0.0, 90.0).map(lambda value: round(value, 1)),
            min_size=1,
        ),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda message: message[:2],
)


def frames_of(schedule: list[tuple[int, str, dict[str, float]]]) -> list[Record]:
    """Return frames of a few messages each, in order of time, a tick after each."""
    ordered = sorted((BEGIN + minute * MINUTE_NS, *rest) for minute, *rest in schedule)
    records = []
    for start in range(0, len(ordered), 3):
        record = frame(ordered[start : start + 3], {})
        records += [record, Record(log.TICK, record.at + SECOND_NS, b"")]
    return records


def end(run: Run, hours: int = 8) -> None:
    """Let so much time pass that every window closes."""
    run.take(Record(log.TICK, BEGIN + hours * HOUR_NS, b""))


@pytest.mark.parametrize("fault", ["route", "quantity", "unit"])
@settings(deadline=None, max_examples=25)
@given(schedule=SCHEDULE, fixed=st.integers(0, 40), replayed=st.integers(0, 40))
def test_replay_after_a_fix_equals_a_right_first_try(
    fault: str, schedule: list[tuple[int, str, dict[str, float]]], fixed: int, replayed: int
) -> None:
    """Values and newest aggregates are those of a run that was right from the start."""
    frames = frames_of(schedule)
    fixed = min(fixed, len(frames))
    replayed = max(fixed, min(replayed, len(frames)))
    right, late = Run(), Run()
    right.take(policy(RIGHT), *frames)
    end(right)

    with pytest.MonkeyPatch.context() as patch:
        if fault == "quantity":
            patch.delitem(QUANTITIES, "no2")
        if fault == "unit":
            patch.setattr(
                "lamppost_app.decoding.conversion",
                lambda quantity, *_: None if quantity == "no2" else (1.0, 0.0),
            )
        late.take(policy(NO_ROUTE if fault == "route" else RIGHT), *frames[:fixed])
    late.restart()
    if fault == "route":
        late.take(policy(RIGHT, late.engine.now))
    late.take(*frames[fixed:replayed])
    held = list(late.held)
    if held:
        late.replay(late.engine.now + SECOND_NS, held)
    late.take(*frames[replayed:])
    end(late)

    assert late.held == held, "nothing is refused again"
    assert {key: value for key, (value, _) in late.readings.items()} == {
        key: value for key, (value, _) in right.readings.items()
    }
    assert late.aggregates.keys() == right.aggregates.keys()
    names = ["count", "mean", "min", "max", "total", "sd"]
    for key, found in late.aggregates.items():
        assert same(found, right.aggregates[key], names), key
    assert [(row["message"], row["row"]) for row in late.states] == [held.id for held in late.held]


def test_replay_before_new_readings_gives_the_same_verdicts_and_coverage() -> None:
    """With every check of the default policy: a series that was never accepted starts in order."""
    full = load_policy(POLICY)
    blind = full.model_copy(update={"routes": ()})
    frames = [
        frame(
            [(BEGIN + minute * MINUTE_NS, "new", {"no2": 20.0 + 7 * (minute % 5), "pm2_5": 9.0})],
            {},
        )
        for minute in range(90)
    ]
    right, late = Run(), Run()
    right.take(policy(full), *frames)
    end(right)
    late.take(policy(blind), *frames, policy(full, frames[-1].at))
    late.replay(frames[-1].at + MINUTE_NS, late.held)
    end(late)

    assert late.readings == right.readings
    assert late.aggregates.keys() == right.aggregates.keys()
    for key, found in late.aggregates.items():
        assert same(found, right.aggregates[key], list(found)), key


def test_what_was_accepted_already_is_a_duplicate() -> None:
    """A message that was wrong in one quantity only brings only that one."""
    run = Run()
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(QUANTITIES, "no2")
        run.take(policy(RIGHT), frame([(BEGIN, "a", {"pm2_5": 9.0, "no2": 20.0})], {}))
    run.restart()
    run.replay(BEGIN + MINUTE_NS, run.held)
    run.take(Record(log.TICK, BEGIN + MINUTE_NS, b""))

    again = run.ledger["replay", "a", BEGIN]
    first = run.ledger["mqtt", "a", BEGIN]
    assert (first["received"], first["accepted"], first["quarantined"]) == (2, 1, 1)
    assert (again["received"], again["accepted"], again["duplicate"]) == (2, 1, 1)
    assert [key[1] for key in run.readings] == ["pm2_5", "no2"]


def test_an_unfixed_message_goes_back_with_its_own_door_and_time() -> None:
    """Replaying too early costs nothing: the bytes lie there again, under a new identity."""
    run = Run()
    run.take(policy(NO_ROUTE), frame([(BEGIN, "new", {"no2": 20.0})], {}))
    (first,) = run.held
    run.replay(BEGIN + HOUR_NS, [first])

    _, second = run.held
    assert second.id != first.id
    assert (second.message[1:], second.code) == (first.message[1:], "no_format")


def test_a_replay_without_metadata_is_a_bad_command() -> None:
    """A hand-made entry harms only itself."""
    run = Run()
    broken = frame([(BEGIN, "new", {"no2": 20.0})], {})
    run.take(Record(log.REPLAY, BEGIN, broken.body))

    assert [held.code for held in run.held] == ["bad_command"]
