# SPDX-License-Identifier: EUPL-1.2
"""Derived readings go the whole way: outbox, windows, store, and the books balance."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pytest

from lamppost import log
from lamppost.batch import AggregateBatch, JudgedBatch
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Record
from lamppost.policy import Policy, Route
from lamppost.series import SeriesKey
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS, format_instant
from lamppost_app.engine import Engine
from sinks.store import Store, StoreSettings

BEGIN = 1_795_000_000 * SECOND_NS // HOUR_NS * HOUR_NS
POLICY = Policy(
    routes=(Route(match="v1/+/readings", format="native_json"),),
    quality={"gross_range": {"quantities": {"pm2_5_cf1": {"fail_span": [0, 1000]}}}},
    corrections={"lrapa": {}},
    detection={"robust_baseline": {"default": {"warm_up": 3, "noise": 1}}},
    windows={"event_time": {}},
)
CORRECTED = SeriesKey("aq-1", "pm2_5", "corrected=lrapa")


def frame(at: int, *values: float, minute: int = 0) -> Record:
    """Return a frame of one message with a reading a minute."""
    times = [format_instant(BEGIN + (minute + n) * MINUTE_NS) for n in range(len(values))]
    message = {"sensor": "aq-1", "time": times, "values": {"pm2_5_cf1": values}}
    deliveries = Deliveries()
    deliveries.add("v1/aq-1/readings", json.dumps(message).encode(), at, source="mqtt")
    return Record(log.FRAME, at, deliveries.to_bytes())


class Run:
    """An engine and all it has said."""

    def __init__(self, policy: Policy = POLICY) -> None:
        """Start under a policy."""
        self.engine = Engine()
        self.said: list[Entry] = []
        self.take(Record(log.POLICY, BEGIN, policy.canonical().encode()))

    def take(self, record: Record) -> None:
        """Apply an inbox record."""
        for said in self.engine.apply(Entry(1, *record)):
            self.said.append(Entry(len(self.said) + 1, *said))

    def readings(self) -> list[JudgedBatch]:
        """Return every batch of readings said so far."""
        entries = [entry for entry in self.said if entry.kind == log.READINGS]
        return [JudgedBatch.from_arrow(arrow_batch(entry.body)) for entry in entries]


def test_derived_readings_have_evidence_windows_and_a_place_in_the_store(tmp_path: Path) -> None:
    """They are series like any other, and no sink counts them as accepted from a device."""
    run = Run()
    run.take(frame(BEGIN + 6 * MINUTE_NS, 10.0, 12.0, 11.0, 5000.0, 12.0, 40.0))
    run.take(frame(BEGIN + 9 * MINUTE_NS, 10.0, 20.0, minute=6))
    run.take(frame(BEGIN + 10 * MINUTE_NS, 22.0, minute=7))
    run.take(Record(log.TICK, BEGIN + 3 * HOUR_NS, b""))
    code = run.engine.series.find(CORRECTED)
    store = Store(StoreSettings(path=tmp_path / "store.duckdb"))

    tally = store.write(run.said, run.said[-1].seq)
    store.close()
    with duckdb.connect(str(tmp_path / "store.duckdb"), read_only=True) as connection:
        held = connection.execute(
            "SELECT round(value, 4), flag, revision FROM readings WHERE series = ? ORDER BY time",
            [code],
        ).fetchall()

    assert held == [
        (4.34, 1, 3),
        (5.34, 1, 3),
        (4.84, 1, 3),
        (None, 9, 3),
        (5.34, 1, 3),
        (19.34, 1, 3),
        (4.34, 1, 3),
        (10.34, 1, 4),
    ]
    assert tally is not None
    assert sum(tally.stored.values()) == 9
    first = run.readings()[0]
    derived = first.series == code
    assert np.isnan(first.uncertainty[~derived]).all()
    np.testing.assert_allclose(first.uncertainty[derived][0], np.hypot(5, 0.2 * 4.34))
    unusual = first.take((first.series == code) & (first.score > 4))
    assert len(unusual) == 1
    hours = [
        AggregateBatch.from_arrow(arrow_batch(entry.body))
        for entry in run.said
        if entry.kind == log.AGGREGATES
    ]
    both = AggregateBatch.concat(hours)
    hour = both.take((both.series == code) & (both.length == HOUR_NS))
    assert hour.count.tolist() == [7]
    assert hour.excluded.tolist() == [1]


@pytest.mark.parametrize(("conditions", "mass"), [("eu_20c", 191.25), ("us_25c", 188.04)])
def test_the_policy_says_at_which_conditions_a_gas_is_weighed(conditions: str, mass: float) -> None:
    """By 2008/50/EC at 20 °C; the rules that are published name the conditions."""
    units = {"units": {"gas_conditions": conditions}}
    policy = Policy.model_validate(POLICY.model_dump() | units)
    run = Run(policy)
    message = {"sensor": "aq-1", "time": format_instant(BEGIN), "values": {"no2": 100.0}}
    deliveries = Deliveries()
    body = json.dumps({**message, "units": {"no2": "ppb"}}).encode()
    deliveries.add("v1/aq-1/readings", body, BEGIN, source="mqtt")

    run.take(Record(log.FRAME, BEGIN, deliveries.to_bytes()))

    assert run.readings()[0].value.tolist() == [pytest.approx(mass, rel=1e-4)]
    rules = json.loads(next(entry.body for entry in run.said if entry.kind == log.RULES))
    assert rules["content"]["units"] == {"gas_conditions": conditions}
    assert rules["methods"]["lrapa"]["formula"] == "0.5 x - 0.66"


def test_a_restored_engine_goes_on_deriving() -> None:
    """A snapshot holds what derivations and their stage remember."""
    run = Run()
    run.take(frame(BEGIN + MINUTE_NS, 10.0, 12.0))
    again = Engine.from_snapshot(run.engine.snapshot())
    following = Entry(9, *frame(BEGIN + 3 * MINUTE_NS, 20.0, minute=2))

    assert again.apply(following) == run.engine.apply(following)
